"""Whether stock and payments agree with their ledgers, for staff, and what they decide about payments."""

import re
from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Path, Query, Response
from fastapi.responses import JSONResponse

from adapters.mysql.idempotency import Begun
from api.answers import Answer
from api.deps import DifferenceStore, RepairWorkflows, StockReconciliationStore
from api.errors import HttpProblem, problems, status_of_code
from api.idempotency import OnceInWorkflow
from api.permissions import CurrentPrincipal, acting, require
from domain.errors import Conflict, InvalidRequest, NotFound
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
    202: {"description": "Decided; the repair is still running, and the list of differences shows the result"}
}


def _existing(difference_id: Annotated[str, Path()], differences: DifferenceStore) -> int:
    """Looked up before anything else about the request is checked."""
    if not _NUMBER.fullmatch(difference_id) or not differences.exists(int(difference_id)):
        raise NotFound("There is no such difference.")
    return int(difference_id)


@router.get("", dependencies=[require("ops:reconcile")], responses=problems(401, 403, 422, 503))
def list_reconciliations(
    runs: StockReconciliationStore,
    cursor: Annotated[int | None, Query(ge=0, le=2**62)] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
) -> ReconciliationPage:
    """The hourly comparisons of stock ledger, balances and reservations with their findings, newest first."""
    return runs.page(cursor, limit)


@router.get("/payments", dependencies=[require("ops:reconcile")], responses=problems(401, 403, 422, 503))
def list_payment_differences(
    differences: DifferenceStore,
    cursor: Annotated[str | None, Query(max_length=30)] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
) -> PaymentDifferencePage:
    """Differences between payment provider, ledger and orders: open, being repaired, watched, then past ones."""
    found = _CURSOR.fullmatch(cursor) if cursor else None
    if cursor and found is None:
        raise InvalidRequest("The cursor is not valid here.")
    return differences.page((int(found[1]), int(found[2])) if found else None, limit)


@router.post(
    "/payments/differences/{difference_id}/decision",
    dependencies=[require("payments:repair")],
    response_model=PaymentDifference,
    responses={**_PENDING, **problems(400, 401, 403, 404, 409, 422, 503)},
)
async def decide_about_difference(
    difference_id: Annotated[int, Depends(_existing)],
    body: Annotated[DifferenceDecisionRequest, Body(openapi_examples=_EXAMPLES)],
    asker: CurrentPrincipal,
    repairs: RepairWorkflows,
    once: OnceInWorkflow,
) -> Response:
    """Apply the proposed repair, or dismiss the difference; it stays dismissed until its amounts change.

    All sides are read again before money is moved: a difference that is gone by then is `resolved_itself`. When a
    repair cannot be completed the difference is `open` again with a `note`. 409 `no_repair` when no repair is
    proposed, 409 `difference_decided` when somebody has decided before.
    """

    async def ask(begun: Begun) -> Answer:
        decision = DecideDifference(
            decision_id=begun.resource_id,
            difference_id=difference_id,
            action=body.action,
            reason=body.reason,
            actor=acting(asker, "payments:repair"),
        )
        return _answer(await repairs.decide(decision))

    _, answer = await once.answer(f"POST {_PATH}/differences/{difference_id}/decision", body, ask)
    if answer is not None:
        return answer.response()
    return JSONResponse({"id": difference_id, "status": "repairing"}, 202, headers={"Location": _PATH})


def _answer(answer: DecisionAnswer) -> Answer:
    if answer.difference is None:
        problem = HttpProblem(
            status_of_code(answer.code), answer.code or Conflict.code, answer.message or "The decision was refused."
        )
        return Answer.refusing(problem, _PATH)
    return Answer.showing(answer.difference)
