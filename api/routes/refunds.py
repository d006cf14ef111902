"""Giving money back, for staff."""

from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Response
from fastapi.responses import JSONResponse

from adapters.mysql.idempotency import Begun
from adapters.mysql.payments.refunds import Refunds
from api.deps import All, AppConnections
from api.errors import HttpProblem, http_problem, problems, status_of_code
from api.idempotency import Answer, OnceInWorkflow
from api.ownership import CurrentOrder
from api.permissions import CurrentPrincipal, acting, require
from api.refund_desk import RefundDesk
from domain.errors import PaymentDisputed
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
    """A refund that has been asked for and is still being given back."""

    id: str
    order_id: str
    status: RefundStatus = RefundStatus.PENDING


_PENDING: dict[int | str, dict[str, Any]] = {
    202: {"model": PendingRefund, "description": "Asked for; the list of the order's refunds will tell"}
}
_DISPUTED_MEANWHILE = "charge_disputed"  # the provider's word
_EXAMPLES = {
    "part": {"value": {"amount": {"amount": 1000, "currency": "EUR"}, "reason": "arrived with a scratch"}},
    "all": {"value": {"reason": "never arrived"}},
}


def _refunds(connections: AppConnections) -> Refunds:
    return Refunds(connections.engine)


@router.get("/{order_id}/refunds", dependencies=[require("orders:refund")], responses=problems(401, 403, 404, 503))
def list_refunds(order: CurrentOrder, refunds: Annotated[Refunds, Depends(_refunds)]) -> RefundList:
    """What was given back of an order, what is about to be, and how much is left."""
    return refunds.of_order(order.id)


@router.post(
    "/{order_id}/refunds",
    status_code=201,
    dependencies=[require("orders:refund")],
    response_model=RefundView,
    responses={**_PENDING, **problems(400, 401, 403, 404, 409, 422, 503)},
)
async def refund_order(
    wanted: Annotated[RefundRequest, Body(openapi_examples=_EXAMPLES)],
    order: CurrentOrder,
    asker: CurrentPrincipal,
    everything: All,
    once: OnceInWorkflow,
) -> Response:
    """Give money back that was taken for an order, in part or all that is left.

    409 `refund_exceeds_captured` tells what is `refundable`, 409 `refund_refused` what the payment provider said, and
    409 `payment_disputed` that the customer's bank has yet to decide whose the money is.
    """
    desk = RefundDesk(everything.temporal, everything.settings.checkout_answer_seconds)
    path = f"/v1/ops/orders/{order.id}/refunds"

    async def give_back(begun: Begun) -> Answer:
        refund = RefundInput(
            refund_id=begun.resource_id,
            order_id=order.id,
            amount=wanted.amount.amount if wanted.amount else None,
            currency=wanted.amount.currency if wanted.amount else None,
            reason=wanted.reason,
            actor=acting(asker, "orders:refund"),
        )
        return _answer(await desk.give_back(refund), path)

    begun, answer = await once.answer(f"POST {path}", wanted, give_back)
    if answer is not None:
        return answer.response(location=path)
    pending = PendingRefund(id=begun.resource_id, order_id=order.id).model_dump(mode="json")
    return JSONResponse(pending, 202, headers={"Location": path, "Retry-After": "1"})


def _answer(told: RefundAnswer, path: str) -> Answer:
    refund = told.refund
    if refund is None:
        left = {"refundable": told.refundable} if told.refundable else {}
        status, code = status_of_code(told.code), told.code or "conflict"
        return Answer.refusing(HttpProblem(status, code, told.message or "It was refused.", members=left), path)
    if refund.status is RefundStatus.FAILED:
        members = {"refund_id": refund.id, "provider_code": refund.failure_code}
        if refund.failure_code == _DISPUTED_MEANWHILE:
            disputed = PaymentDisputed("The payment was disputed meanwhile.", **members)
            return Answer.refusing(http_problem(disputed), path)
        return Answer.refusing(
            HttpProblem(409, "refund_refused", "The payment provider has refused it.", members=members), path
        )
    return Answer(201, refund.model_dump(mode="json"))
