"""The simulator's own switches and its journal: what a test uses and Stripe does not have."""

import json
from collections.abc import Callable
from functools import partial
from typing import Annotated, Literal

from fastapi import APIRouter, HTTPException
from fastapi.responses import HTMLResponse
from pydantic import BaseModel, Field

from dev.faults import Faults, fault_router
from dev.outbox import Manners, Outbox
from dev.payment_simulator.bank import Bank
from dev.payment_simulator.errors import Answer, ApiError, Json
from dev.payment_simulator.events import Call, Events
from dev.payment_simulator.gateway import DEFAULT_API_VERSION
from dev.payment_simulator.intents import find_intent
from dev.payment_simulator.later import Later
from dev.payment_simulator.store import Store, new_id

_PAGE = """<!doctype html><meta charset="utf-8"><title>3-D Secure</title>
<body style="font:16px system-ui;max-width:30rem;margin:4rem auto"><h1>Your bank asks</h1>
<p>Did you order for <b>{amount} {currency}</b> (minor units)?</p>
<button onclick="say('succeeded')">Yes, I did</button> <button onclick="say('failed')">No</button>
<script>async function say(outcome) {{
  await fetch('/_control/authenticate', {{method: 'POST', headers: {{'Content-Type': 'application/json'}},
    body: JSON.stringify({{payment_intent: '{intent}', outcome}})}});
  const back = document.body.dataset.back || ''; if (back) location = back; else location.reload();
}} document.body.dataset.back = {back};</script>"""


class Authentication(BaseModel):
    """What the card's holder says."""

    payment_intent: str
    outcome: Literal["succeeded", "failed"] = "succeeded"


class LateSuccess(BaseModel):
    """A payment that was given up, declined or never finished succeeds all the same.

    Its webhook is lost where it is not `told`.
    """

    payment_intent: str
    captured: bool = False
    told: bool = True


class Resend(BaseModel):
    """How to repeat an event."""

    times: Annotated[int, Field(ge=1, le=100)] = 1
    delay_seconds: Annotated[float, Field(ge=0)] = 0.0


def control_router(store: Store, bank: Bank, later: Later, events: Events, outbox: Outbox, faults: Faults) -> APIRouter:
    """All routes under /_control and /_ledger; they bind to this machine and need no key."""
    router = APIRouter()

    router.include_router(fault_router(faults))

    @router.delete("/_control/idempotency_keys")
    async def forget() -> dict[str, int]:
        return {"forgotten": store.forget_answers()}

    @router.get("/_ledger")
    async def ledger(order_id: str | None = None, payment_intent: str | None = None) -> Json:
        return {"data": store.journal(order_id, payment_intent)}

    @router.get("/_control/webhooks")
    async def deliveries(limit: int = 100) -> Json:
        return {"data": outbox.deliveries(limit)}

    @router.put("/_control/webhooks")
    async def behave(manners: Manners) -> Manners:
        outbox.behave(manners)
        return manners

    @router.delete("/_control/webhooks", status_code=204)
    async def behave_well() -> None:
        outbox.behave(Manners())

    @router.post("/_control/later/{name}")
    async def at_once(name: str, fails: bool = False, told: bool = True) -> Json:
        """What the bank would do with this payment or its hold, or this refund, in a while it does now.

        A refund `fails` whatever its card says; the webhook is lost where it is not `told`.
        """
        try:
            return later.do(name, fails=fails, told=told)
        except ApiError as refusal:
            raise HTTPException(404, str(refusal)) from refusal

    _add_actions(router, store, bank, events)
    return router


def _add_actions(router: APIRouter, store: Store, bank: Bank, events: Events) -> None:
    @router.post("/_control/authenticate")
    async def authenticate(said: Authentication) -> Json:
        succeeded = said.outcome == "succeeded"
        return _at_the_bank(
            store, said.payment_intent, "authenticate", True, partial(bank.authenticate, success=succeeded)
        )

    @router.post("/_control/late_success")
    async def late_success(late: LateSuccess) -> Json:
        deed = partial(bank.complete_late, captured=late.captured)
        return _at_the_bank(store, late.payment_intent, "late_success", late.told, deed)

    @router.get("/_control/authenticate/{name}")
    async def challenge(name: str) -> HTMLResponse:
        intent = store.find("payment_intent", name)
        if intent is None or intent["status"] != "requires_action":
            return HTMLResponse("<p>There is nothing to authenticate here.</p>", status_code=404)
        back = (intent["next_action"].get("redirect_to_url") or {}).get("return_url") or ""
        quoted = json.dumps(back).replace("<", "\\u003c")
        page = _PAGE.format(amount=intent["amount"], currency=intent["currency"].upper(), intent=name, back=quoted)
        return HTMLResponse(page)

    @router.post("/_control/events/{name}/resend", status_code=202)
    async def resend(name: str, how: Resend) -> Json:
        try:
            for _ in range(how.times):
                events.resend(name, how.delay_seconds)
        except ApiError as refusal:
            raise HTTPException(404, str(refusal)) from refusal
        return {"queued": how.times}


def _at_the_bank(store: Store, name: str, operation: str, told: bool, deed: Callable[..., Answer]) -> Json:
    """What happens there without anybody calling the API."""
    call = Call(operation, f"/_control/{operation}", None, {}, None, new_id("req"), DEFAULT_API_VERSION, told)
    try:
        with store.database.transaction():
            return deed(find_intent(store, name), call=call).body
    except ApiError as refusal:
        raise HTTPException(refusal.answer.status, refusal.answer.body["error"]["message"]) from refusal
