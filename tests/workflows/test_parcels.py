"""Every way a parcel can go: lost events, a carrier that does not say, returned, lost, and a workflow that died."""

from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta

import httpx2
import pytest
import uuid_utils
from temporalio.client import Client, WorkflowExecutionStatus

from adapters.carrier import Carrier
from adapters.connections import Connections
from adapters.mysql.orders.orders import OrderStore
from adapters.mysql.orders.reservations import Reservations
from domain.fulfilment import ParcelStatus
from domain.ledger import EntryKind
from domain.orders import FulfilmentStatus, OrderStatus
from schemas.base import UnknownValue
from schemas.fulfilment import (
    BookShipment,
    CancelShipment,
    CarrierEvent,
    FulfilmentInput,
    ParcelOutcome,
    ParcelSettlement,
    ParcelUpdated,
)
from schemas.orders import OrderView
from schemas.stock import ReleaseStock
from tests.adapters.test_stock import order_of
from tests.fixture_types import MakeProduct
from tests.workflows.carrier import CarrierControl
from tests.workflows.orders import MOVED_BY_HAND, Order, Place
from tests.workflows.time_skipping import skip
from tests.workflows.waiting import Handle, current_details, until, until_async, until_details
from workflows.names import FULFILMENT_QUEUE, fulfilment_workflow_id
from workflows.orders.fulfilment import FulfilmentWorkflow

P = ParcelStatus
ALERT = "needs operator"
Arm = Callable[..., None]
Adopt = Callable[..., Awaitable[Handle]]


@pytest.fixture
def arm(carrier: CarrierControl) -> Iterator[Arm]:
    def one(kind: str, operation: str, **more: object) -> None:
        fault = {"kind": kind, "times": 100_000, "match": {"operation": operation}, **more}
        httpx2.post(f"{carrier.address}/_control/faults", json=fault).raise_for_status()

    yield one
    carrier.end_faults()


@pytest.fixture
async def booked(place: Place, make_product: MakeProduct) -> Order:
    order = await place({make_product(stock=5): 1})
    await order.first_answer()
    await until(lambda: "parcel.booked" in order.event_types())
    return order


@pytest.fixture
def adopt(skipping: Client) -> Adopt:
    """A parcel's workflow without an order's, as it replaces one that died."""

    async def start(job: FulfilmentInput) -> Handle:
        return await skipping.start_workflow(
            FulfilmentWorkflow.run,
            job.model_copy(update={"adopt": True}),
            id=fulfilment_workflow_id(job.order_id, job.parcel.number),
            task_queue=FULFILMENT_QUEUE,
        )

    return start


def job_of(connections: Connections, make_product: MakeProduct) -> FulfilmentInput:
    """A parcel that MySQL plans and nobody works on."""
    command = order_of({make_product(stock=5): 2})
    placed = OrderStore(connections.engine).place(command)
    return FulfilmentInput(
        order_id=placed.order_id,
        parcel=placed.parcels[0],
        parcels_in_order=1,
        address=command.order.shipping_address.model_copy(update={"postal_code": MOVED_BY_HAND}),
        shipping_method="standard",
    )


def booking_of(job: FulfilmentInput) -> BookShipment:
    key = f"{fulfilment_workflow_id(job.order_id, 1)}:book"
    same = job.model_dump(include={"order_id", "shipping_method"})
    return BookShipment(**same, parcel=job.parcel, address=job.address, idempotency_key=key)


def view(connections: Connections, order_id: str) -> OrderView:
    found = OrderStore(connections.engine).get(order_id)
    assert found is not None
    return found


def event_types(connections: Connections, order_id: str) -> list[str]:
    return [event.type for event in OrderStore(connections.engine).history(order_id).items]


def status_of(connections: Connections, order_id: str) -> object:
    return view(connections, order_id).parcels[0].status


async def updates(parcel: Handle, client: Client) -> list[ParcelUpdated]:
    """What the parcel has signalled to its order."""
    found: list[ParcelUpdated] = []
    for event in (await parcel.fetch_history()).events:
        if event.HasField("signal_external_workflow_execution_initiated_event_attributes"):
            sent = event.signal_external_workflow_execution_initiated_event_attributes.input.payloads
            found += await client.data_converter.decode(sent, [ParcelUpdated])
    return found


async def until_closed(handle: Handle) -> None:
    """Its result may be awaited only once it has ended: waiting would let time pass."""

    async def closed() -> bool:
        status = (await handle.describe()).status
        assert status in (WorkflowExecutionStatus.RUNNING, WorkflowExecutionStatus.COMPLETED)
        return status is WorkflowExecutionStatus.COMPLETED

    await until_async(closed)


async def report(parcel: Handle, status: str, at: datetime | None = None) -> None:
    known = status in set(ParcelStatus)
    event = CarrierEvent(
        event_id=str(uuid_utils.uuid7()),
        status=ParcelStatus(status) if known else UnknownValue(status),
        occurred_at=at or datetime.now(UTC),
    )
    await parcel.signal(FulfilmentWorkflow.carrier_event, event)


async def settle(parcel: Handle, outcome: ParcelOutcome) -> None:
    settlement = ParcelSettlement(outcome=outcome, actor="staff:test", reason="asked on the phone")
    await parcel.signal(FulfilmentWorkflow.settle_parcel, settlement)


# --- events that never come


async def test_a_parcel_whose_every_event_is_lost_is_found_delivered_and_paid_for(
    booked: Order, carrier: CarrierControl, skipping: Client
) -> None:
    carrier.advance(booked.id, "delivered")
    await skip(skipping, timedelta(hours=7))
    await booked.until(OrderStatus.DELIVERED)
    await until_closed(booked.handle)
    types = booked.event_types()
    assert types.index("parcel.dispatched") < types.index("parcel.delivered")
    assert booked.money()[EntryKind.CAPTURE] == booked.money()[EntryKind.AUTHORIZATION]


async def test_the_carrier_is_asked_ever_more_seldom(booked: Order, skipping: Client) -> None:
    await skip(skipping, timedelta(days=10))
    history = (await booked.parcel().fetch_history()).events
    asked = [
        event
        for event in history
        if event.activity_task_scheduled_event_attributes.activity_type.name == "retrieve_shipment"
    ]
    assert 10 <= len(asked) <= 12
    assert ALERT not in await current_details(booked.parcel())


async def test_no_scan_for_days_needs_an_operator_until_the_next_scan(
    booked: Order, carrier: CarrierControl, skipping: Client
) -> None:
    parcel = booked.parcel()
    carrier.advance(booked.id, "in_transit")
    for status in (P.DISPATCHED, P.IN_TRANSIT):
        await report(parcel, status)
    await until(lambda: "parcel.in_transit" in booked.event_types())
    await skip(skipping, timedelta(days=7))
    await until(lambda: "parcel.exception" in booked.event_types())
    await until_details(parcel, ALERT)
    for status in (P.IN_TRANSIT, P.EXCEPTION, P.OUT_FOR_DELIVERY):
        await report(parcel, status)
    await until(lambda: booked.view().parcels[0].status is P.OUT_FOR_DELIVERY)
    assert ALERT not in await current_details(parcel)
    moves = [one.removeprefix("parcel.") for one in booked.event_types() if one.startswith("parcel.")]
    assert moves == ["booked", "dispatched", "in_transit", "exception", "in_transit", "exception", "out_for_delivery"]
    await report(parcel, P.DELIVERED)
    await until_closed(booked.handle)


# --- an order that wants it stopped


async def test_too_late_to_cancel_is_recorded_before_the_order_hears_it(
    booked: Order, carrier: CarrierControl, skipping: Client
) -> None:
    parcel = booked.parcel()
    carrier.advance(booked.id, "dispatched")
    await parcel.signal(FulfilmentWorkflow.cancel)
    await until(lambda: booked.view().parcels[0].status is P.DISPATCHED)
    assert booked.reserved() == 0
    await report(parcel, P.DISPATCHED)  # its event, after all
    await report(parcel, P.DELIVERED)
    await until_closed(parcel)
    await until_closed(booked.handle)
    sent = await updates(parcel, skipping)
    assert [(one.status, one.unknown) for one in sent] == [(P.DISPATCHED, False), (P.DELIVERED, False)]


@pytest.mark.parametrize(
    ("outcome", "status"), [(ParcelOutcome.STOPPED, P.CANCELLED), (ParcelOutcome.DISPATCHED, P.DISPATCHED)]
)
async def test_what_the_carrier_contradicts_is_unknown_until_an_operator_says(
    *, booked: Order, arm: Arm, skipping: Client, outcome: ParcelOutcome, status: ParcelStatus
) -> None:
    parcel = booked.parcel()
    arm("409", "cancel", code="already_dispatched")
    await parcel.signal(FulfilmentWorkflow.cancel)

    async def unknown() -> bool:
        return any(one.unknown and one.status is P.BOOKED for one in await updates(parcel, skipping))

    await until_async(unknown)
    assert booked.view().parcels[0].status is P.BOOKED
    await settle(parcel, outcome)
    await until(lambda: booked.view().parcels[0].status is status)
    assert booked.last_event(f"parcel.{status}").actor == "staff:test"
    await report(parcel, P.DELIVERED) if status is P.DISPATCHED else None
    await until_closed(parcel)
    assert [one.unknown for one in await updates(parcel, skipping)].count(True) == 1


@pytest.mark.parametrize(("kind", "code"), [("400", None), ("401", None), ("fail_before", None)])
async def test_a_cancellation_nobody_answers_is_unknown_and_goes_on_by_itself_or_on_request(
    *, booked: Order, arm: Arm, carrier: CarrierControl, skipping: Client, kind: str, code: str | None
) -> None:
    parcel = booked.parcel()
    arm(kind, "cancel", code=code)
    await parcel.signal(FulfilmentWorkflow.cancel)

    async def unknown() -> bool:
        return any(one.unknown for one in await updates(parcel, skipping))

    await until_async(unknown)
    carrier.end_faults()
    if kind == "400":  # a mistake is not sent again before somebody has looked at it
        await until_details(parcel, ALERT)
        await settle(parcel, ParcelOutcome.RETRY)
    else:
        await skip(skipping, timedelta(minutes=2))
    await until(lambda: booked.view().parcels[0].status is P.CANCELLED)
    await until_closed(parcel)
    assert carrier.statuses(booked.id) == ["cancelled"]


async def test_a_parcel_whose_order_has_ended_goes_on_by_itself(booked: Order) -> None:
    await booked.handle.terminate("stopped by hand")
    await report(booked.parcel(), P.DISPATCHED)
    await until_details(booked.parcel(), "the order has ended")
    await report(booked.parcel(), P.DELIVERED)
    await until_closed(booked.parcel())
    assert booked.view().parcels[0].status is P.DELIVERED


# --- bookings


@pytest.mark.parametrize("kind", ["401", "403", "404", "409", "429", "500", "malformed", "lacking", "too_long"])
async def test_an_outage_loses_no_order(
    *, place: Place, make_product: MakeProduct, arm: Arm, carrier: CarrierControl, skipping: Client, kind: str
) -> None:
    arm(kind, "book")
    order = await place({make_product(stock=5): 1})
    await order.first_answer()
    await skip(skipping, timedelta(hours=1))
    await until_details(order.parcel(), ALERT)
    carrier.end_faults()
    await skip(skipping, timedelta(minutes=2))
    await until(lambda: "parcel.booked" in order.event_types())
    await until_async(lambda: _calm(order.parcel()))
    assert carrier.statuses(order.id) == ["booked"]


async def _calm(parcel: Handle) -> bool:
    return ALERT not in await current_details(parcel)


@pytest.mark.parametrize(("kind", "code"), [("400", None), ("422", "a_code_nobody_knows")])
async def test_a_booking_the_carrier_calls_wrong_waits_for_an_operator(
    *, place: Place, make_product: MakeProduct, arm: Arm, carrier: CarrierControl, kind: str, code: str | None
) -> None:
    arm(kind, "book", code=code)
    order = await place({make_product(stock=5): 1})
    await order.first_answer()
    await until_details(order.parcel(), ALERT)
    carrier.end_faults()
    assert carrier.statuses(order.id) == []
    await settle(order.parcel(), ParcelOutcome.RETRY)
    await until(lambda: "parcel.booked" in order.event_types())
    await until_async(lambda: _calm(order.parcel()))


async def test_a_booking_the_carrier_calls_wrong_can_be_stopped(
    place: Place, make_product: MakeProduct, arm: Arm
) -> None:
    arm("400", "book")
    order = await place({make_product(stock=5): 1})
    await order.first_answer()
    await until_details(order.parcel(), ALERT)
    await order.parcel().signal(FulfilmentWorkflow.cancel)
    await until(lambda: "parcel.cancelled" in order.event_types())
    await until_closed(order.parcel())


# --- what never arrives


@pytest.mark.parametrize(
    ("end", "fulfilment"), [(P.RETURNED, FulfilmentStatus.RETURNED), (P.LOST, FulfilmentStatus.SHIPPED)]
)
async def test_a_parcel_that_never_arrives_ends_as_such_everywhere(
    booked: Order, skipping: Client, end: ParcelStatus, fulfilment: FulfilmentStatus
) -> None:
    parcel = booked.parcel()
    for status in (P.DISPATCHED, P.OUT_FOR_DELIVERY, end):
        await report(parcel, status)
    await until_closed(parcel)
    seen = booked.view()
    assert (seen.parcels[0].status, seen.fulfilment_status) == (end, fulfilment)
    assert booked.event_types().count(f"parcel.{end}") == 1
    assert (await updates(parcel, skipping))[-1].status is end
    assert ALERT in await current_details(parcel)


@pytest.mark.parametrize("end", [P.RETURNED, P.DELIVERED])
async def test_refused_at_the_door_is_on_its_way_back_until_it_ends(booked: Order, end: ParcelStatus) -> None:
    parcel = booked.parcel()
    for status in (P.DISPATCHED, P.OUT_FOR_DELIVERY, P.REFUSED):
        await report(parcel, status)
    await until(lambda: booked.view().parcels[0].status is P.EXCEPTION)
    await until_details(parcel, ALERT)
    await report(parcel, end)
    await until_closed(parcel)
    assert booked.view().parcels[0].status is end
    assert (ALERT in await current_details(parcel)) is (end is P.RETURNED)


async def test_late_repeated_and_unknown_events_are_noted_and_move_nothing(booked: Order) -> None:
    parcel, began = booked.parcel(), datetime.now(UTC)
    for status in ("dispatched", "out_for_delivery", "exception"):
        await report(parcel, status)
    await report(parcel, "in_transit", began - timedelta(hours=1))
    await report(parcel, "out_for_delivery", began - timedelta(minutes=30))
    await report(parcel, "cancelled")
    await report(parcel, "abducted")
    await until_details(parcel, "unknown status: abducted")
    for text in ("late: in_transit", "late: out_for_delivery", "late: cancelled"):
        await until_details(parcel, text)
    assert booked.view().parcels[0].status is P.EXCEPTION
    assert booked.event_types().count("parcel.out_for_delivery") == 1
    await report(parcel, "delivered")
    await until_closed(parcel)


# --- a workflow that died


async def test_an_adopted_parcel_takes_over_what_the_carrier_knows(
    *, adopt: Adopt, connections: Connections, make_product: MakeProduct, carrier: CarrierControl
) -> None:
    job = job_of(connections, make_product)
    shipment = Carrier(connections.settings).book(booking_of(job))  # and died before it was recorded
    carrier.advance(job.order_id, "in_transit")
    parcel = await adopt(job)
    await until(lambda: status_of(connections, job.order_id) is P.IN_TRANSIT)
    assert view(connections, job.order_id).parcels[0].tracking_number == shipment.tracking_number
    assert len(carrier.statuses(job.order_id)) == 1
    types = event_types(connections, job.order_id)
    assert types[-3:] == ["parcel.booked", "parcel.dispatched", "parcel.in_transit"]
    await report(parcel, P.DELIVERED)
    await until_closed(parcel)


async def test_an_adopted_parcel_that_was_never_booked_is_booked(
    adopt: Adopt, connections: Connections, make_product: MakeProduct, carrier: CarrierControl
) -> None:
    job = job_of(connections, make_product)
    parcel = await adopt(job)
    await until(lambda: status_of(connections, job.order_id) is P.BOOKED)
    assert carrier.statuses(job.order_id) == ["booked"]
    await parcel.signal(FulfilmentWorkflow.cancel)
    await until_closed(parcel)
    assert carrier.statuses(job.order_id) == ["cancelled"]


async def test_an_adopted_parcel_that_is_to_be_stopped_is_not_booked(
    adopt: Adopt, connections: Connections, make_product: MakeProduct, carrier: CarrierControl, arm: Arm
) -> None:
    job = job_of(connections, make_product)
    arm("fail_before", "find")
    parcel = await adopt(job)
    await parcel.signal(FulfilmentWorkflow.cancel)
    carrier.end_faults()
    await until_closed(parcel)
    assert status_of(connections, job.order_id) is P.CANCELLED
    assert carrier.statuses(job.order_id) == []


async def test_an_adopted_parcel_whose_booking_was_cancelled_is_stopped(
    adopt: Adopt, connections: Connections, make_product: MakeProduct, carrier: CarrierControl
) -> None:
    job = job_of(connections, make_product)
    parcel = await adopt(job)
    await until(lambda: status_of(connections, job.order_id) is P.BOOKED)
    await parcel.terminate("stopped by hand")
    shipment = Carrier(connections.settings).retrieve(f"{job.order_id}-1")
    assert shipment is not None
    Carrier(connections.settings).cancel(CancelShipment(shipment_id=shipment.shipment_id, idempotency_key="by hand"))
    await until_closed(await adopt(job))
    assert status_of(connections, job.order_id) is P.CANCELLED
    assert carrier.statuses(job.order_id) == ["cancelled"]


async def test_what_leaves_after_its_stock_was_released_is_recorded_and_shown(
    adopt: Adopt, connections: Connections, make_product: MakeProduct, carrier: CarrierControl
) -> None:
    job = job_of(connections, make_product)
    parcel = await adopt(job)
    await until(lambda: status_of(connections, job.order_id) is P.BOOKED)
    Reservations(connections.engine).release(ReleaseStock(order_id=job.order_id, actor="staff:test", reason="a test"))
    await report(parcel, P.DISPATCHED)
    await until_details(parcel, "count the stock")
    assert status_of(connections, job.order_id) is P.DISPATCHED
    await report(parcel, P.DELIVERED)
    await until_closed(parcel)
