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
from schemas.problem_codes import ProblemCode

router = APIRouter(prefix="/v1/orders", tags=["orders"])
_ADDRESS = {"name": "Ada Lovelace", "line1": "Kanalgade 3", "city": "Odense", "postal_code": "5000", "country": "DK"}
_EXAMPLES = {"moved": {"value": {"shipping_address": _ADDRESS}}}


@router.post(
    "/{order_id}/address",
    dependencies=[require("orders:change_own", "orders:change_any")],
    response_model=OrderView,
    responses=RESPONSES,
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

    Where it costs more, a `payment_method` is asked to authorize all of it; only then is the first authorization
    cancelled. 202 with a `payment_action` while the customer's bank asks them; send the same request again for the
    outcome. 402 when it is declined or left unanswered, and 409 `address_raises_total`, with both totals, without a
    method: the address and the first authorization stay. 409 `too_late` once a parcel is handed to the carrier,
    `not_confirmed` before the order is. 422 `unknown_shipping_method` where its shipping method does not go.
    """
    path = f"{router.prefix}/{order.id}/address"
    actor = actor_of(order, asker, "orders:change_own", "orders:change_any")
    payment = body.model_dump(include={"payment_method", "payment_return_url"})
    change = ChangeAddress(address=body.shipping_address.message(), actor=actor, **payment)

    async def ask(begun: Begun) -> Answer:
        answer = await checkouts.change_address(order.id, begun.resource_id, change)
        if answer.code is None:
            return await requests.as_it_is(order)
        status = 402 if answer.code == ProblemCode.PAYMENT_DECLINED else status_of_code(answer.code)
        detail = answer.message or "The address stays as it was."
        problem = HttpProblem(status, answer.code, detail, members={"order_id": order.id, **answer.details})
        return Answer.refusing(problem, path)

    return await requests.answer(path, order, body, ask)
