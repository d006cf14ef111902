"""What staff decide about a parcel that its customer will never have."""

from typing import Annotated

from fastapi import APIRouter, Body, Path, Response

from adapters.mysql.idempotency import Begun
from api.answers import Answer
from api.deps import ParcelResolutionWorkflows
from api.errors import HttpProblem, status_of_code
from api.order_requests import RESPONSES, OrderRequests
from api.ownership import CurrentOrder
from api.permissions import CurrentPrincipal, acting, require
from domain.errors import Conflict
from schemas.orders import OrderView
from schemas.parcel_resolutions import ParcelResolutionAnswer, ParcelResolutionRequest, ResolveParcel
from schemas.problem_codes import ProblemCode

router = APIRouter(prefix="/v1/ops/orders", tags=["operations"])
_EXAMPLES = {
    "lost": {"value": {"action": "refund", "reason": "the carrier has given up the search"}},
    "returned": {"value": {"action": "refund", "reason": "unopened, back in our warehouse", "restock": True}},
    "again": {"value": {"action": "ship_again", "reason": "its customer has corrected the name on the door"}},
}


@router.post(
    "/{order_id}/parcels/{number}/resolution",
    dependencies=[require("orders:refund")],
    response_model=OrderView,
    responses=RESPONSES,
)
async def resolve_parcel(
    number: Annotated[int, Path(ge=1, le=10_000)],
    body: Annotated[ParcelResolutionRequest, Body(openapi_examples=_EXAMPLES)],
    order: CurrentOrder,
    asker: CurrentPrincipal,
    resolutions: ParcelResolutionWorkflows,
    requests: OrderRequests,
) -> Response:
    """Refund a parcel that was lost, or returned to us, or ship it again: its operator task `delivery_failed` asks.

    Either is done once, however often it is asked for. `refund`: what was captured for the parcel and not refunded
    since. `ship_again`: a parcel with the same goods, which shows what it `replaces`, is reserved from stock, shipped
    and not charged; should it fail as well, it is answered like any other. `restock` puts the goods of a returned
    parcel back into stock before that. The parcel shows its `resolution`.

    409 `illegal_move` for a parcel that may still arrive, or an order of which nothing is shipped any more;
    `parcel_resolved` when it was answered otherwise; what a refund is refused for; `insufficient_stock` when no
    warehouse has all of it; `parcel_refunded` when some of it was refunded.
    """
    actor, path = acting(asker, "orders:refund"), f"/v1/ops/orders/{order.id}/parcels/{number}/resolution"
    command = ResolveParcel(order_id=order.id, parcel=number, actor=actor, **body.model_dump())

    async def resolve(begun: Begun) -> Answer:  # noqa: ARG001 - the parcel itself is what a repeat is known by
        answer = await resolutions.resolve(command)
        if answer.code is not None:
            return Answer.refusing(_problem(answer), path)
        return await requests.as_it_is(order)

    return await requests.answer(path, order, body, resolve)


def _problem(answer: ParcelResolutionAnswer) -> HttpProblem:
    code = answer.code or Conflict.code
    status = 409 if code == ProblemCode.REFUND_REFUSED else status_of_code(code)
    return HttpProblem(status, code, answer.message or "This is not possible now.", members=answer.details)
