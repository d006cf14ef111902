"""Disputes, for staff: what is due by when, and what they do about it."""

import re
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Path, Query, Response
from fastapi.concurrency import run_in_threadpool

from adapters.mysql.idempotency import Begun
from adapters.mysql.payments.disputes import Disputes
from api.answers import Answer, accepted
from api.deps import DisputeStore, DisputeWorkflows
from api.errors import problems
from api.idempotency import OnceInWorkflow
from api.permissions import CurrentPrincipal, acting, require
from domain.errors import NotFound
from schemas.disputes import DisputeDecisionRequest, DisputePage, DisputeView, EvidenceRequest, OperatorDecision

router = APIRouter(prefix="/v1/ops/disputes", tags=["operations"])

_ID = re.compile(r"[A-Za-z0-9_-]{1,100}")
_MAY = require("disputes:manage")
_RESPONSES: dict[int | str, dict[str, Any]] = {
    202: {"model": DisputeView, "description": "Still being processed; send the same request again"},
    **problems(400, 401, 403, 404, 409, 422, 503),
}
_EVIDENCE = {
    "delivered": {
        "value": {
            "text": "Delivered on 3 May, signed for by A. Lovelace; tracking number SIM000000000042.",
            "reason": "the carrier has a signature",
        }
    }
}
_ACCEPT = {"ours": {"value": {"reason": "the parcel was lost"}}}
_RELEASE = {"known": {"value": {"reason": "the customer called: a mistake; the dispute is being withdrawn"}}}
_Update = Callable[[str, str, OperatorDecision], Awaitable[DisputeView]]


def _existing(dispute_id: Annotated[str, Path()], disputes: DisputeStore) -> DisputeView:
    """Looked up before anything else about the request is checked."""
    found = disputes.get(dispute_id) if _ID.fullmatch(dispute_id) else None
    if found is None:
        raise NotFound("There is no such dispute.")
    return found


ThisDispute = Annotated[DisputeView, Depends(_existing)]


class _Decisions:
    """Has an operator's decision carried out once per Idempotency-Key."""

    def __init__(self, once: OnceInWorkflow, actor: str, disputes: Disputes) -> None:
        self._once = once
        self._actor = actor
        self._disputes = disputes

    async def carry_out(
        self,
        what: str,
        dispute: DisputeView,
        request: EvidenceRequest | DisputeDecisionRequest,
        update: _Update,
    ) -> Response:
        text = request.text if isinstance(request, EvidenceRequest) else None
        decision = OperatorDecision(actor=self._actor, reason=request.reason, text=text)

        async def ask(begun: Begun) -> Answer:
            return Answer.showing(await update(dispute.id, begun.resource_id, decision))

        _, answer = await self._once.answer(f"POST /v1/ops/disputes/{dispute.id}/{what}", request, ask)
        if answer is not None:
            return answer.response()
        latest = await run_in_threadpool(self._disputes.get, dispute.id)
        return accepted(latest or dispute, self._once.key_of(request))


async def _decisions(once: OnceInWorkflow, asker: CurrentPrincipal, disputes: DisputeStore) -> _Decisions:
    return _Decisions(once, acting(asker, "disputes:manage"), disputes)


Decisions = Annotated[_Decisions, Depends(_decisions)]


@router.get("", dependencies=[_MAY], responses=problems(401, 403, 422, 503))
def list_disputes(
    disputes: DisputeStore,
    cursor: Annotated[str | None, Query(pattern=r"^[01]-[0-9]{1,18}$")] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
) -> DisputePage:
    """Disputes, open ones first: until when evidence is due, what was done, whether parcels are on hold."""
    after = None
    if cursor is not None:
        is_open, _, number = cursor.partition("-")
        after = (is_open == "1", int(number))
    return disputes.page(after, limit)


@router.get("/{dispute_id}", dependencies=[_MAY], responses=problems(401, 403, 404, 422, 503))
def read_dispute(dispute: ThisDispute) -> DisputeView:
    """One dispute."""
    return dispute


@router.post("/{dispute_id}/evidence", dependencies=[_MAY], response_model=DisputeView, responses=_RESPONSES)
async def submit_evidence(
    body: Annotated[EvidenceRequest, Body(openapi_examples=_EVIDENCE)],
    dispute: ThisDispute,
    decisions: Decisions,
    disputes: DisputeWorkflows,
) -> Response:
    """Send evidence to the bank. 409 `dispute_closed` once it is decided, `dispute_refused` by the provider."""
    return await decisions.carry_out("evidence", dispute, body, disputes.submit_evidence)


@router.post("/{dispute_id}/accept", dependencies=[_MAY], response_model=DisputeView, responses=_RESPONSES)
async def accept_dispute(
    body: Annotated[DisputeDecisionRequest, Body(openapi_examples=_ACCEPT)],
    dispute: ThisDispute,
    decisions: Decisions,
    disputes: DisputeWorkflows,
) -> Response:
    """Accept the dispute: the money stays with the customer, and parcels not yet dispatched are cancelled.

    409 `dispute_closed` once it is decided.
    """
    return await decisions.carry_out("accept", dispute, body, disputes.accept)


@router.post("/{dispute_id}/release", dependencies=[_MAY], response_model=DisputeView, responses=_RESPONSES)
async def release_order(
    body: Annotated[DisputeDecisionRequest, Body(openapi_examples=_RELEASE)],
    dispute: ThisDispute,
    decisions: Decisions,
    disputes: DisputeWorkflows,
) -> Response:
    """Release the order's parcels although the dispute is not decided. 409 `dispute_closed`, `not_on_hold`."""
    return await decisions.carry_out("release", dispute, body, disputes.release)
