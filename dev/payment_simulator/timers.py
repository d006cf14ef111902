"""What a bank does by itself after a while: decide about payments, let authorizations expire, settle refunds."""

import asyncio
import time

from dev.payment_simulator.bank import Bank
from dev.payment_simulator.errors import Json, missing
from dev.payment_simulator.events import Call
from dev.payment_simulator.gateway import DEFAULT_API_VERSION
from dev.payment_simulator.store import Store, new_id

_TICK_SECONDS = 0.2


class Timers:
    """Runs what is due; a control request makes it due at once."""

    def __init__(self, store: Store, bank: Bank) -> None:
        self._store = store
        self._bank = bank

    async def run(self) -> None:
        """Run what is due, for ever."""
        while True:
            for name in self._store.due(time.time()):
                self.advance(name)
            await asyncio.sleep(_TICK_SECONDS)

    def advance(self, name: str, *, fails: bool = False, send_webhook: bool = True) -> Json:
        """Decide about this payment, let its authorization expire, or settle this refund; once."""
        call = Call("advance", "/_control/advance", None, {}, None, new_id("req"), DEFAULT_API_VERSION, send_webhook)
        with self._store.database.transaction():
            self._store.done(name)
            if (intent := self._store.find("payment_intent", name)) is not None:
                if intent["status"] == "processing":
                    self._bank.end_processing(intent, call)
                elif intent["status"] == "requires_capture":
                    self._bank.cancel(intent, "automatic", call)
                return intent
            if (refund := self._store.find("refund", name)) is not None:
                self._bank.end_refund(refund, fails, call)
                return refund
        raise missing("object", name)
