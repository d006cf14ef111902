"""FulfilmentWorkflow is one parcel from one warehouse: booked, followed to its end, or stopped."""

from contextlib import suppress

from temporalio import workflow

from domain.actors import SYSTEM_ACTOR
from domain.fulfilment import ParcelStatus
from schemas.fulfilment import (
    CarrierEvent,
    FulfilmentInput,
    HoldParcel,
    ParcelOutcome,
    ParcelResult,
    ParcelSettlement,
    ReduceParcel,
    ShipmentFound,
    ShipmentState,
)
from schemas.operator_tasks import OperatorTaskCode
from workflows.parcels.backorder import Backorder
from workflows.parcels.destination import Destination
from workflows.parcels.parcel_preparation import ParcelPreparation
from workflows.parcels.parcel_record import ParcelRecord
from workflows.parcels.picking import Picking
from workflows.parcels.reductions import Reductions
from workflows.parcels.replacement import release_stock_of
from workflows.parcels.shipment_inquiry import ShipmentInquiry
from workflows.parcels.shipments import UNKNOWN_AFTER, Shipments
from workflows.timeline import Timeline
from workflows.waiting import run_to_completion


@workflow.defn
class FulfilmentWorkflow(ParcelPreparation):
    """(wait for goods →) (wait for the pick →) book → dispatched → … → delivered.

    Facts are signals, in any order and more than once.

    The carrier may fail to say what it has done: then the parcel is unknown to an order that wants to stop it, until
    the carrier, its events, or an operator says more. Nothing of that ends this workflow.
    """

    @workflow.init
    def __init__(self, job: FulfilmentInput) -> None:
        parcel = job.parcel
        self._job = job
        self._timeline = Timeline(
            f"Parcel {parcel.number} of {job.parcels_in_order} from {parcel.warehouse}, {job.shipping_method}",
            job.order_id,
        )
        self._parcel = ParcelRecord(job, self._timeline)
        self._inquiry = ShipmentInquiry(job.order_id, parcel.number, self._timeline)
        self._backorder = Backorder(job, self._timeline)
        self._destination = Destination(self._parcel, self._timeline)
        self._picking = Picking(job, self._parcel, self._backorder, self._timeline)
        self._carrier_events: list[CarrierEvent] = []
        self._settlements: list[ParcelSettlement] = []
        self._cancelled = job.stop  # the order wants it stopped, and nothing has been done about that yet
        self._stopping = ""  # why it is not known whether it could be stopped
        self._order_waits = job.stop  # the order has not been signalled yet that nobody knows
        self._unclear = False  # whether the carrier has a booking
        self._on_hold = job.on_hold
        self._too_late_to_hold = False
        self._reductions = Reductions(self._parcel, self._backorder, self._timeline)
        self._shipments = Shipments(job, self._parcel, self._timeline, self)

    @workflow.run
    async def run(self, job: FulfilmentInput) -> ParcelResult:
        """Book the parcel, once its goods are allocated, and follow it to its end; the order alone can cancel it."""
        return await run_to_completion(self._fulfil(job), self._timeline.add)

    async def _fulfil(self, job: FulfilmentInput) -> ParcelResult:
        if job.adopt:
            self._destination.settle()
            await self._parcel.load()
            self._unclear = True
            self._inquiry.begin_urgently()
            self._inquiry.ask_now()
        while not self._parcel.status.is_final:
            await self._until_something_to_do()
            await self._go_on()
        if self._parcel.status.is_stopped and job.parcel.replaces is not None:
            await release_stock_of(job, self._timeline)
            self._parcel.needs_resolution()
        elif self._parcel.status.failed_delivery:
            self._parcel.needs_resolution()
        await workflow.wait_condition(workflow.all_handlers_finished)
        return ParcelResult(number=job.parcel.number, status=self._parcel.status)

    # --- signals

    @workflow.signal
    def carrier_event(self, event: CarrierEvent) -> None:
        """A verified webhook of the carrier; it may arrive before our own booking call has answered."""
        self._carrier_events.append(event)

    @workflow.signal
    def cancel(self) -> None:
        """The order is being compensated: stop the parcel if it can still be stopped."""
        self._cancelled = self._order_waits = True

    @workflow.signal
    def reduce(self, command: ReduceParcel) -> None:
        """The order has cancelled units in it: take them out if the parcel can still be opened."""
        self._reductions.waiting.append(command)

    @workflow.signal
    def settle_parcel(self, settlement: ParcelSettlement) -> None:
        """An operator's answer about a parcel of which nobody knows whether it was dispatched."""
        self._settlements.append(settlement)

    @workflow.signal
    def hold(self, request: HoldParcel) -> None:
        """The order puts the parcel on hold or releases it; a booking is cancelled meanwhile."""
        self._on_hold = request.on

    # --- one thing at a time, what is known first

    async def _until_something_to_do(self) -> None:
        if self._stopping and self._order_waits:
            with suppress(TimeoutError):
                await workflow.wait_condition(self._something_to_do, timeout=UNKNOWN_AFTER)
                return
            await self.unknown(self._stopping)
        await workflow.wait_condition(self._something_to_do)

    def _something_to_do(self) -> bool:
        known = bool(self._settlements or self._inquiry.answers) or self._may_apply_events()
        return known or self._cancelled or self._may_reduce() or self._may_book_or_hold()

    async def _go_on(self) -> None:
        if self._settlements:
            await self._settle(self._settlements.pop(0))
        elif self._may_apply_events():
            await self._parcel.apply(self._carrier_events.pop(0))
            self._follow()
        elif self._inquiry.answers:
            await self._learn(self._inquiry.answers.pop(0))
        elif self._cancelled:
            await self._stop()
        elif self._may_reduce():
            await self._reductions.apply_next(self._cancel_booking)
        elif self._waits_for_goods():
            await self._backorder.wait(lambda: self._cancelled or bool(self._settlements or self._reductions.waiting))
        elif not self._destination.held:
            await (self._put_on_hold() if self._on_hold else self._book())

    def _may_apply_events(self) -> bool:
        return bool(self._carrier_events) and (self._unclear or self._parcel.status is not ParcelStatus.PLANNED)

    def _may_reduce(self) -> bool:
        return bool(self._reductions.waiting) and not (self._unclear or self._stopping)

    def _may_book_or_hold(self) -> bool:
        if self._unclear or self._stopping or self._destination.held:
            return False
        if self._on_hold:
            return self._parcel.status in (ParcelStatus.PLANNED, ParcelStatus.BOOKED) and not self._too_late_to_hold
        return self._parcel.status.is_without_booking and (self._waits_for_goods() or self._picking.over)

    def _waits_for_goods(self) -> bool:
        return self._parcel.status is ParcelStatus.PLANNED and not self._backorder.over

    def _follow(self) -> None:
        """It is known again where the parcel is: the next question can wait, as long as events come."""
        if self._parcel.status.was_dispatched:
            self._stopping, self._unclear, self._order_waits = "", False, False
        if self._parcel.status.is_without_booking and not self._unclear:
            self._inquiry.rest()
        elif not (self._stopping or self._unclear):
            self._inquiry.begin()

    async def _learn(self, found: ShipmentFound) -> None:
        """The carrier was asked, and this is all it knows."""
        was_unclear, self._unclear = self._unclear, False
        await self._take_over(found.shipment)
        await self._parcel.check_scans()
        if self._stopping and not (self._parcel.status.was_dispatched or self._parcel.status.is_final):
            if was_unclear or self._parcel.status.is_without_booking:
                self._cancelled, self._stopping = True, ""  # now it can be cancelled
            elif self._order_waits:
                await self.unknown(self._stopping)
        elif self._stopping or was_unclear:
            self._follow()

    async def _take_over(self, state: ShipmentState | None) -> None:
        status = self._parcel.status
        if state is None:
            if not status.is_without_booking:
                self._parcel.needs_operator(
                    "the carrier knows no shipment of this parcel", "shipment", OperatorTaskCode.PARCEL_UNKNOWN
                )
        elif state.status is ParcelStatus.CANCELLED and (status.is_without_booking or self._on_hold):
            await self._parcel.booking_cancelled(state.shipment_id)
        else:
            if status.is_without_booking:
                await self._parcel.found_booked(state)
            await self._parcel.found(state)
            self._timeline.needs_operator([], about="shipment")

    async def _settle(self, settlement: ParcelSettlement) -> None:
        """An operator has found out what the carrier does not say, or has it asked again."""
        outcome, actor, data = settlement.outcome, settlement.actor, {"reason": settlement.reason}
        self._timeline.add(f"{actor}: {outcome}, {settlement.reason}")
        if self._parcel.status.was_dispatched:
            await self._parcel.signal_order()
        elif outcome is ParcelOutcome.STOPPED:
            await self._parcel.record(ParcelStatus.CANCELLED, actor, data=data)
        elif outcome is ParcelOutcome.DISPATCHED:
            await self._parcel.record(ParcelStatus.DISPATCHED, actor, data=data)
            self._follow()
        elif self._stopping and not self._unclear:
            self._shipments.attempt += 1
            self._cancelled, self._stopping = True, ""
        if self._unclear or self._stopping:
            self._inquiry.begin_urgently()
        if self._unclear or not self._parcel.status.is_without_booking:
            self._inquiry.ask_now()

    # --- commands to the carrier

    async def _book(self) -> None:
        self._destination.settle()
        shipment = await self._shipments.book()
        if shipment is None:
            self._unclear = True
            return
        await self._parcel.booked(shipment)
        self._follow()

    async def _put_on_hold(self) -> None:
        """Not booked, or its booking is cancelled; what the carrier has collected cannot be put on hold."""
        if self._parcel.status is ParcelStatus.BOOKED:
            self._too_late_to_hold = not await self._cancel_booking("hold")
        else:
            self._inquiry.rest()
            await self._parcel.record(ParcelStatus.ON_HOLD, SYSTEM_ACTOR)

    async def _cancel_booking(self, step: str) -> bool:
        """Whether the carrier gives it back, as from now on hold; if not, it has to say what became of it."""
        answer = await self._shipments.cancel(step, f"cancel the shipment: {step}")
        if answer is None or not answer.cancelled:
            self._timeline.add(f"too late to {step}: the carrier has collected it")
            self._inquiry.ask_now()
            return False
        self._inquiry.rest()
        await self._parcel.booking_cancelled(self._parcel.shipment.shipment_id)
        return True

    async def _stop(self) -> None:
        self._cancelled = False
        if self._parcel.status.was_dispatched:
            self._order_waits = False
            await self._parcel.signal_order()
        elif self._unclear:
            self._ask_urgently("the carrier does not say whether it is booked")
        elif self._parcel.status.is_without_booking:
            await self._parcel.record(ParcelStatus.CANCELLED, SYSTEM_ACTOR)
        else:
            await self._stop_booked()

    async def _stop_booked(self) -> None:
        answer = await self._shipments.cancel("cancel", "cancel the shipment")
        if answer is not None and answer.cancelled:
            await self._parcel.record(ParcelStatus.CANCELLED, SYSTEM_ACTOR)
        elif answer is not None:
            self._timeline.add("too late to cancel: the carrier has collected it")
            self._ask_urgently("the carrier does not cancel it, and reports no dispatch")
        elif self.overtaken():
            self._cancelled = True  # once what has overtaken it is known
        else:
            self._ask_urgently("the carrier calls the cancellation wrong, and reports no dispatch")

    def _ask_urgently(self, why: str) -> None:
        self._stopping = why
        self._inquiry.begin_urgently()
        self._inquiry.ask_now()

    # --- what goes on beside a call to the carrier

    def overtaken(self) -> bool:
        """Whether a person, or an event of what is booked, has answered before the carrier did."""
        events = self._parcel.status is ParcelStatus.BOOKED and bool(self._carrier_events)
        return events or bool(self._settlements)

    def order_waits(self) -> bool:
        """Whether the order has not been signalled yet that nobody knows."""
        return self._order_waits

    async def unknown(self, why: str) -> None:
        """Signal it to the order, once for each time it has asked."""
        self._stopping, self._order_waits = why, False
        await self._parcel.signal_order(unknown=why)
