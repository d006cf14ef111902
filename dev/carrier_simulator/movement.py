"""Parcels move by themselves: the timers are rows, so a restarted simulator continues."""

import asyncio
import time
from contextlib import suppress

from dev.carrier_simulator.shipments import Shipments


class Movement:
    """The background task that moves what is due."""

    def __init__(self, shipments: Shipments) -> None:
        self._shipments = shipments
        self._changed = asyncio.Event()

    def wake(self) -> None:
        """Read the timers again: a booking or a move has set a new one."""
        self._changed.set()

    async def run(self) -> None:
        """Move and sleep, for ever."""
        while True:
            self._changed.clear()
            due = self._shipments.move_due()
            wait = 60.0 if due is None else max(due - time.time(), 0.01)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), timeout=wait)
