"""Shipping an order to another address than the one it was placed with."""

from typing import Annotated

from fastapi import APIRouter, Body, Response

from adapters.mysql.idempotency import Begun
from api.answers import Answer
from api.deps import Checkouts
from api.errors import HttpProblem, status_of_code
from api.order_requests import RESPONSES, OrderRequests
from api.ownership import CurrentOrder
from api.permissions import CurrentPrincipal, require
from api.routes.orders import actor_of
from schemas.address_changes import AddressChangeRequest, ChangeAddress
from schemas.orders import OrderView

router = APIRouter(prefix="/v1/orders", tags=["orders"])
_ADDRESS = {"name": "Ada Lovelace", "line1": "Kanalgade 3", "city": "Odense", "postal_code": "5000", "country": "DK"}
_EXAMPLES = {"moved": {"value": {"shipping_address": _ADDRESS}}}


@router.post(
    "/{order_id}/address",
    dependencies=[require("orders:change_own", "orders:change_any")],
    response_model=OrderView,
    responses={code: what for code, what in RESPONSES.items() if code != 402},
)
async def change_order_address(
    body: Annotated[AddressChangeRequest, Body(openapi_examples=_EXAMPLES)],
    order: CurrentOrder,
    asker: CurrentPrincipal,
    checkouts: Checkouts,
    requests: OrderRequests,
) -> Response:
    """Ship a confirmed order to another address, as long as none of its parcels is booked: all of them wait for goods,
    or for their pick. Goods and discount stay as agreed; shipping and tax are those of the new country, and what the
    order costs less there is not charged.

    409 `address_raises_total`, with both totals, where it would cost more; `too_late` once a parcel is handed to the
    carrier; `not_confirmed` before the order is. 422 `unknown_shipping_method` where its shipping method does not go.
    """
    path = f"{router.prefix}/{order.id}/address"
    actor = actor_of(order, asker, "orders:change_own", "orders:change_any")
    change = ChangeAddress(address=body.shipping_address.message(), actor=actor)

    async def ask(begun: Begun) -> Answer:
        answer = await checkouts.change_address(order.id, begun.resource_id, change)
        if answer.code is None:
            return await requests.as_it_is(order)
        detail = answer.message or "The address stays as it was."
        problem = HttpProblem(status_of_code(answer.code), answer.code, detail, members=answer.details)
        return Answer.refusing(problem, path)

    return await requests.answer(path, order, body, ask)
