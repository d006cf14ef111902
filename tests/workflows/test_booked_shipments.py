"""What a parcel is booked by: its rate, its label, and what it costs, of its present booking alone."""

from datetime import timedelta

import httpx2
import pytest
from temporalio.client import Client

from adapters.mysql.orders.fulfilment import Parcels
from adapters.mysql.orders.orders import OrderStore
from dev.carrier_simulator.wire import EXPRESS_ALONE_POSTAL_CODE
from domain.fulfilment import ParcelStatus
from domain.ledger import EntryKind
from domain.orders import OrderStatus
from schemas.base import Money
from schemas.fulfilment import HoldParcel, RecordedParcel
from schemas.parcel_resolutions import ResolutionAction
from schemas.parcels import ParcelShipment, ParcelView
from tests.fixture_types import MakeProduct
from tests.workflows.carrier import CarrierControl
from tests.workflows.failed_deliveries import only_parcel_comes_to, resolve_by
from tests.workflows.orders import Order, Place
from tests.workflows.parcels import Arm
from tests.workflows.time_skipping import skip
from tests.workflows.waiting import current_details, until, until_details
from workflows.parcels.fulfilment import FulfilmentWorkflow

P = ParcelStatus


def for_staff(order: Order, number: int = 1) -> ParcelView:
    view = OrderStore(order.connections.engine).get(order.id, for_staff=True)
    assert view is not None
    return view.parcels[number - 1]


def shipment_of(order: Order, number: int = 1) -> ParcelShipment:
    shipment = for_staff(order, number).shipment
    assert shipment is not None
    return shipment


def recorded(order: Order, number: int = 1) -> RecordedParcel:
    return Parcels(order.connections.engine).read(order.id, number)


async def until_parcel(order: Order, status: ParcelStatus, number: int = 1) -> None:
    def is_there() -> bool:
        parcels = order.view().parcels
        return len(parcels) >= number and parcels[number - 1].status is status

    await until(is_there)


async def put_on_hold(order: Order) -> None:
    await order.parcel().signal(FulfilmentWorkflow.hold, HoldParcel(on=True))
    await until_parcel(order, P.ON_HOLD)


async def release(order: Order) -> None:
    await order.parcel().signal(FulfilmentWorkflow.hold, HoldParcel(on=False))
    await until_parcel(order, P.BOOKED)


async def test_a_booked_parcel_has_its_label_and_its_cost_for_staff_alone(
    booked: Order, carrier: CarrierControl
) -> None:
    shipment = shipment_of(booked)
    assert (shipment.service, shipment.cost) == ("standard", Money(amount=380, currency="EUR"))
    assert shipment.label_url is not None
    assert httpx2.get(shipment.label_url).raise_for_status().headers["content-type"] == "application/pdf"
    assert recorded(booked).rate_id == carrier.rates(booked.id)[0]["id"]
    assert booked.view().parcels[0].shipment is None
    event = booked.last_event("parcel.booked")
    assert event.data["service"] == "standard"
    assert not {"cost", "label_url", "rate_id"} & event.data.keys()
    await until_details(booked.parcel(), "by standard for 3.80 EUR")
    assert "3.80" not in await current_details(booked.handle)


async def test_a_parcel_that_is_booked_again_has_the_label_of_its_present_booking(booked: Order) -> None:
    first = recorded(booked)
    await put_on_hold(booked)
    assert for_staff(booked).shipment is None
    await release(booked)
    second = recorded(booked)
    assert shipment_of(booked).label_url == second.label_url
    for name in ("shipment_id", "label_url", "rate_id", "tracking_number"):
        assert getattr(second, name) not in (None, getattr(first, name))


async def test_what_the_present_booking_lacks_is_not_that_of_the_one_before(booked: Order, arm: Arm) -> None:
    await put_on_hold(booked)
    arm("lacking", "book", field="label_url", times=1)
    await release(booked)
    shipment = shipment_of(booked)
    assert shipment.label_url is None
    assert shipment.cost == Money(amount=380, currency="EUR")


async def test_what_happens_on_the_way_leaves_label_and_cost(booked: Order) -> None:
    before = recorded(booked).known
    await booked.delivered()
    assert recorded(booked).known == before
    assert shipment_of(booked).label_url == before["label_url"]


async def test_what_is_shipped_again_has_a_booking_of_its_own(booked: Order, skipping: Client) -> None:
    await only_parcel_comes_to(booked, P.LOST)
    ship_again = resolve_by(skipping, ResolutionAction.SHIP_AGAIN)
    assert (await ship_again(booked, 1)).code is None
    await until_parcel(booked, P.BOOKED, 2)
    assert shipment_of(booked, 2).label_url not in (None, shipment_of(booked).label_url)


async def test_a_booking_that_was_never_answered_is_recorded_with_its_cost(
    *, place: Place, make_product: MakeProduct, arm: Arm, carrier: CarrierControl, skipping: Client
) -> None:
    arm("error_after", "book", times=1)
    order = await place({make_product(stock=5): 1})
    await order.first_answer()
    await skipping_to_booking(order, skipping)
    (rate,) = carrier.rates(order.id)
    assert recorded(order).rate_id == rate["id"]
    assert shipment_of(order).cost == Money(amount=rate["amount"], currency=rate["currency"])


@pytest.mark.parametrize("kind", ["401", "409", "500", "malformed"])
async def test_an_outage_of_rates_is_waited_for(
    *, place: Place, make_product: MakeProduct, arm: Arm, carrier: CarrierControl, skipping: Client, kind: str
) -> None:
    arm(kind, "rates")
    order = await place({make_product(stock=5): 1})
    await order.first_answer()
    await carrier.struck()
    assert carrier.statuses(order.id) == []
    carrier.end_faults()
    await skipping_to_booking(order, skipping)
    assert carrier.statuses(order.id) == ["booked"]


async def skipping_to_booking(order: Order, skipping: Client) -> None:
    await skip(skipping, timedelta(minutes=2))
    await until_parcel(order, P.BOOKED)


async def test_a_parcel_goes_faster_where_nothing_slower_does(place: Place, make_product: MakeProduct) -> None:
    order = await place({make_product(stock=5): 1}, postal_code=EXPRESS_ALONE_POSTAL_CODE)
    await order.first_answer()
    await until(lambda: "parcel.booked" in order.event_types())
    assert recorded(order).service == "express"
    await order.delivered()


async def test_an_order_that_no_rate_fits_fails_and_is_not_charged(
    place: Place, make_product: MakeProduct, carrier: CarrierControl
) -> None:
    order = await place({make_product(stock=5): 1}, postal_code=EXPRESS_ALONE_POSTAL_CODE, shipping_method="pickup")
    await order.handle.result()
    view = order.view()
    assert (view.status, view.failure_code) == (OrderStatus.FAILED, "shipment_refused")
    assert order.last_event("parcel.refused").data["code"] == "no_rate"
    assert order.money()[EntryKind.CAPTURE] == 0
    assert carrier.statuses(order.id) == []
    assert (order.reserved(), order.available()) == (0, 5)
