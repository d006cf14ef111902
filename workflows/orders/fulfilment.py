"""FulfilmentWorkflow is one parcel from one warehouse: booked, followed by the carrier's events, or cancelled."""

import asyncio
from contextlib import suppress
from datetime import timedelta

from temporalio import workflow

from activities.fulfilment import FulfilmentActivities
from activities.stock import StockActivities
from domain.actors import CARRIER_ACTOR, SYSTEM_ACTOR
from domain.fulfilment import ParcelStatus, moves_forward
from schemas.fulfilment import (
    BookShipment,
    CancelShipment,
    CarrierEvent,
    FulfilmentInput,
    HoldParcel,
    ParcelResult,
    ParcelUpdated,
    RecordParcel,
    ShipmentBooked,
)
from schemas.stock import CheckAllocation
from workflows.names import PARCEL_UPDATED
from workflows.options import CARRIER, STORE
from workflows.outage import retry_until_answered
from workflows.timeline import Timeline
from workflows.waiting import run_to_completion

# An allocation wakes its parcel; should the signal get lost, it checks by itself, at growing intervals.
_FIRST_CHECK, _LAST_CHECKS = timedelta(hours=1), timedelta(days=1)
# What ends a parcel; the scans in between are the parcel's own history and cost the order nothing.
_FINAL_FOR_THE_ORDER = frozenset({ParcelStatus.REFUSED, ParcelStatus.CANCELLED, ParcelStatus.DELIVERED})


@workflow.defn
class FulfilmentWorkflow:
    """(wait for goods →) book → dispatched → … → delivered; facts are signals, in any order and more than once."""

    @workflow.init
    def __init__(self, job: FulfilmentInput) -> None:
        self._job = job
        self._status = ParcelStatus.PLANNED
        self._shipment = ShipmentBooked(accepted=False)
        self._carrier_events: list[CarrierEvent] = []
        self._cancelled = False
        self._allocation_signalled = False
        self._on_hold = job.on_hold
        self._too_late_to_hold = False
        self._booking = 1
        self._awaits_payment = False
        parcel = job.parcel
        self._timeline = Timeline(
            f"Parcel {parcel.number} of {job.parcels_in_order} from {parcel.warehouse}, {job.shipping_method}",
            job.order_id,
        )

    @workflow.run
    async def run(self, job: FulfilmentInput) -> ParcelResult:
        """Book the parcel, once its goods are allocated, and follow it to its end; the order alone can cancel it."""
        return await run_to_completion(self._fulfil(job), self._timeline.add)

    async def _fulfil(self, job: FulfilmentInput) -> ParcelResult:
        if job.parcel.backordered:
            await self._wait_for_allocation()
            await workflow.wait_condition(lambda: self._cancelled or not self._awaits_payment)
        if not (self._cancelled or self._on_hold):
            await self._book()
        while self._status not in _FINAL_FOR_THE_ORDER:
            await workflow.wait_condition(lambda: bool(self._carrier_events) or self._cancelled or self._hold_changed())
            if self._cancelled:
                await self._cancel()
            while self._carrier_events:
                await self._apply(self._carrier_events.pop(0))
            if self._hold_changed():
                await (self._put_on_hold() if self._on_hold else self._book())
        await workflow.wait_condition(workflow.all_handlers_finished)
        return ParcelResult(number=job.parcel.number, status=self._status)

    @workflow.signal
    def carrier_event(self, event: CarrierEvent) -> None:
        """A verified webhook of the carrier; it may arrive before our own booking call has answered."""
        self._carrier_events.append(event)

    @workflow.signal
    def stock_allocated(self) -> None:
        """The parcel's backorder was allocated; MySQL is asked before it is believed."""
        self._allocation_signalled = True

    @workflow.signal
    def cancel(self) -> None:
        """The order is being compensated: stop the parcel if it can still be stopped."""
        self._cancelled = True

    @workflow.signal
    def hold(self, request: HoldParcel) -> None:
        """The order puts the parcel on hold or releases it; a booking is cancelled meanwhile."""
        self._on_hold = request.on

    @workflow.signal
    def hold_for_payment(self) -> None:
        """The order is not paid for at this moment: do not book, whatever is allocated."""
        self._awaits_payment = True
        self._timeline.add("waits for the payment of the order")

    @workflow.signal
    def release_for_payment(self) -> None:
        """The order is paid for again."""
        self._awaits_payment = False

    async def _wait_for_allocation(self) -> None:
        units, pause = -1, _FIRST_CHECK
        while not self._cancelled and (missing := await self._check_allocation()):
            if missing != units:
                self._timeline.add(f"waits for {missing} backordered unit(s)")
            units = missing
            with suppress(asyncio.TimeoutError):
                await workflow.wait_condition(
                    lambda: self._allocation_signalled or self._cancelled,
                    timeout=pause,
                    timeout_summary=f"{missing} unit(s) backordered",
                )
            pause = min(2 * pause, _LAST_CHECKS)
        if not self._cancelled:
            self._timeline.add("backorder allocated")

    async def _check_allocation(self) -> int:
        self._allocation_signalled = False
        found = await workflow.execute_local_activity_method(
            StockActivities.check_allocation,
            CheckAllocation(order_id=self._job.order_id, parcel=self._job.parcel.number),
            summary="check the allocation",
            **STORE,
        )
        return found.units

    async def _book(self) -> None:
        command = BookShipment(
            order_id=self._job.order_id,
            parcel=self._job.parcel,
            address=self._job.address,
            shipping_method=self._job.shipping_method,
            idempotency_key=self._key("book"),
        )
        text = f"book parcel {self._job.parcel.number} from {self._job.parcel.warehouse}"
        self._shipment = await retry_until_answered(
            FulfilmentActivities.book_shipment, command, text, self._timeline, CARRIER
        )
        if self._shipment.accepted:
            await self._record(ParcelStatus.BOOKED, SYSTEM_ACTOR)
        else:
            await self._record(ParcelStatus.REFUSED, CARRIER_ACTOR)

    def _hold_changed(self) -> bool:
        if self._on_hold:
            return self._status in (ParcelStatus.PLANNED, ParcelStatus.BOOKED) and not self._too_late_to_hold
        return self._status in (ParcelStatus.PLANNED, ParcelStatus.ON_HOLD)

    async def _put_on_hold(self) -> None:
        """Not booked, or its booking is cancelled; what the carrier has collected cannot be put on hold."""
        if self._status is ParcelStatus.BOOKED:
            if not await self._cancel_booking(self._key("hold"), "cancel the shipment: on hold"):
                self._too_late_to_hold = True
                self._timeline.add("too late to hold: the carrier has collected it")
                return
            self._booking += 1
        await self._record(ParcelStatus.ON_HOLD, SYSTEM_ACTOR)

    async def _cancel_booking(self, key: str, summary: str) -> bool:
        command = CancelShipment(shipment_id=self._shipment.shipment_id or "", idempotency_key=key)
        answer = await retry_until_answered(
            FulfilmentActivities.cancel_shipment, command, summary, self._timeline, CARRIER
        )
        return answer.cancelled

    async def _apply(self, event: CarrierEvent) -> None:
        """Apply a carrier event if it moves the parcel forward; late and repeated ones never move it back."""
        status = ParcelStatus(event.status)
        if moves_forward(self._status, status):
            await self._record(status, CARRIER_ACTOR, event)

    async def _cancel(self) -> None:
        self._cancelled = False
        if self._status.was_dispatched:
            await self._signal_order()
            return
        if self._status in (ParcelStatus.PLANNED, ParcelStatus.ON_HOLD):  # never booked at the carrier
            await self._record(ParcelStatus.CANCELLED, SYSTEM_ACTOR)
            return
        if await self._cancel_booking(self._key("cancel"), "cancel the shipment"):
            await self._record(ParcelStatus.CANCELLED, SYSTEM_ACTOR)
        else:
            # The carrier has collected it; its own event follows.
            self._timeline.add("too late to cancel: the carrier has collected it")
            await self._signal_order(dispatched=True)

    async def _record(self, status: ParcelStatus, actor: str, event: CarrierEvent | None = None) -> None:
        was_dispatched_before = self._status.was_dispatched
        command = RecordParcel(
            order_id=self._job.order_id,
            number=self._job.parcel.number,
            status=status,
            round=self._booking,
            shipment_id=self._shipment.shipment_id,
            tracking_number=self._shipment.tracking_number,
            tracking_url=self._shipment.tracking_url,
            actor=actor,
            occurred_at=event.occurred_at if event else None,
            data=self._details(status, event),
        )
        text = f"{status}{f' in {event.location}' if event and event.location else ''}"
        await workflow.execute_local_activity_method(FulfilmentActivities.record_parcel, command, summary=text, **STORE)
        self._status = status
        self._timeline.add(text)
        backorder_booked = status is ParcelStatus.BOOKED and self._job.parcel.backordered > 0
        if status in _FINAL_FOR_THE_ORDER or (status.was_dispatched and not was_dispatched_before) or backorder_booked:
            await self._signal_order()

    def _key(self, step: str) -> str:
        """One key per booking: a parcel that was released is booked again."""
        again = f"-{self._booking}" if self._booking > 1 else ""
        return f"{workflow.info().workflow_id}:{step}{again}"

    def _details(self, status: ParcelStatus, event: CarrierEvent | None) -> dict[str, object]:
        if status is ParcelStatus.REFUSED:
            return {"code": self._shipment.code, "message": self._shipment.message}
        return {"location": event.location} if event and event.location else {}

    async def _signal_order(self, *, dispatched: bool = False) -> None:
        parent = workflow.info().parent
        if parent is None:  # run alone, for instance in a test of this workflow
            return
        update = ParcelUpdated(
            number=self._job.parcel.number,
            status=ParcelStatus.DISPATCHED if dispatched else self._status,
            tracking_number=self._shipment.tracking_number,
            code=self._shipment.code,
            message=self._shipment.message,
        )
        await workflow.get_external_workflow_handle(parent.workflow_id).signal(PARCEL_UPDATED, update)
