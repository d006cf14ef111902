"""The switches by which a test plays the customer's bank in a dispute."""

from collections.abc import Callable
from typing import Annotated, Literal

from fastapi import APIRouter, HTTPException
from pydantic import BaseModel, Field

from dev.payment_simulator.disputes import Disputes
from dev.payment_simulator.errors import ApiError, Json, missing
from dev.payment_simulator.events import Call
from dev.payment_simulator.gateway import DEFAULT_API_VERSION
from dev.payment_simulator.intents import find_intent
from dev.payment_simulator.store import Store, new_id


class Opening(BaseModel):
    """Who disputes what, and until when evidence is wanted; a test that has to know it before may name it."""

    payment_intent: str
    id: Annotated[str | None, Field(pattern="^dp_[A-Za-z0-9-]{1,64}$")] = None
    inquiry: bool = False
    due_seconds: Annotated[float, Field(gt=0)] = 7 * 86400


class Verdict(BaseModel):
    """What the bank says in the end."""

    outcome: Literal["won", "lost"]
    fee_returned: bool = False


def dispute_router(store: Store, disputes: Disputes) -> APIRouter:
    """The routes under /_control/disputes."""
    router = APIRouter(prefix="/_control/disputes")

    def do(deed: Callable[[Call], Json]) -> Json:
        call = Call("dispute", "/_control/disputes", None, {}, None, new_id("req"), DEFAULT_API_VERSION)
        try:
            with store.database.transaction():
                return deed(call)
        except ApiError as refusal:
            raise HTTPException(refusal.answer.status, refusal.answer.body["error"]["message"]) from refusal

    @router.post("", status_code=201)
    async def open_one(wanted: Opening) -> Json:
        def open_it(call: Call) -> Json:
            intent = find_intent(store, wanted.payment_intent)
            charge = store.find("charge", intent["latest_charge"])
            if charge is None:
                raise missing("charge", str(intent["latest_charge"]), param="charge")
            terms = {"id": wanted.id} if wanted.id else {}
            return disputes.open(charge, call, inquiry=wanted.inquiry, due_seconds=wanted.due_seconds, **terms)

        return do(open_it)

    @router.post("/{name}/escalate")
    async def escalate(name: str) -> Json:
        return do(lambda call: disputes.escalate(name, call))

    @router.post("/{name}/decide")
    async def decide(name: str, verdict: Verdict) -> Json:
        return do(lambda call: disputes.decide(name, verdict.outcome == "won", verdict.fee_returned, call))

    return router
