"""What is known of one parcel: recorded in MySQL first, then shown, then signalled to its order."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from temporalio import workflow

from activities.fulfilment import FulfilmentActivities
from domain.actors import CARRIER_ACTOR, SYSTEM_ACTOR
from domain.fulfilment import ParcelStatus, interrupts, moves_forward
from schemas.fulfilment import (
    AddressHold,
    CarrierEvent,
    FindShipment,
    FulfilmentInput,
    ParcelUpdated,
    RecordParcel,
    Reduction,
    ShipmentBooked,
    ShipmentState,
)
from schemas.operator_tasks import OperatorTaskCode
from schemas.picking import ParcelPicked, PickParcel
from workflows.names import PARCEL_UPDATED, order_workflow_id
from workflows.signals import signal_if_open
from workflows.stores import on_store
from workflows.timeline import Timeline, money

NO_SCAN_FOR = timedelta(days=5)
_SCANS, _DOOR, _STOCK = "scans", "refused at the door", "stock"  # what an operator is needed about


class ParcelRecord:
    """The parcel's status and shipment; applies the carrier's reports, of which none moves it back."""

    def __init__(self, job: FulfilmentInput, timeline: Timeline) -> None:
        self.status = ParcelStatus.PLANNED
        self.plan = job.parcel
        self.address = job.address
        self.shipment = ShipmentBooked(accepted=False)
        self.booking = 1
        self.picked: ParcelPicked | None = None
        self._job = job
        self._timeline = timeline
        self._exceptions = 0
        self._last_report: datetime | None = None  # by the carrier's clock
        self._last_scan = workflow.now()
        self._refunded_at: datetime | None = None
        self._noted: set[tuple[str, datetime | None]] = set()

    async def load(self) -> None:
        """Take over what an earlier workflow has recorded, and signal the order, which may not know it."""
        command = FindShipment(order_id=self._job.order_id, number=self._job.parcel.number)
        found = await on_store(FulfilmentActivities.read_parcel, command, "read the parcel", self._timeline)
        self.status, self.booking, self._exceptions = found.status, found.booking, found.exceptions
        self.picked = found.picked
        self._refunded_at = found.refunded_at
        self.shipment = ShipmentBooked(accepted=found.shipment_id is not None, **found.known)
        self._timeline.add(f"taken over: {self.status}")
        if self.status.was_dispatched or self.status.is_final:
            await self.signal_order()

    async def booked(self, shipment: ShipmentBooked) -> None:
        """The carrier has answered the booking: it takes the parcel, or refuses it for good."""
        self.shipment = shipment
        if shipment.accepted:
            await self._record_booking()
        else:
            data = {"code": shipment.code, "message": shipment.message}
            await self.record(ParcelStatus.REFUSED, CARRIER_ACTOR, data=data)

    async def found(self, state: ShipmentState) -> None:
        """The carrier was asked: take over what it knows more than we do."""
        self._take_over(state)
        if isinstance(state.status, ParcelStatus) and state.status.was_dispatched and not self.status.was_dispatched:
            await self.record(ParcelStatus.DISPATCHED, CARRIER_ACTOR)  # its own event has never come
        await self.apply(state)

    async def found_booked(self, state: ShipmentState) -> None:
        """The carrier was asked and has a booking that was never recorded."""
        self._take_over(state)
        await self._record_booking()

    async def booking_cancelled(self, shipment_id: str | None) -> None:
        """The carrier has cancelled it, perhaps for a workflow that died before it could record that: the next one is
        another.
        """
        self._timeline.add(f"the booking {shipment_id} is cancelled")
        if self.status is not ParcelStatus.ON_HOLD:
            self.booking += 1
        if self.status is ParcelStatus.BOOKED:
            await self.record(ParcelStatus.ON_HOLD, SYSTEM_ACTOR)

    async def apply(self, report: CarrierEvent | ShipmentState) -> None:
        """Record what moves the parcel on; what is late, repeated or unknown is noted and moves nothing."""
        status, newer = report.status, self._is_newer(report)
        if newer:
            self._last_report, self._last_scan = _moment(report), workflow.now()
            self._timeline.needs_operator([], about=_SCANS)
        if not isinstance(status, ParcelStatus):
            self._note("unknown status", report)
        elif status is ParcelStatus.REFUSED and self.status.was_dispatched and not self.status.is_final:
            await self._refused_at_the_door(report)
        elif status.is_stopped and self.status.is_without_booking:
            self._note("without a booking", report)
        elif newer if interrupts(self.status, status) else moves_forward(self.status, status):
            self._timeline.needs_operator([], about=_DOOR)
            await self.record(status, CARRIER_ACTOR, occurred_at=report.occurred_at, location=report.location)
        elif newer or status is not self.status:
            self._note("again" if status is self.status else "late", report)

    async def check_scans(self) -> None:
        """The carrier was asked and has nothing new: after some days of that a person has to ask."""
        if not self.status.was_dispatched or self.status.is_final or workflow.now() - self._last_scan < NO_SCAN_FOR:
            return
        since = f"no scan since {self._last_scan:%Y-%m-%d %H:%M} UTC"
        if self.status is not ParcelStatus.EXCEPTION:
            await self.record(
                ParcelStatus.EXCEPTION, SYSTEM_ACTOR, data={"reason": f"no scan in {NO_SCAN_FOR.days} days"}
            )
        self.needs_operator(f"{since}: ask the carrier where it is", _SCANS, OperatorTaskCode.PARCEL_LOST)

    async def record(
        self,
        status: ParcelStatus,
        actor: str,
        *,
        occurred_at: datetime | None = None,
        location: str | None = None,
        data: Mapping[str, object] | None = None,
    ) -> None:
        """Record the status. What MySQL answers counts: another process may have known more."""
        if self.status is ParcelStatus.PLANNED and status.was_dispatched:
            await self.record(ParcelStatus.BOOKED, actor)
        before, text = self.status, f"{status}{f' in {location}' if location else ''}"
        if status is ParcelStatus.EXCEPTION:
            self._exceptions += 1
        command = RecordParcel(
            order_id=self._job.order_id,
            number=self._job.parcel.number,
            status=status,
            round=self._round(status),
            actor=actor,
            occurred_at=occurred_at,
            data={**({"location": location} if location else {}), **(data or {})},
            **self.shipment.known,
        )
        recorded = await on_store(FulfilmentActivities.record_parcel, command, text, self._timeline)
        self.status, self._last_scan = recorded.status, workflow.now()
        self._refunded_at = recorded.refunded_at
        self._timeline.add(text if recorded.status is status else f"{text}: but it is {recorded.status} already")
        if recorded.not_reserved:
            self.needs_operator(
                "it was dispatched although its stock had been released: count the stock", _STOCK, outlasts=True
            )
        if self._concerns_the_order(before):
            await self.signal_order()

    async def signal_order(
        self,
        unknown: str | None = None,
        reduction: Reduction | None = None,
        short_pick: PickParcel | None = None,
        address_hold: AddressHold | None = None,
    ) -> None:
        """Signal the order what became of the parcel, or why that is unknown. An order that has ended is left alone."""
        parent = workflow.info().parent
        if parent is None and not self._job.adopt:  # run alone, for instance in a test of this workflow
            return
        update = ParcelUpdated(
            number=self._job.parcel.number,
            status=self.status,
            unknown=unknown is not None,
            tracking_number=self.shipment.tracking_number,
            code=self.shipment.code,
            message=unknown or self.shipment.message,
            reduction=reduction,
            short_pick=short_pick,
            replaces=self.plan.replaces,
            address_hold=address_hold,
        )
        # What is shipped again was started by another; an order that was adopted looks after it all the same.
        started_by_order = parent is not None and self.plan.replaces is None
        order = parent.workflow_id if parent and started_by_order else order_workflow_id(self._job.order_id)
        if not await signal_if_open(order, PARCEL_UPDATED, update):
            self._timeline.add(f"the order has ended and does not learn of this: {self.status}")

    def needs_resolution(self) -> None:
        """Its customer will never have it: somebody decides what they get instead, or a rule does."""
        order_id, number = self._job.order_id, self._job.parcel.number
        self._timeline.needs_operator(
            [f"parcel {number} is {self.status}: refund it or ship it again"],
            about="end",
            code=OperatorTaskCode.DELIVERY_FAILED,
            until=self._refunded_at,
            route=f"POST /v1/ops/orders/{order_id}/parcels/{number}/resolution",
            outlasts=True,
            parcel=number,
        )
        workflow.logger.error("needs operator: a delivery has failed", extra={"parcel": number, "status": self.status})

    def needs_operator(
        self,
        text: str,
        about: str,
        code: OperatorTaskCode = OperatorTaskCode.PARCEL_EXCEPTION,
        *,
        outlasts: bool = False,
    ) -> None:
        """Show it to an operator and log it."""
        self._timeline.needs_operator([text], about=about, code=code, outlasts=outlasts)
        extra = {"parcel": self._job.parcel.number, "about": about}
        workflow.logger.error("needs operator: a parcel is not as it should be", extra=extra)

    async def _record_booking(self) -> None:
        await self.record(ParcelStatus.BOOKED, SYSTEM_ACTOR)
        service, cost = self.shipment.service, self.shipment.cost
        if service is not None and cost is not None:
            self._timeline.add(f"by {service} for {money(cost.amount, cost.currency)}")

    async def _refused_at_the_door(self, report: CarrierEvent | ShipmentState) -> None:
        """Its recipient does not take it, so it comes back, unless they change their mind."""
        self._note("refused by its recipient", report)
        if self.status is not ParcelStatus.EXCEPTION:
            await self.record(
                ParcelStatus.EXCEPTION,
                CARRIER_ACTOR,
                occurred_at=report.occurred_at,
                location=report.location,
                data={"reason": "refused by its recipient"},
            )
        self.needs_operator("its recipient has refused it: it comes back to us", _DOOR)

    def _take_over(self, state: ShipmentState) -> None:
        self.shipment = ShipmentBooked(accepted=True, **state.known)

    def _is_newer(self, report: CarrierEvent | ShipmentState) -> bool:
        at = _moment(report)
        return at is not None and (self._last_report is None or at > self._last_report)

    def _note(self, what: str, report: CarrierEvent | ShipmentState) -> None:
        """Once: an answer of the carrier repeats itself, however often it is asked."""
        status = report.status or report.carrier_status or ""
        if (status, report.occurred_at) not in self._noted:
            self._noted.add((status, report.occurred_at))
            at = f" of {report.occurred_at:%Y-%m-%d %H:%M}" if report.occurred_at else ""
            self._timeline.add(f"{what}: {status}{at}")

    def _concerns_the_order(self, before: ParcelStatus) -> bool:
        """Scans on the way are the parcel's own history and cost the order nothing."""
        status = self.status
        booked_late = status is ParcelStatus.BOOKED and self._job.parcel.waits_before_booking
        return status.is_final or booked_late or (status.was_dispatched and not before.was_dispatched)

    def _round(self, status: ParcelStatus) -> int:
        """A parcel that was released is booked again, and one whose problem is solved is scanned again."""
        match status:
            case ParcelStatus.EXCEPTION:
                return self._exceptions
            case ParcelStatus.IN_TRANSIT | ParcelStatus.OUT_FOR_DELIVERY:
                return self._exceptions + 1
            case ParcelStatus.BOOKED | ParcelStatus.ON_HOLD:
                return self.booking
            case _:
                return 1


def _moment(report: CarrierEvent | ShipmentState) -> datetime | None:
    """A carrier that names no zone means UTC."""
    at = report.occurred_at
    return at.replace(tzinfo=UTC) if at is not None and at.tzinfo is None else at
