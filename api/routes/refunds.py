"""Refunds, for staff."""

from typing import Annotated, Any

from fastapi import APIRouter, Body, Response
from fastapi.responses import JSONResponse

from adapters.mysql.idempotency import Begun
from api.answers import Answer
from api.deps import RefundStore, RefundWorkflows
from api.errors import HttpProblem, problems, status_of_code
from api.idempotency import OnceInWorkflow
from api.ownership import CurrentOrder
from api.permissions import CurrentPrincipal, acting, require
from schemas.base import Payload
from schemas.refunds import (
    RefundAnswer,
    RefundInput,
    RefundList,
    RefundRequest,
    RefundStatus,
    RefundView,
)

router = APIRouter(prefix="/v1/ops/orders", tags=["operations"])


class PendingRefund(Payload):
    """A refund that has been requested and is not finished yet."""

    id: str
    order_id: str
    status: RefundStatus = RefundStatus.PENDING


_PENDING: dict[int | str, dict[str, Any]] = {
    202: {"model": PendingRefund, "description": "Requested; the list of the order's refunds shows the result"}
}
_EXAMPLES = {
    "part": {"value": {"amount": {"amount": 1000, "currency": "EUR"}, "reason": "arrived with a scratch"}},
    "all": {"value": {"reason": "never arrived"}},
    "a parcel": {"value": {"parcel": 2, "reason": "arrived empty"}},
}


@router.get("/{order_id}/refunds", dependencies=[require("orders:refund")], responses=problems(401, 403, 404, 503))
def list_refunds(order: CurrentOrder, refunds: RefundStore) -> RefundList:
    """The refunds of an order, pending ones too, and how much is left to refund."""
    return refunds.of_order(order.id)


@router.post(
    "/{order_id}/refunds",
    status_code=201,
    dependencies=[require("orders:refund")],
    response_model=RefundView,
    responses={**_PENDING, **problems(400, 401, 403, 404, 409, 422, 503)},
)
async def refund_order(
    body: Annotated[RefundRequest, Body(openapi_examples=_EXAMPLES)],
    order: CurrentOrder,
    asker: CurrentPrincipal,
    refunds: RefundWorkflows,
    once: OnceInWorkflow,
) -> Response:
    """Refund what was captured for an order, in part or all that is left.

    With `parcel` at most what is left of that parcel's share. 409 `refund_exceeds_captured` says what is `refundable`,
    409 `nothing_to_refund` that nothing of the parcel is, 409 `refund_refused` what the payment provider answered, and
    409 `payment_disputed` that the customer's bank has not decided the dispute yet.
    """
    path = f"/v1/ops/orders/{order.id}/refunds"

    async def ask(begun: Begun) -> Answer:
        refund = RefundInput(
            refund_id=begun.resource_id,
            order_id=order.id,
            amount=body.amount.amount if body.amount else None,
            currency=body.amount.currency if body.amount else None,
            parcel=body.parcel,
            reason=body.reason,
            actor=acting(asker, "orders:refund"),
        )
        return _answer(await refunds.refund(refund), path)

    begun, answer = await once.answer(f"POST {path}", body, ask)
    if answer is not None:
        return answer.response(location=path)
    pending = PendingRefund(id=begun.resource_id, order_id=order.id).model_dump(mode="json")
    return JSONResponse(pending, 202, headers={"Location": path, "Retry-After": "1"})


def _answer(answer: RefundAnswer, path: str) -> Answer:
    if (refusal := answer.refusal) is not None:
        status = 409 if answer.refund is not None else status_of_code(answer.code)
        return Answer.refusing(HttpProblem(status, refusal.code, refusal.message, members=refusal.details), path)
    assert answer.refund is not None
    return Answer.showing(answer.refund, 201)
