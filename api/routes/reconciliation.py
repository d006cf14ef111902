"""Whether the books of stock and of payments agree, for staff, and what they decide about payments."""

import re
from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Path, Query, Response
from fastapi.responses import JSONResponse

from adapters.mysql.idempotency import Begun
from adapters.mysql.orders.stock_reconciliations import StockReconciliations
from adapters.mysql.payments.differences import PaymentDifferences
from api.deps import All, AppConnections
from api.errors import HttpProblem, problems, status_of_code
from api.idempotency import Answer, OnceInWorkflow
from api.permissions import CurrentPrincipal, acting, require
from api.repair_desk import RepairDesk
from domain.errors import InvalidRequest, NotFound
from schemas.payment_reconciliation import (
    DecideDifference,
    DecisionAnswer,
    DifferenceDecisionRequest,
    PaymentDifference,
    PaymentDifferencePage,
)
from schemas.stock_upkeep import ReconciliationPage

router = APIRouter(prefix="/v1/ops/reconciliation", tags=["operations"])
_CURSOR = re.compile(r"([0-3])\.([0-9]{1,18})")
_NUMBER = re.compile(r"[0-9]{1,18}")
_PATH = "/v1/ops/reconciliation/payments"
_EXAMPLES = {
    "repair it": {"value": {"action": "apply", "reason": "seen in the provider's dashboard, too"}},
    "leave it": {"value": {"action": "dismiss", "reason": "settled with the customer by bank transfer"}},
}
_PENDING: dict[int | str, dict[str, Any]] = {
    202: {"description": "Decided; the repair is still at work, and the list of differences will tell"}
}


def _reconciliations(connections: AppConnections) -> StockReconciliations:
    return StockReconciliations(connections.engine)


def _differences(everything: All) -> PaymentDifferences:
    return PaymentDifferences(everything.connections.engine, everything.settings.reconciliation_grace)


def _existing(
    difference_id: Annotated[str, Path()], differences: Annotated[PaymentDifferences, Depends(_differences)]
) -> int:
    """Found before anything else is said about the request."""
    if not _NUMBER.fullmatch(difference_id) or not differences.exists(int(difference_id)):
        raise NotFound("There is no such difference.")
    return int(difference_id)


@router.get("", dependencies=[require("ops:reconcile")], responses=problems(401, 403, 422, 503))
def list_reconciliations(
    runs: Annotated[StockReconciliations, Depends(_reconciliations)],
    cursor: Annotated[int | None, Query(ge=0, le=2**62)] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
) -> ReconciliationPage:
    """The hourly comparisons of ledger, balances and reservations, newest first, with what they found."""
    return runs.page(cursor, limit)


@router.get("/payments", dependencies=[require("ops:reconcile")], responses=problems(401, 403, 422, 503))
def list_payment_differences(
    differences: Annotated[PaymentDifferences, Depends(_differences)],
    cursor: Annotated[str | None, Query(max_length=30)] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
) -> PaymentDifferencePage:
    """What payment provider, ledger and orders disagree on: open first, then being repaired, watched, and the past."""
    found = _CURSOR.fullmatch(cursor) if cursor else None
    if cursor and found is None:
        raise InvalidRequest("This is no cursor of this list.")
    return differences.page((int(found[1]), int(found[2])) if found else None, limit)


@router.post(
    "/payments/differences/{difference_id}/decision",
    dependencies=[require("payments:repair")],
    response_model=PaymentDifference,
    responses={**_PENDING, **problems(400, 401, 403, 404, 409, 422, 503)},
)
async def decide_about_difference(
    difference_id: Annotated[int, Depends(_existing)],
    wanted: Annotated[DifferenceDecisionRequest, Body(openapi_examples=_EXAMPLES)],
    asker: CurrentPrincipal,
    everything: All,
    once: OnceInWorkflow,
) -> Response:
    """Apply the proposed repair, or dismiss the difference for good; it stays dismissed until its amounts change.

    All sides are asked anew before anything moves: what is gone meanwhile is `resolved_itself`. What a repair does not
    bring to an end is `open` again with a `note`. 409 `no_repair` where only a person can help, 409
    `difference_decided` where somebody has decided before.
    """
    desk = RepairDesk(everything.temporal, everything.settings.checkout_answer_seconds)

    async def decide(begun: Begun) -> Answer:
        decision = DecideDifference(
            decision_id=begun.resource_id,
            difference_id=difference_id,
            action=wanted.action,
            reason=wanted.reason,
            actor=acting(asker, "payments:repair"),
        )
        return _answer(await desk.decide(decision))

    _, answer = await once.answer(f"POST {_PATH}/differences/{difference_id}/decision", wanted, decide)
    if answer is not None:
        return answer.response()
    return JSONResponse({"id": difference_id, "status": "repairing"}, 202, headers={"Location": _PATH})


def _answer(told: DecisionAnswer) -> Answer:
    if told.difference is None:
        problem = HttpProblem(status_of_code(told.code), told.code or "conflict", told.message or "It was refused.")
        return Answer.refusing(problem, _PATH)
    return Answer(200, told.difference.model_dump(mode="json"))
