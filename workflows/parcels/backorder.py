"""A parcel that waits for its goods, and for the order's payment once they are there."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta

from temporalio import workflow

from activities.stock import StockActivities
from schemas.fulfilment import FulfilmentInput
from schemas.stock import CheckAllocation
from workflows.stores import on_store
from workflows.timeline import Timeline

# An allocation wakes its parcel; should the signal get lost, it checks by itself, at growing intervals.
_FIRST_CHECK, _LAST_CHECKS = timedelta(hours=1), timedelta(days=1)


class Backorder:
    """Whether the parcel's goods are allocated and paid for."""

    def __init__(self, job: FulfilmentInput, timeline: Timeline) -> None:
        self.signalled = False
        self.awaits_payment = False
        self.over = job.parcel.backordered == 0
        self._command = CheckAllocation(order_id=job.order_id, parcel=job.parcel.number)
        self._timeline = timeline

    async def wait(self, interrupted: Callable[[], bool]) -> None:
        """Wait until it is over, or interrupted."""
        await self._wait_for_allocation(interrupted)
        await workflow.wait_condition(lambda: interrupted() or not self.awaits_payment)
        self.over = not interrupted()

    async def _wait_for_allocation(self, interrupted: Callable[[], bool]) -> None:
        units, pause = -1, _FIRST_CHECK
        while not interrupted() and (missing := await self._check()):
            if missing != units:
                self._timeline.add(f"waits for {missing} backordered unit(s)")
            units = missing
            with suppress(asyncio.TimeoutError):
                await workflow.wait_condition(
                    lambda: self.signalled or interrupted(),
                    timeout=pause,
                    timeout_summary=f"{missing} unit(s) backordered",
                )
            pause = min(2 * pause, _LAST_CHECKS)
        if not interrupted():
            self._timeline.add("backorder allocated")

    async def _check(self) -> int:
        self.signalled = False
        found = await on_store(StockActivities.check_allocation, self._command, "check the allocation", self._timeline)
        return found.units
