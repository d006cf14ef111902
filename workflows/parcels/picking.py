"""Picking: a parcel whose warehouse asks for it is booked only once staff have said what they have picked."""

from collections import Counter

from temporalio.exceptions import ApplicationError, FailureError

from activities.fulfilment import FulfilmentActivities
from domain.errors import AlreadyPicked, PickMismatch
from domain.parcels import check_pick
from schemas.fulfilment import FulfilmentInput
from schemas.picking import ParcelPicked, PickParcel, RecordPick
from workflows.parcels.backorder import Backorder
from workflows.parcels.parcel_record import ParcelRecord
from workflows.reasons import reason_of
from workflows.stores import on_store
from workflows.timeline import Timeline

_NOT_WAITING, _ON_HOLD = "parcel_not_waiting", "parcel_on_hold"


class Picking:
    """What was picked of the parcel. What was missing the order takes out of it before it is booked, see
    docs/decisions/0029.
    """

    def __init__(self, job: FulfilmentInput, parcel: ParcelRecord, backorder: Backorder, timeline: Timeline) -> None:
        self._order_id = job.order_id
        self._required = job.parcel.pick_required
        self._parcel = parcel
        self._backorder = backorder
        self._timeline = timeline
        if self._required:
            timeline.add("is booked once its pick is confirmed")

    @property
    def over(self) -> bool:
        """Whether the parcel may be booked: nobody has to pick it, or it was picked, has nothing in it that was
        missing, and is paid for.
        """
        return not self._required or (self._parcel.picked is not None and not self._missing and self._is_paid_for)

    def check_may(self, pick: PickParcel, *, on_hold: bool, stopping: bool) -> None:
        """Raise ApplicationError unless the parcel waits for this pick, or it is the one that was recorded."""
        if (picked := self._parcel.picked) is not None:
            if picked.units != pick.units:
                message = "Another pick of the parcel is recorded already."
                raise ApplicationError(message, type=AlreadyPicked.code)
            return
        if not (self._required and self._parcel.status.is_without_booking):
            raise ApplicationError("The parcel waits for no pick.", type=_NOT_WAITING)
        if stopping:
            raise ApplicationError("The parcel is being cancelled.", type=_NOT_WAITING)
        if not self._backorder.over:
            raise ApplicationError("The goods of the parcel have not all arrived yet.", type=_NOT_WAITING)
        if on_hold:
            raise ApplicationError("The parcel is on hold: put what was picked aside.", type=_ON_HOLD)
        try:
            check_pick(self._parcel.plan.contents, pick.units)
        except PickMismatch as mismatch:
            raise ApplicationError(mismatch.message, type=mismatch.code) from None

    async def confirm(self, pick: PickParcel) -> ParcelPicked:
        """Record it, and have the order cancel what was missing. Raises ApplicationError when the parcel was stopped,
        changed or picked meanwhile: what is recorded decides.
        """
        command = RecordPick(
            order_id=self._order_id, number=self._parcel.plan.number, lines=pick.lines, actor=pick.actor
        )
        try:
            picked = await on_store(FulfilmentActivities.record_pick, command, "record the pick", self._timeline)
        except FailureError as failure:
            reason = reason_of(failure)
            raise ApplicationError(reason.message, type=reason.code) from None
        if self._parcel.picked is None:
            self._parcel.picked = picked
            missing = sum(line.quantity for line in picked.missing)
            self._timeline.add(f"picked by {pick.actor}{f', {missing} unit(s) were missing' if missing else ''}")
        if self._missing:
            await self._parcel.signal_order(short_pick=pick)
        return picked

    @property
    def _missing(self) -> Counter[str]:
        """What is still in the parcel and was not there."""
        picked = self._parcel.picked
        return self._parcel.plan.contents - picked.units if picked is not None else Counter()

    @property
    def _is_paid_for(self) -> bool:
        """What was booked once is paid for, whatever its order awaits since."""
        return self._parcel.booking > 1 or not self._backorder.awaits_payment
