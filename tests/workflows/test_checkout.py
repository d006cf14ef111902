"""An order's steps and their compensation, on the real stores."""

import asyncio
from datetime import timedelta

import pytest
from temporalio.client import Client, WorkflowUpdateFailedError

from domain.fulfilment import ParcelStatus
from domain.ledger import EntryKind
from domain.orders import FulfilmentStatus, OrderStatus, PaymentStatus
from schemas.checkout import CheckoutOutcome
from schemas.order_requests import CancelOrder
from tests.fixture_types import MakeProduct
from tests.workflows.orders import Place, refusal
from tests.workflows.provider import Journal, MakeFault, effects
from tests.workflows.time_skipping import skip
from tests.workflows.waiting import until, until_details

DISPATCHED, DELIVERED = ParcelStatus.DISPATCHED, ParcelStatus.DELIVERED
CANCEL = CancelOrder(actor="customer:test", reason="changed my mind")


async def test_order_is_delivered_and_captured_when_its_parcel_leaves(place: Place, make_product: MakeProduct) -> None:
    order = await place({make_product(stock=5): 2})
    answer = await order.first_answer()
    assert answer.outcome is CheckoutOutcome.AUTHORIZED
    assert (order.reserved(), order.money()[EntryKind.CAPTURE]) == (2, 0)

    await order.carrier_event(DISPATCHED)
    await order.carrier_event(DELIVERED)
    result = await order.handle.result()

    view = order.view()
    assert result.status is view.status is OrderStatus.DELIVERED
    assert view.payment_status is PaymentStatus.CAPTURED
    assert view.fulfilment_status is FulfilmentStatus.DELIVERED
    assert order.money()[EntryKind.CAPTURE] == view.total.amount
    assert (order.reserved(), order.available()) == (0, 3)
    assert order.event_types() == [
        "order.placed",
        "order.stock_reserved",
        "payment.authorized",
        "order.confirmed",
        "parcel.booked",
        "parcel.dispatched",
        "payment.captured",
        "parcel.delivered",
    ] or sorted(order.event_types()[-2:]) == ["parcel.delivered", "payment.captured"]


async def test_declined_card_releases_the_stock(place: Place, make_product: MakeProduct) -> None:
    order = await place({make_product(stock=5): 2}, payment_method="pm_card_chargeDeclined")
    answer = await order.first_answer()
    await order.handle.result()

    assert (answer.outcome, answer.code) == (CheckoutOutcome.DECLINED, "payment_declined")
    assert order.view().status is OrderStatus.FAILED
    assert (order.reserved(), order.available()) == (0, 5)
    assert order.event_types()[-3:] == ["payment.declined", "order.stock_released", "order.failed"]


async def test_refused_booking_voids_the_authorization_and_releases_the_stock(
    place: Place, make_product: MakeProduct
) -> None:
    order = await place({make_product(stock=5): 1}, postal_code="00000")
    result = await order.handle.result()

    view = order.view()
    assert (result.status, result.reason) == (OrderStatus.FAILED, "shipment_refused")
    assert view.payment_status is PaymentStatus.VOIDED
    money = order.money()
    assert money[EntryKind.VOID] == money[EntryKind.AUTHORIZATION] == view.total.amount
    assert (order.reserved(), order.available()) == (0, 5)


async def test_out_of_stock_order_leaves_nothing_behind(place: Place, make_product: MakeProduct) -> None:
    order = await place({make_product(stock=1): 2})
    answer = await order.first_answer()
    await order.handle.result()

    assert answer.outcome is CheckoutOutcome.OUT_OF_STOCK
    assert answer.details["lines"] == [{"sku": order.input.lines[0].sku, "wanted": 2, "available": 1}]
    assert not order.recorded()
    assert (order.reserved(), order.available()) == (0, 1)


async def test_unknown_product_is_refused_and_leaves_nothing_behind(place: Place) -> None:
    order = await place({"NO-SUCH-SKU": 1})
    answer = await order.first_answer()
    await order.handle.result()
    assert (answer.outcome, answer.code) == (CheckoutOutcome.REFUSED, "unknown_product")
    assert not order.recorded()


async def test_one_version_of_a_cart_becomes_one_order(place: Place, make_product: MakeProduct) -> None:
    sku = make_product(stock=5)
    first = await place({sku: 1})
    await first.first_answer()
    second = await place({sku: 1}, cart_id=first.input.cart_id)
    answer = await second.first_answer()
    assert (answer.outcome, answer.code) == (CheckoutOutcome.REFUSED, "cart_changed")
    assert first.reserved() == 1
    await first.carrier_event(DISPATCHED)
    await first.carrier_event(DELIVERED)
    await first.handle.result()


async def test_cancel_during_payment_voids_and_releases(
    place: Place, make_product: MakeProduct, provider_fault: MakeFault, provider_journal: Journal
) -> None:
    provider_fault("latency", "create", seconds=1.5)
    order = await place({make_product(stock=5): 3})
    status = await order.cancel(CANCEL)
    await order.handle.result()

    assert status is OrderStatus.CANCELLED
    assert order.reserved() == 0
    money = order.money()
    assert money[EntryKind.VOID] == money[EntryKind.AUTHORIZATION]
    assert effects(provider_journal, order.id) in ([], ["authorization", "void"])
    if order.recorded():
        assert order.event_types()[-1] == "order.cancelled"
        assert order.events()[-1].actor == CANCEL.actor


async def test_cancel_after_dispatch_is_refused(place: Place, make_product: MakeProduct) -> None:
    order = await place({make_product(stock=5): 1})
    await order.first_answer()
    await order.carrier_event(DISPATCHED)
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await order.cancel(CANCEL)
    assert refusal(refused.value) == "too_late"
    await order.carrier_event(DELIVERED)
    assert (await order.handle.result()).status is OrderStatus.DELIVERED


async def test_two_warehouses_ship_two_parcels_whose_captures_add_up(place: Place, make_product: MakeProduct) -> None:
    order = await place({make_product(stock={"BER": 2}, price=1001): 2, make_product(stock={"AMS": 3}, price=333): 1})
    await order.first_answer()
    for parcel in (2, 1):
        await order.carrier_event(DISPATCHED, parcel)
        await order.carrier_event(DELIVERED, parcel)
    await order.handle.result()
    view = order.view()
    assert [parcel.warehouse for parcel in view.parcels] == ["BER", "AMS"]
    assert order.money()[EntryKind.CAPTURE] == view.total.amount
    assert order.event_types().count("payment.captured") == 2
    assert (view.status, order.reserved()) == (OrderStatus.DELIVERED, 0)


async def test_late_and_repeated_carrier_events_never_move_a_parcel_backwards(
    place: Place, make_product: MakeProduct
) -> None:
    order = await place({make_product(stock=5): 1})
    await order.first_answer()
    for status in (ParcelStatus.IN_TRANSIT, DISPATCHED, ParcelStatus.IN_TRANSIT, DISPATCHED, DELIVERED):
        await order.carrier_event(status)
    await order.handle.result()
    moves = [event.type for event in order.events() if event.type.startswith("parcel.")]
    assert moves == ["parcel.booked", "parcel.in_transit", "parcel.delivered"]
    assert order.money()[EntryKind.CAPTURE] == order.view().total.amount


async def test_parcel_without_events_for_a_month_is_still_delivered(
    place: Place, make_product: MakeProduct, skipping: Client
) -> None:
    order = await place({make_product(stock=5): 1})
    await order.first_answer()
    await order.carrier_event(DISPATCHED)
    await skip(skipping, timedelta(days=30))
    await order.carrier_event(DELIVERED)
    assert (await order.handle.result()).status is OrderStatus.DELIVERED


async def test_lost_answer_of_the_provider_charges_once(
    place: Place, make_product: MakeProduct, provider_fault: MakeFault, provider_journal: Journal
) -> None:
    provider_fault("timeout_after", "create", seconds=0.1)
    provider_fault("timeout_after", "capture", seconds=0.1)
    order = await place({make_product(stock=5): 1})
    await order.first_answer()
    await order.carrier_event(DISPATCHED)
    await order.carrier_event(DELIVERED)
    await order.handle.result()
    journal = provider_journal(order.id)
    assert [entry["effect"] for entry in journal] == ["authorization", "capture"]
    assert order.money()[EntryKind.CAPTURE] == order.view().total.amount


async def test_a_cancellation_in_the_web_ui_after_dispatch_is_ignored(place: Place, make_product: MakeProduct) -> None:
    order = await place({make_product(stock=5): 1})
    await order.first_answer()
    await order.carrier_event(DISPATCHED)
    await order.until(OrderStatus.SHIPPED)
    await until_details(order.handle, "parcel 1 dispatched")
    await order.handle.cancel()
    await until_details(order.handle, "cancellation ignored: everything was dispatched")
    assert (await order.delivered()).status is OrderStatus.DELIVERED
    assert order.reserved() == 0


@pytest.mark.parametrize("milliseconds", [0, 3, 10, 20, 30, 45, 70, 110])
async def test_cancellation_is_never_lost_whatever_the_order_is_doing(
    place: Place, make_product: MakeProduct, milliseconds: int
) -> None:
    order = await place({make_product(stock=5): 1})
    await order.first_answer()
    await order.carrier_event(DISPATCHED)
    await asyncio.sleep(milliseconds / 1000)
    await order.handle.cancel()
    await until(
        lambda: (
            order.view().status is OrderStatus.CANCELLED or order.view().fulfilment_status is FulfilmentStatus.SHIPPED
        )
    )
    if order.view().fulfilment_status is FulfilmentStatus.SHIPPED:
        await order.carrier_event(DELIVERED)
    result, view = await order.handle.result(), order.view()
    assert result.status is view.status
    assert view.status is (OrderStatus.DELIVERED if order.money()[EntryKind.CAPTURE] else OrderStatus.CANCELLED)
    assert order.reserved() == 0
    money = order.money()
    assert money[EntryKind.CAPTURE] + money[EntryKind.VOID] == money[EntryKind.AUTHORIZATION]
