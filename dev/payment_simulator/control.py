"""The simulator's control API and its journal, which Stripe does not have."""

import json
from collections.abc import Callable
from functools import partial
from typing import Annotated, Literal

from fastapi import APIRouter, HTTPException
from fastapi.responses import HTMLResponse
from pydantic import BaseModel, Field

from dev.faults import Faults, fault_router
from dev.outbox import DeliveryOptions, Outbox
from dev.payment_simulator.bank import Bank
from dev.payment_simulator.errors import Answer, ApiError, Json
from dev.payment_simulator.events import Call, Events
from dev.payment_simulator.gateway import DEFAULT_API_VERSION
from dev.payment_simulator.intents import find_intent
from dev.payment_simulator.store import Store, new_id
from dev.payment_simulator.timers import Timers

_PAGE = """<!doctype html><meta charset="utf-8"><title>3-D Secure</title>
<body style="font:16px system-ui;max-width:30rem;margin:4rem auto"><h1>Your bank asks you to confirm</h1>
<p>A payment of <b>{amount} {currency}</b> (minor units).</p>
<button onclick="answer('succeeded')">Confirm</button> <button onclick="answer('failed')">Reject</button>
<script>async function answer(outcome) {{
  await fetch('/_control/authenticate', {{method: 'POST', headers: {{'Content-Type': 'application/json'}},
    body: JSON.stringify({{payment_intent: '{intent}', outcome}})}});
  const back = document.body.dataset.back || ''; if (back) location = back; else location.reload();
}} document.body.dataset.back = {back};</script>"""


class Authentication(BaseModel):
    """How the cardholder answers."""

    payment_intent: str
    outcome: Literal["succeeded", "failed"] = "succeeded"


class LateSuccess(BaseModel):
    """A canceled, declined or unfinished payment succeeds after all; without `send_webhook` its webhook is lost."""

    payment_intent: str
    captured: bool = False
    send_webhook: bool = True


class Resend(BaseModel):
    """How to repeat an event."""

    times: Annotated[int, Field(ge=1, le=100)] = 1
    delay_seconds: Annotated[float, Field(ge=0)] = 0.0


def control_router(
    store: Store, bank: Bank, timers: Timers, events: Events, outbox: Outbox, faults: Faults
) -> APIRouter:
    """All routes under /_control and /_ledger; they bind to this machine and need no key."""
    router = APIRouter()

    router.include_router(fault_router(faults))

    @router.delete("/_control/idempotency_keys")
    async def forget() -> dict[str, int]:
        return {"forgotten": store.forget_answers()}

    @router.get("/_ledger")
    async def ledger(order_id: str | None = None, payment_intent: str | None = None) -> Json:
        return {"data": store.journal(order_id, payment_intent)}

    @router.post("/_control/advance/{name}")
    async def advance(name: str, fails: bool = False, send_webhook: bool = True) -> Json:
        """Do now what the bank would do later with this payment, its authorization or this refund.

        With `fails` a refund fails whatever its card says; without `send_webhook` the webhook is lost.
        """
        try:
            return timers.advance(name, fails=fails, send_webhook=send_webhook)
        except ApiError as refusal:
            raise HTTPException(404, str(refusal)) from refusal

    _add_webhooks(router, outbox)
    _add_actions(router, store, bank, events)
    return router


def _add_webhooks(router: APIRouter, outbox: Outbox) -> None:
    @router.get("/_control/webhooks")
    async def deliveries(limit: int = 100) -> Json:
        return {"data": outbox.deliveries(limit)}

    @router.put("/_control/webhooks")
    async def set_delivery(options: DeliveryOptions) -> DeliveryOptions:
        outbox.set_delivery(options)
        return options

    @router.delete("/_control/webhooks", status_code=204)
    async def reset_delivery() -> None:
        outbox.set_delivery(DeliveryOptions())


def _add_actions(router: APIRouter, store: Store, bank: Bank, events: Events) -> None:
    @router.post("/_control/authenticate")
    async def authenticate(answer: Authentication) -> Json:
        succeeded = answer.outcome == "succeeded"
        return _act_as_bank(
            store, answer.payment_intent, "authenticate", True, partial(bank.authenticate, success=succeeded)
        )

    @router.post("/_control/succeed_late")
    async def succeed_late(late: LateSuccess) -> Json:
        succeed = partial(bank.succeed_late, captured=late.captured)
        return _act_as_bank(store, late.payment_intent, "succeed_late", late.send_webhook, succeed)

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
    async def resend(name: str, request: Resend) -> Json:
        try:
            for _ in range(request.times):
                events.resend(name, request.delay_seconds)
        except ApiError as refusal:
            raise HTTPException(404, str(refusal)) from refusal
        return {"queued": request.times}


def _act_as_bank(store: Store, name: str, operation: str, send_webhook: bool, act: Callable[..., Answer]) -> Json:
    """An action of the bank, which no API request causes."""
    call = Call(operation, f"/_control/{operation}", None, {}, None, new_id("req"), DEFAULT_API_VERSION, send_webhook)
    try:
        with store.database.transaction():
            return act(find_intent(store, name), call=call).body
    except ApiError as refusal:
        raise HTTPException(refusal.answer.status, refusal.answer.body["error"]["message"]) from refusal
