"""What a dispute means for a running order: nothing is dispatched until the bank has decided, or staff release it."""

import asyncio
from collections.abc import Callable

from temporalio import workflow
from temporalio.exceptions import FailureError

from schemas.disputes import DisputeUpdated
from workflows.orders.parcels import OrderParcels
from workflows.orders.records import OrderRecorder
from workflows.reasons import reason_of

_MOVED_ON = "illegal_move"  # a parcel was dispatched meanwhile


class DisputeHold:
    """Puts the parcels on hold while a dispute is undecided, and stops the order when one is lost."""

    def __init__(self, parcels: OrderParcels, recorder: OrderRecorder, stop: Callable[[str], None]) -> None:
        self._parcels = parcels
        self._recorder = recorder
        self._stop = stop
        self._undecided: set[str] = set()
        self._lost = self._closed = self._shown = False
        self._changes = 0
        self._settling = asyncio.Lock()

    async def apply(self, update: DisputeUpdated) -> None:
        """A DisputeWorkflow reports its dispute; the last update counts."""
        if update.frozen:
            self._undecided.add(update.dispute_id)
        else:
            self._undecided.discard(update.dispute_id)
        self._lost = self._lost or update.lost
        self._parcels.on_hold = bool(self._undecided)  # a parcel that starts from now on starts on hold
        await workflow.wait_condition(lambda: self._closed or self._lost or self._parcels.started)
        async with self._settling:
            if not self._closed:
                await self._settle()

    def close(self) -> None:
        """The order is being compensated."""
        self._closed = True

    async def _settle(self) -> None:
        if self._lost:
            if not self._parcels.all_are_decided:
                self._stop("the payment was charged back")
            return
        hold = bool(self._undecided)
        self._changes += 1
        await self._parcels.hold(on=hold)
        if hold and not self._shown and not self._parcels.any_is_decided():
            self._shown = await self._record("on-hold", on=True)
        elif not hold and self._shown:
            self._shown = False
            await self._record("released", on=False)

    async def _record(self, step: str, *, on: bool) -> bool:
        try:
            await self._recorder.record_hold(f"{step}-{self._changes}", on=on)
        except FailureError as failure:
            if reason_of(failure).code != _MOVED_ON:
                raise
            return False
        return True
