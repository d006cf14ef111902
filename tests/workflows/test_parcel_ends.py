"""Every way a parcel can end: stopped, unknown, returned, lost, or booked in vain."""

from datetime import UTC, datetime, timedelta

import pytest
from temporalio.client import Client

from domain.fulfilment import ParcelStatus
from domain.orders import FulfilmentStatus, OrderStatus
from schemas.fulfilment import (
    ParcelOutcome,
)
from tests.fixture_types import MakeProduct
from tests.workflows.carrier import CarrierControl
from tests.workflows.orders import Order, Place
from tests.workflows.parcels import ALERT, Arm, calm, report, settle, until_closed, updates
from tests.workflows.waiting import current_details, until, until_async, until_details
from workflows.parcels.fulfilment import FulfilmentWorkflow

P = ParcelStatus


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


async def test_a_parcel_whose_order_has_ended_goes_on_by_itself(booked: Order) -> None:
    await booked.handle.terminate("stopped by hand")
    await report(booked.parcel(), P.DISPATCHED)
    await until_details(booked.parcel(), "the order has ended")
    await report(booked.parcel(), P.DELIVERED)
    await until_closed(booked.parcel())
    assert booked.view().parcels[0].status is P.DELIVERED


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
    await until_async(lambda: calm(order.parcel()))


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
    result = await booked.handle.result()
    assert (result.status, result.reason) == (OrderStatus.FAILED, "not_delivered")
    assert booked.view().status is OrderStatus.FAILED
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
