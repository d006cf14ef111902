"""What time brings to a parcel: lost events, no scans, a carrier that is away."""

from datetime import timedelta

import pytest
from temporalio.client import Client

from domain.fulfilment import ParcelStatus
from domain.ledger import EntryKind
from domain.orders import OrderStatus
from schemas.fulfilment import (
    ParcelOutcome,
)
from tests.fixture_types import MakeProduct
from tests.workflows.carrier import CarrierControl
from tests.workflows.orders import Order, Place
from tests.workflows.parcels import ALERT, Arm, calm, report, settle, until_closed, updates
from tests.workflows.time_skipping import skip
from tests.workflows.waiting import current_details, until, until_async, until_details
from workflows.parcels.fulfilment import FulfilmentWorkflow

P = ParcelStatus


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


@pytest.mark.parametrize(("kind", "code"), [("400", None), ("401", None), ("fail_before", None)])
async def test_a_cancellation_nobody_answers_is_unknown_until_it_is_answered(
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


@pytest.mark.parametrize("kind", ["error_after", "malformed", "lacking", "too_long"])
async def test_a_booking_whose_answer_cannot_be_read_is_found(
    *, place: Place, make_product: MakeProduct, arm: Arm, carrier: CarrierControl, kind: str
) -> None:
    arm(kind, "book")
    order = await place({make_product(stock=5): 1})
    await order.first_answer()
    await until(lambda: "parcel.booked" in order.event_types())
    assert carrier.statuses(order.id) == ["booked"]


@pytest.mark.parametrize("kind", ["401", "403", "404", "409", "429", "500", "malformed", "lacking", "too_long"])
async def test_an_outage_loses_no_order(
    *, place: Place, make_product: MakeProduct, arm: Arm, carrier: CarrierControl, skipping: Client, kind: str
) -> None:
    arm(kind, "book")
    arm(kind, "find")
    order = await place({make_product(stock=5): 1})
    await order.first_answer()
    await skip(skipping, timedelta(hours=1))
    await until_details(order.parcel(), ALERT)
    carrier.end_faults()
    await skip(skipping, timedelta(minutes=2))
    await until(lambda: "parcel.booked" in order.event_types())
    await until_async(lambda: calm(order.parcel()))
    assert carrier.statuses(order.id) == ["booked"]
