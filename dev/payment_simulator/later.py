"""What the bank does by itself after a while: it decides, lets go of holds, and comes to an end with refunds."""

import asyncio
import time

from dev.payment_simulator.bank import Bank
from dev.payment_simulator.errors import Json, missing
from dev.payment_simulator.events import Call
from dev.payment_simulator.gateway import DEFAULT_API_VERSION
from dev.payment_simulator.store import Store, new_id

_TICK_SECONDS = 0.2


class Later:
    """Does what is due; a switch makes something due at once."""

    def __init__(self, store: Store, bank: Bank) -> None:
        self._store = store
        self._bank = bank

    async def run(self) -> None:
        """Look what is due, for ever."""
        while True:
            for name in self._store.due(time.time()):
                self.do(name)
            await asyncio.sleep(_TICK_SECONDS)

    def do(self, name: str, *, fails: bool = False, told: bool = True) -> Json:
        """Decide about this payment, or let go of its hold, or come to the end of this refund; once."""
        call = Call("later", "/_control/later", None, {}, None, new_id("req"), DEFAULT_API_VERSION, told)
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
