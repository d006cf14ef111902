"""FulfilmentWorkflow is one parcel from one warehouse: booked, followed by the carrier's events, or called back."""

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

# Goods that arrive wake their parcel; should that get lost, it looks by itself, ever more seldom.
_FIRST_LOOK, _SELDOMEST_LOOK = timedelta(hours=1), timedelta(days=1)
# What the order acts on; the scans in between are the parcel's own history and cost the order nothing.
_NEWS_FOR_THE_ORDER = frozenset({ParcelStatus.REFUSED, ParcelStatus.CANCELLED, ParcelStatus.DELIVERED})


@workflow.defn
class FulfilmentWorkflow:
    """(wait for goods →) book → dispatched → … → delivered; facts are signals, in any order and more than once."""

    @workflow.init
    def __init__(self, job: FulfilmentInput) -> None:
        self._job = job
        self._status = ParcelStatus.PLANNED
        self._shipment = ShipmentBooked(accepted=False)
        self._news: list[CarrierEvent] = []
        self._called_back = False
        self._stock_allocated = False
        self._on_hold = job.on_hold
        self._too_late_to_hold = False
        self._round = 1
        self._stands_still = False
        parcel = job.parcel
        self._timeline = Timeline(
            f"Parcel {parcel.number} of {job.parcels_in_order} from {parcel.warehouse}, {job.shipping_method}"
        )

    @workflow.run
    async def run(self, job: FulfilmentInput) -> ParcelResult:
        """Book the parcel, once its goods are there, and follow it to its end; the order alone can call it back."""
        return await run_to_completion(self._bring(job), self._timeline.add)

    async def _bring(self, job: FulfilmentInput) -> ParcelResult:
        if job.parcel.backordered:
            await self._wait_for_allocation()
            await workflow.wait_condition(lambda: self._called_back or not self._stands_still)
        if not (self._called_back or self._on_hold):
            await self._book()
        while self._status not in _NEWS_FOR_THE_ORDER:
            await workflow.wait_condition(lambda: bool(self._news) or self._called_back or self._hold_is_news())
            if self._called_back:
                await self._call_back()
            while self._news:
                await self._follow(self._news.pop(0))
            if self._hold_is_news():
                await (self._put_on_hold() if self._on_hold else self._book())
        await workflow.wait_condition(workflow.all_handlers_finished)
        return ParcelResult(number=job.parcel.number, status=self._status)

    @workflow.signal
    def carrier_event(self, event: CarrierEvent) -> None:
        """A verified webhook of the carrier; it may arrive before our own booking call has answered."""
        self._news.append(event)

    @workflow.signal
    def stock_allocated(self) -> None:
        """Whoever moved stock says that the parcel's goods are complete; the books are asked before it is believed."""
        self._stock_allocated = True

    @workflow.signal
    def call_back(self) -> None:
        """The order will not go on: stop the parcel if it can still be stopped."""
        self._called_back = True

    @workflow.signal
    def hold(self, wanted: HoldParcel) -> None:
        """The order says whether the parcel may leave; one that is booked is taken back from the carrier meanwhile."""
        self._on_hold = wanted.on

    @workflow.signal
    def hold_for_payment(self) -> None:
        """The order is not paid for at this moment: do not leave, whatever arrives."""
        self._stands_still = True
        self._timeline.add("waits for the order to be paid for")

    @workflow.signal
    def go_on(self) -> None:
        """The order is paid for again."""
        self._stands_still = False

    async def _wait_for_allocation(self) -> None:
        units, pause = -1, _FIRST_LOOK
        while not self._called_back and (missing := await self._check_allocation()):
            if missing != units:
                self._timeline.add(f"waits for {missing} backordered unit(s)")
            units = missing
            with suppress(asyncio.TimeoutError):
                await workflow.wait_condition(
                    lambda: self._stock_allocated or self._called_back,
                    timeout=pause,
                    timeout_summary=f"{missing} unit(s) have yet to arrive",
                )
            pause = min(2 * pause, _SELDOMEST_LOOK)
        if not self._called_back:
            self._timeline.add("the goods are complete")

    async def _check_allocation(self) -> int:
        self._stock_allocated = False
        found = await workflow.execute_local_activity_method(
            StockActivities.check_allocation,
            CheckAllocation(order_id=self._job.order_id, parcel=self._job.parcel.number),
            summary="look whether the goods are there",
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

    def _hold_is_news(self) -> bool:
        if self._on_hold:
            return self._status in (ParcelStatus.PLANNED, ParcelStatus.BOOKED) and not self._too_late_to_hold
        return self._status in (ParcelStatus.PLANNED, ParcelStatus.ON_HOLD)

    async def _put_on_hold(self) -> None:
        """Not booked, or no more: what the carrier has taken already cannot be kept back, and its own events tell."""
        if self._status is ParcelStatus.BOOKED:
            if not await self._cancel_booking(self._key("hold"), "keep the parcel back"):
                self._too_late_to_hold = True
                self._timeline.add("too late to keep back: the carrier has it")
                return
            self._round += 1
        await self._record(ParcelStatus.ON_HOLD, SYSTEM_ACTOR)

    async def _cancel_booking(self, key: str, summary: str) -> bool:
        command = CancelShipment(shipment_id=self._shipment.shipment_id or "", idempotency_key=key)
        answer = await retry_until_answered(
            FulfilmentActivities.cancel_shipment, command, summary, self._timeline, CARRIER
        )
        return answer.cancelled

    async def _follow(self, event: CarrierEvent) -> None:
        """Apply what the carrier tells if it is news; late and repeated events never move a parcel backwards."""
        if moves_forward(self._status, event.status):
            await self._record(event.status, CARRIER_ACTOR, event)

    async def _call_back(self) -> None:
        self._called_back = False
        if self._status.has_left:
            await self._signal_order()
            return
        if self._status in (ParcelStatus.PLANNED, ParcelStatus.ON_HOLD):  # the carrier knows nothing of it
            await self._record(ParcelStatus.CANCELLED, SYSTEM_ACTOR)
            return
        if await self._cancel_booking(self._key("cancel"), "call the parcel back"):
            await self._record(ParcelStatus.CANCELLED, SYSTEM_ACTOR)
        else:
            # The carrier has it already; its own event says so in a moment.
            self._timeline.add("too late to call back: the carrier has it")
            await self._signal_order(left=True)

    async def _record(self, status: ParcelStatus, actor: str, event: CarrierEvent | None = None) -> None:
        had_left = self._status.has_left
        command = RecordParcel(
            order_id=self._job.order_id,
            number=self._job.parcel.number,
            status=status,
            round=self._round,
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
        booked_late = status is ParcelStatus.BOOKED and self._job.parcel.backordered > 0
        if status in _NEWS_FOR_THE_ORDER or (status.has_left and not had_left) or booked_late:
            await self._signal_order()

    def _key(self, step: str) -> str:
        """One key per booking: a parcel that was kept back is booked anew."""
        again = f"-{self._round}" if self._round > 1 else ""
        return f"{workflow.info().workflow_id}:{step}{again}"

    def _details(self, status: ParcelStatus, event: CarrierEvent | None) -> dict[str, object]:
        if status is ParcelStatus.REFUSED:
            return {"code": self._shipment.code, "message": self._shipment.message}
        return {"location": event.location} if event and event.location else {}

    async def _signal_order(self, *, left: bool = False) -> None:
        parent = workflow.info().parent
        if parent is None:  # run alone, for instance in a test of this workflow
            return
        told = ParcelUpdated(
            number=self._job.parcel.number,
            status=ParcelStatus.DISPATCHED if left else self._status,
            tracking_number=self._shipment.tracking_number,
            code=self._shipment.code,
            message=self._shipment.message,
        )
        await workflow.get_external_workflow_handle(parent.workflow_id).signal(PARCEL_UPDATED, told)
