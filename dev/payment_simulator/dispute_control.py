"""The control API by which a test acts as the customer's bank in a dispute."""

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
    """What is disputed, and until when evidence is due; a test may set the id to know it in advance."""

    payment_intent: str
    id: Annotated[str | None, Field(pattern="^dp_[A-Za-z0-9-]{1,64}$")] = None
    inquiry: bool = False
    due_seconds: Annotated[float, Field(gt=0)] = 7 * 86400


class Verdict(BaseModel):
    """What the bank decides."""

    outcome: Literal["won", "lost"]
    fee_returned: bool = False


def dispute_router(store: Store, disputes: Disputes) -> APIRouter:
    """The routes under /_control/disputes."""
    router = APIRouter(prefix="/_control/disputes")

    def run(operation: Callable[[Call], Json]) -> Json:
        call = Call("dispute", "/_control/disputes", None, {}, None, new_id("req"), DEFAULT_API_VERSION)
        try:
            with store.database.transaction():
                return operation(call)
        except ApiError as refusal:
            raise HTTPException(refusal.answer.status, refusal.answer.body["error"]["message"]) from refusal

    @router.post("", status_code=201)
    async def open_dispute(opening: Opening) -> Json:
        def open_for_charge(call: Call) -> Json:
            intent = find_intent(store, opening.payment_intent)
            charge = store.find("charge", intent["latest_charge"])
            if charge is None:
                raise missing("charge", str(intent["latest_charge"]), param="charge")
            terms = {"id": opening.id} if opening.id else {}
            return disputes.open(charge, call, inquiry=opening.inquiry, due_seconds=opening.due_seconds, **terms)

        return run(open_for_charge)

    @router.post("/{name}/escalate")
    async def escalate(name: str) -> Json:
        return run(lambda call: disputes.escalate(name, call))

    @router.post("/{name}/decide")
    async def decide(name: str, verdict: Verdict) -> Json:
        return run(lambda call: disputes.decide(name, verdict.outcome == "won", verdict.fee_returned, call))

    return router
