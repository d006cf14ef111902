"""Each parcel is stopped by itself: what it was worth, and its stock, follow what became of it, and nothing else."""

import asyncio

import pytest
from temporalio.api.history.v1 import HistoryEvent

from adapters.connections import Connections
from adapters.mysql.payments.ledger import Ledger
from domain.fulfilment import ParcelStatus
from domain.ledger import EntryKind
from domain.orders import FulfilmentStatus, OrderStatus, PaymentStatus
from schemas.fulfilment import ParcelOutcome
from schemas.order_requests import CancelOrder, SettleParcel
from tests.fixture_types import MakeProduct
from tests.workflows.carrier import CarrierControl
from tests.workflows.orders import Order, Place
from tests.workflows.provider import MakeFault
from tests.workflows.waiting import current_details, until, until_details, until_idle
from workflows.orders.checkout import CheckoutWorkflow

CANCEL = CancelOrder(actor="staff:test", reason="changed their mind")


@pytest.fixture
async def two_parcels(place: Place, make_product: MakeProduct) -> Order:
    return await place_two(place, make_product)


@pytest.fixture
async def two_mortal_parcels(place_in_real_time: Place, make_product: MakeProduct) -> Order:
    """On the real server: the time-skipping one does not show an order that its parcel's workflow was terminated."""
    return await place_two(place_in_real_time, make_product)


async def place_two(place: Place, make_product: MakeProduct) -> Order:
    """One from Berlin, one from Amsterdam, both booked."""
    order = await place({make_product(stock={"BER": 5}, price=1000): 1, make_product(stock={"AMS": 5}, price=3000): 1})
    await order.first_answer()
    await until(lambda: order.event_types().count("parcel.booked") == 2)
    return order


def check_settled(order: Order, connections: Connections, *dispatched: int) -> None:
    """Captured is what was dispatched, the rest is voided, and nothing is reserved, to the cent."""
    shares = {parcel.number: parcel for parcel in order.view().parcels}
    money = order.money()
    assert money[EntryKind.CAPTURE] + money[EntryKind.VOID] == money[EntryKind.AUTHORIZATION]
    assert sum(Ledger(connections.engine).balances(order.id).values()) == 0
    assert order.reserved() == 0
    assert order.available() == 10 - len(dispatched)
    assert {number for number, parcel in shares.items() if not ParcelStatus(parcel.status).is_stopped} == set(
        dispatched
    )
    assert (money[EntryKind.CAPTURE] > 0) is bool(dispatched)


async def test_a_parcel_the_carrier_gives_up_touches_no_other(two_parcels: Order, connections: Connections) -> None:
    order = two_parcels
    await order.carrier_event(ParcelStatus.CANCELLED, 2)
    await until(lambda: "order.stock_released" in order.event_types())
    await order.carrier_event(ParcelStatus.DISPATCHED, 1)
    await order.carrier_event(ParcelStatus.DELIVERED, 1)
    assert (await order.handle.result()).status is OrderStatus.DELIVERED
    view = order.view()
    assert (view.status, view.payment_status) == (OrderStatus.DELIVERED, PaymentStatus.CAPTURED)
    assert view.fulfilment_status is FulfilmentStatus.DELIVERED
    check_settled(order, connections, 1)


async def test_the_last_one_given_up_after_the_other_was_paid_for(two_parcels: Order, connections: Connections) -> None:
    order = two_parcels
    await order.carrier_event(ParcelStatus.DISPATCHED, 1)
    await order.carrier_event(ParcelStatus.DELIVERED, 1)
    await until(lambda: "payment.captured" in order.event_types())
    await order.carrier_event(ParcelStatus.CANCELLED, 2)
    assert (await order.handle.result()).status is OrderStatus.DELIVERED
    assert order.view().status is OrderStatus.DELIVERED
    check_settled(order, connections, 1)


async def test_a_cancelled_order_whose_parcels_are_booked(
    two_parcels: Order, connections: Connections, carrier: CarrierControl
) -> None:
    order = two_parcels
    assert await order.cancel(CANCEL) is OrderStatus.CANCELLED
    assert order.view().status is OrderStatus.CANCELLED
    assert [carrier.statuses(order.id, parcel) for parcel in (1, 2)] == [["cancelled"], ["cancelled"]]
    check_settled(order, connections)


async def test_cancelled_after_one_was_dispatched(
    two_parcels: Order, connections: Connections, carrier: CarrierControl
) -> None:
    order = two_parcels
    await order.carrier_event(ParcelStatus.DISPATCHED, 1)
    await until(lambda: "payment.captured" in order.event_types())
    answer = await order.handle.execute_update(CheckoutWorkflow.cancel, CANCEL)
    assert (answer.dispatched, answer.cancelled) == ([1], [2])
    assert carrier.statuses(order.id, 2) == ["cancelled"]
    await order.carrier_event(ParcelStatus.DELIVERED, 1)
    assert (await order.handle.result()).status is OrderStatus.DELIVERED
    assert order.view().status is OrderStatus.DELIVERED
    check_settled(order, connections, 1)


async def test_too_late_at_the_carrier_before_its_event(
    two_parcels: Order, connections: Connections, carrier: CarrierControl
) -> None:
    order = two_parcels
    carrier.advance(order.id, "dispatched", 2)  # its webhook is lost
    answer = await order.handle.execute_update(CheckoutWorkflow.cancel, CANCEL)
    assert (answer.dispatched, answer.cancelled) == ([2], [1])
    await order.carrier_event(ParcelStatus.DISPATCHED, 2)  # the real event, late
    await order.carrier_event(ParcelStatus.DELIVERED, 2)
    assert (await order.handle.result()).status is OrderStatus.DELIVERED
    check_settled(order, connections, 2)


async def test_a_dead_parcel_does_not_keep_the_other_from_being_stopped(
    two_mortal_parcels: Order, connections: Connections, carrier: CarrierControl
) -> None:
    order = two_mortal_parcels
    await order.parcel(1).terminate("stopped by hand")
    result = await order.handle.result()
    assert (result.status, result.reason) == (OrderStatus.FAILED, "terminated")
    assert [carrier.statuses(order.id, parcel) for parcel in (1, 2)] == [["cancelled"], ["cancelled"]]
    check_settled(order, connections)


async def test_of_an_unknown_parcel_nothing_is_voided_or_released(
    two_parcels: Order, connections: Connections, carrier: CarrierControl
) -> None:
    order = two_parcels
    carrier.unclear(order.id, 1)
    cancelling = asyncio.create_task(order.cancel(CANCEL))
    await order.until(OrderStatus.COMPENSATION_BLOCKED)
    assert "was parcel 1 dispatched?" in await current_details(order.handle)
    assert carrier.statuses(order.id, 2) == ["cancelled"]
    assert order.money()[EntryKind.VOID] == 0
    assert (order.reserved(), order.available()) == (1, 9)

    settlement = SettleParcel(parcel=1, outcome=ParcelOutcome.STOPPED, actor="staff:test", reason="it is still here")
    await order.handle.execute_update(CheckoutWorkflow.settle_parcel, settlement)
    assert await cancelling is OrderStatus.CANCELLED
    assert order.view().status is OrderStatus.CANCELLED
    check_settled(order, connections)


async def test_of_an_unknown_parcel_that_was_dispatched(
    two_parcels: Order, connections: Connections, carrier: CarrierControl
) -> None:
    order = two_parcels
    carrier.unclear(order.id, 1)
    cancelling = asyncio.create_task(order.handle.execute_update(CheckoutWorkflow.cancel, CANCEL))
    await order.until(OrderStatus.COMPENSATION_BLOCKED)
    settlement = SettleParcel(
        parcel=1, outcome=ParcelOutcome.DISPATCHED, actor="staff:test", reason="the driver has it"
    )
    await order.handle.execute_update(CheckoutWorkflow.settle_parcel, settlement)
    answer = await cancelling
    assert (answer.dispatched, answer.cancelled) == ([1], [2])
    await order.until(OrderStatus.SHIPPED)
    await order.carrier_event(ParcelStatus.DELIVERED, 1)
    assert (await order.handle.result()).status is OrderStatus.DELIVERED
    assert order.view().status is OrderStatus.DELIVERED
    check_settled(order, connections, 1)


@pytest.mark.parametrize("captured", ["before the other is stopped", "after it"])
async def test_a_slow_capture_beside_a_parcel_that_fails(
    two_mortal_parcels: Order, connections: Connections, provider_fault: MakeFault, captured: str
) -> None:
    order = two_mortal_parcels
    capturing = provider_fault("latency", "capture", seconds=20)
    await order.carrier_event(ParcelStatus.DISPATCHED, 2)
    await until(capturing.struck)
    await order.parcel(1).terminate("stopped by hand")
    if captured == "after it":
        await until(lambda: "parcel.cancelled" in order.event_types())
    capturing.end()
    await order.until(OrderStatus.SHIPPED)
    await order.carrier_event(ParcelStatus.DELIVERED, 2)
    assert (await order.handle.result()).status is OrderStatus.DELIVERED
    assert "order.partly_cancelled" in order.event_types()
    check_settled(order, connections, 2)


async def test_two_parcels_dispatched_at_once(
    two_mortal_parcels: Order, connections: Connections, provider_fault: MakeFault
) -> None:
    """One capture is asked for at a time: the server may deliver two signals in any sequence, and the final one ends
    the authorization.
    """
    order = two_mortal_parcels
    capturing = provider_fault("latency", "capture", seconds=20)
    await asyncio.gather(*(order.carrier_event(ParcelStatus.DISPATCHED, parcel) for parcel in (1, 2)))
    await until(lambda: order.event_types().count("parcel.dispatched") == 2)
    await until(capturing.struck)
    await until_idle(order.handle)
    signals = [event for event in (await order.payment.fetch_history()).events if signal_of(event) == "capture"]
    assert len(signals) == 1
    capturing.end()
    await order.delivered_all()
    check_settled(order, connections, 1, 2)


def signal_of(event: HistoryEvent) -> str:
    return str(event.workflow_execution_signaled_event_attributes.signal_name)


async def test_a_cancellation_of_a_delivered_order_that_is_still_open(
    place: Place, make_product: MakeProduct, provider_fault: MakeFault
) -> None:
    capturing = provider_fault("latency", "capture", seconds=20)
    order = await place({make_product(stock=5): 1})
    await order.first_answer()
    await order.carrier_event(ParcelStatus.DISPATCHED)
    await order.carrier_event(ParcelStatus.DELIVERED)
    await until(capturing.struck)
    await order.until(OrderStatus.DELIVERED)
    await order.handle.cancel()
    await until_details(order.handle, "cancellation ignored: everything was dispatched")
    capturing.end()
    assert (await order.handle.result()).status is OrderStatus.DELIVERED
    view = order.view()
    assert (view.status, view.payment_status) == (OrderStatus.DELIVERED, PaymentStatus.CAPTURED)


async def test_two_who_cancel_at_once(two_parcels: Order, connections: Connections) -> None:
    answers = await asyncio.gather(*(two_parcels.cancel(CANCEL) for _ in range(2)), return_exceptions=True)
    assert OrderStatus.CANCELLED in answers
    check_settled(two_parcels, connections)
