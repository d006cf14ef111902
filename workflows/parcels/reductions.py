"""Taking cancelled units out of a parcel that was not dispatched."""

from collections.abc import Awaitable, Callable

from activities.fulfilment import FulfilmentActivities
from domain.fulfilment import ParcelStatus
from schemas.fulfilment import ReduceParcel, Reduction
from workflows.parcels.backorder import Backorder
from workflows.parcels.parcel_record import ParcelRecord
from workflows.stores import on_store
from workflows.timeline import Timeline


class Reductions:
    """What the order has asked to take out, one at a time; each is answered to it."""

    def __init__(self, parcel: ParcelRecord, backorder: Backorder, timeline: Timeline) -> None:
        self.waiting: list[ReduceParcel] = []
        self._parcel = parcel
        self._backorder = backorder
        self._timeline = timeline

    async def apply_next(self, cancel_booking: Callable[[str], Awaitable[bool]]) -> None:
        """Take out the next, unless the carrier does not give a booked parcel back; it is booked again after that."""
        command, reduced = self.waiting.pop(0), None
        if self._parcel.status is ParcelStatus.BOOKED:
            await cancel_booking("reduce")
        if self._parcel.status.is_without_booking:
            text = f"take out {sum(line.quantity for line in command.lines)} unit(s)"
            reduced = await on_store(FulfilmentActivities.reduce_parcel, command, text, self._timeline)
            self._parcel.plan = reduced.plan
            self._backorder.signalled = True  # what is left may be complete
            self._timeline.add(text)
        await self._parcel.signal_order(reduction=Reduction(step=command.step, reduced=reduced))
