"""Disputes, for staff: what is owed by when, and what they do about it."""

import re
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Path, Query, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from adapters.mysql.idempotency import Begun
from adapters.mysql.payments.disputes import Disputes
from api.deps import All, AppConnections
from api.dispute_desk import DisputeDesk
from api.errors import problems
from api.idempotency import Answer, OnceInWorkflow
from api.permissions import CurrentPrincipal, acting, require
from domain.errors import NotFound
from schemas.disputes import DisputeDecisionRequest, DisputePage, DisputeView, EvidenceRequest, OperatorDecision

router = APIRouter(prefix="/v1/ops/disputes", tags=["operations"])

_ID = re.compile(r"[A-Za-z0-9_-]{1,100}")
_MAY = require("disputes:manage")
_RESPONSES: dict[int | str, dict[str, Any]] = {
    202: {"model": DisputeView, "description": "The provider is still thinking; send the same request again"},
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
_ACCEPT = {"ours": {"value": {"reason": "the parcel was lost indeed"}}}
_RELEASE = {"known": {"value": {"reason": "the customer called: a mistake, and it is being withdrawn"}}}
_Do = Callable[[DisputeDesk, str, str, OperatorDecision], Awaitable[DisputeView]]


def _disputes(connections: AppConnections) -> Disputes:
    return Disputes(connections.engine)


DisputeStore = Annotated[Disputes, Depends(_disputes)]


def _kept(dispute_id: Annotated[str, Path()], disputes: DisputeStore) -> DisputeView:
    """Found before anything else is said about the request."""
    found = disputes.get(dispute_id) if _ID.fullmatch(dispute_id) else None
    if found is None:
        raise NotFound("There is no such dispute.")
    return found


Kept = Annotated[DisputeView, Depends(_kept)]


class _Act:
    """Has an operator's decision carried out once per Idempotency-Key."""

    def __init__(self, everything: All, once: OnceInWorkflow, asker: CurrentPrincipal, disputes: DisputeStore) -> None:
        self._desk = DisputeDesk(everything.temporal, everything.settings.checkout_answer_seconds)
        self._once = once
        self._actor = acting(asker, "disputes:manage")
        self._disputes = disputes

    async def __call__(
        self, kept: DisputeView, what: str, wanted: BaseModel, do: _Do, reason: str, text: str | None = None
    ) -> Response:
        decision = OperatorDecision(actor=self._actor, reason=reason, text=text)

        async def deed(begun: Begun) -> Answer:
            view = await do(self._desk, kept.id, begun.resource_id, decision)
            return Answer(200, view.model_dump(mode="json"))

        _, answer = await self._once.answer(f"POST /v1/ops/disputes/{kept.id}/{what}", wanted, deed)
        if answer is not None:
            return answer.response()
        latest = await run_in_threadpool(self._disputes.get, kept.id) or kept
        return JSONResponse(latest.model_dump(mode="json"), 202, headers={"Retry-After": "1"})


Act = Annotated[_Act, Depends()]


@router.get("", dependencies=[_MAY], responses=problems(401, 403, 422, 503))
def list_disputes(
    disputes: DisputeStore,
    cursor: Annotated[str | None, Query(pattern=r"^[01]-[0-9]{1,18}$")] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
) -> DisputePage:
    """Disputes, the open ones first: until when evidence is wanted, what was done, whether parcels are on hold."""
    after = None
    if cursor is not None:
        is_open, _, number = cursor.partition("-")
        after = (is_open == "1", int(number))
    return disputes.page(after, limit)


@router.get("/{dispute_id}", dependencies=[_MAY], responses=problems(401, 403, 404, 422, 503))
def read_dispute(kept: Kept) -> DisputeView:
    """One dispute."""
    return kept


@router.post("/{dispute_id}/evidence", dependencies=[_MAY], response_model=DisputeView, responses=_RESPONSES)
async def submit_evidence(
    wanted: Annotated[EvidenceRequest, Body(openapi_examples=_EVIDENCE)], kept: Kept, act: Act
) -> Response:
    """Send the bank what speaks for us. 409 `dispute_closed` once it is decided, `dispute_refused` by the provider."""
    return await act(kept, "evidence", wanted, DisputeDesk.submit_evidence, wanted.reason, wanted.text)


@router.post("/{dispute_id}/accept", dependencies=[_MAY], response_model=DisputeView, responses=_RESPONSES)
async def accept_dispute(
    wanted: Annotated[DisputeDecisionRequest, Body(openapi_examples=_ACCEPT)], kept: Kept, act: Act
) -> Response:
    """Give in: the money stays with the customer, and what has not left is not sent. 409 `dispute_closed`."""
    return await act(kept, "accept", wanted, DisputeDesk.accept, wanted.reason)


@router.post("/{dispute_id}/release", dependencies=[_MAY], response_model=DisputeView, responses=_RESPONSES)
async def release_order(
    wanted: Annotated[DisputeDecisionRequest, Body(openapi_examples=_RELEASE)], kept: Kept, act: Act
) -> Response:
    """Let the order's parcels go although the dispute is not decided. 409 `dispute_closed`, `not_on_hold`."""
    return await act(kept, "release", wanted, DisputeDesk.release, wanted.reason)
