"""The order's stock reservation: extended while the order runs, so that only a lost order's reservation expires."""

import asyncio
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import FailureError

from activities.stock import StockActivities
from domain.actors import SYSTEM_ACTOR
from schemas.stock import ExtendReservation, ReleaseStock
from workflows.parcels.allocations import signal_allocations
from workflows.reasons import reason_of
from workflows.stores import on_store
from workflows.timeline import Timeline

UNKNOWN_RESERVATION = "unknown_reservation"
# Of the time it is held: early enough for workers that are away for hours, late enough to cost a month little.
_EXTEND_AFTER = 0.75


class StockReservation:
    """Extends and releases the reservation.

    One timer at a time beside the order's steps; it never fires for an order that completes within its first term.
    """

    def __init__(self, order_id: str, timeline: Timeline) -> None:
        self._order_id = order_id
        self._timeline = timeline
        self._task: asyncio.Task[None] | None = None

    def start(self, reservation_seconds: int) -> None:
        """Extend the reservation from now on."""
        self._task = asyncio.create_task(self._keep_extending(reservation_seconds))

    def stop(self) -> None:
        """Nothing is reserved any more: everything was dispatched or released."""
        if self._task is not None:
            self._task.cancel()

    async def release(self, parcels: list[int] | None = None) -> None:
        """Release the stock, and the use of the voucher: the compensation of placing the order.

        Of an order that keeps other parcels, the stock of these alone.

        Runs also for an order that, as far as this run knows, has reserved nothing yet: a worker that was killed may
        have placed it, and a local activity that Temporal never recorded is in no history.
        """
        what = "the order was" if parcels is None else f"parcel {', '.join(map(str, parcels))} was"
        reason = f"{what} cancelled or failed"
        command = ReleaseStock(order_id=self._order_id, actor=SYSTEM_ACTOR, reason=reason, parcels=parcels)
        try:
            released = await on_store(StockActivities.release_stock, command, "release the stock", self._timeline)
        except FailureError as failure:
            # An order that was never placed reserved nothing, because both are one transaction: nothing to undo.
            if reason_of(failure).code != UNKNOWN_RESERVATION:
                raise
            return
        if parcels is None:
            self.stop()
        if released.units:
            self._timeline.add(f"{released.units} unit(s) released")
        await signal_allocations(released.allocated)

    async def _keep_extending(self, reservation_seconds: int) -> None:
        while reservation_seconds > 0:
            await workflow.sleep(
                timedelta(seconds=reservation_seconds * _EXTEND_AFTER), summary="extend the reservation"
            )
            reservation_seconds = await self._extend()

    async def _extend(self) -> int:
        try:
            extended = await on_store(
                StockActivities.extend_reservation,
                ExtendReservation(order_id=self._order_id),
                "extend the reservation",
                self._timeline,
            )
        except FailureError as failure:
            if reason_of(failure).code != UNKNOWN_RESERVATION:
                raise
            self._timeline.add("⚠ the reservation has expired")
            return 0
        return extended.reservation_seconds
