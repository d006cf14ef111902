"""The shipping address of an order is changed before anything of it is booked: to the cent, or not at all."""

import asyncio
from collections import Counter

import pytest
from temporalio.client import Client, WorkflowUpdateFailedError

from adapters.connections import Connections
from adapters.mail.order_texts import write
from adapters.mysql.payments.ledger import Ledger
from domain.orders import OrderStatus, PaymentStatus
from schemas.address_changes import AddressAnswer
from schemas.checkout import CancelledLine
from schemas.notifications import NotificationInput
from tests.fixture_types import MakeProduct
from tests.workflows.addresses import (
    AMERICA,
    CANCEL,
    CUSTOMER,
    DENMARK,
    GERMANY,
    PICKED,
    PICKED_IN_GERMANY,
    Basket,
    address,
    begin_to_move,
    move,
    order_from_denmark,
)
from tests.workflows.carrier import CarrierControl
from tests.workflows.orders import Order, Place, refusal
from tests.workflows.parcels import Arm
from tests.workflows.provider import Journal
from tests.workflows.waiting import until, until_details
from workflows.orders.checkout import CheckoutWorkflow

pytestmark = pytest.mark.usefixtures("rotterdam_asks")


@pytest.fixture
async def basket(place: Place, make_product: MakeProduct, connections: Connections, skipping: Client) -> Basket:
    return await order_from_denmark(place, make_product, connections, skipping)


async def refused(order: Order, country: str = "DE") -> object:
    with pytest.raises(WorkflowUpdateFailedError) as error:
        await move(order, country)
    return refusal(error.value)


def check_paid(order: Order, journal: Journal, connections: Connections, captured: int) -> None:
    """The rest of what was authorized is voided; the provider has done what our ledger says."""
    sums = Counter[str]()
    for entry in journal(order.id):
        sums[entry["effect"]] += entry["amount"]
    assert sums == Counter({"authorization": DENMARK, "capture": captured, "void": DENMARK - captured})
    assert sum(Ledger(connections.engine).balances(order.id).values()) == 0
    view = order.view()
    assert (view.status, view.payment_status) == (OrderStatus.DELIVERED, PaymentStatus.CAPTURED)
    assert (view.payment.held.amount, view.payment.captured.amount) == (0, captured)
    assert order.dispatched_amount() == captured


async def test_to_where_it_costs_less(
    basket: Basket, carrier: CarrierControl, provider_journal: Journal, connections: Connections
) -> None:
    order = basket.order
    assert order.view().total.amount == DENMARK
    assert await move(order, "DE") == AddressAnswer()
    view = order.view()
    assert view.shipping_address == address("DE")
    assert (view.total.amount, view.shipping.amount, view.tax.amount) == (GERMANY, 490, 570 + 570 + 93)
    assert [line.tax.amount for line in view.lines] == [570, 570]
    event = order.last_event("order.address_changed")
    assert (event.actor, event.status) == (CUSTOMER, OrderStatus.CONFIRMED)
    assert event.data == {
        "total": {"amount": GERMANY, "currency": "EUR"},
        "previous_total": {"amount": DENMARK, "currency": "EUR"},
    }
    same = event.model_dump(include={"seq", "type", "data"})
    mail = write(view, NotificationInput(event_id=event.id, order_id=order.id, **same))
    assert "shipping address was changed" in mail.subject
    await basket.deliver()
    assert [one["country"] for parcel in (1, 2) for one in carrier.destinations(order.id, parcel)] == ["DE", "DE"]
    captures = [entry["amount"] for entry in provider_journal(order.id) if entry["effect"] == "capture"]
    assert captures == [PICKED_IN_GERMANY, GERMANY - PICKED_IN_GERMANY]
    check_paid(order, provider_journal, connections, GERMANY)


async def test_within_its_country(
    basket: Basket, carrier: CarrierControl, provider_journal: Journal, connections: Connections
) -> None:
    """Nothing but the address changes, whatever shipping and tax have become since."""
    order = basket.order
    before = order.view()
    assert await move(order, "DK") == AddressAnswer()
    assert order.view().shipping_address == address("DK")
    assert (order.view().total, order.view().lines) == (before.total, before.lines)
    await basket.deliver()
    assert {one["line1"] for parcel in (1, 2) for one in carrier.destinations(order.id, parcel)} == {"Neue Straße 2"}
    check_paid(order, provider_journal, connections, DENMARK)


async def test_to_where_it_costs_more(basket: Basket, carrier: CarrierControl) -> None:
    """It stays as it was, and its parcels go on."""
    order = basket.order
    before = order.view()
    answer = await move(order, "US")
    assert answer.code == "address_raises_total"
    names = {"total": DENMARK, "new_total": AMERICA, "amount_due": AMERICA}
    assert answer.details == {name: {"amount": amount, "currency": "EUR"} for name, amount in names.items()}
    assert order.view() == before
    assert "order.address_changed" not in order.event_types()
    await basket.deliver()
    assert [one["country"] for one in carrier.destinations(order.id)] == ["DK"]
    assert order.view().payment.captured.amount == DENMARK


async def test_to_where_its_shipping_method_does_not_go(place: Place, make_product: MakeProduct) -> None:
    order = await place({make_product(stock={"ROT": 9}): 1}, shipping_method="pickup")
    await order.first_answer()
    await until_details(order.parcel(), "is booked once its pick is confirmed")
    assert (await move(order, "US")).code == "unknown_shipping_method"
    assert order.view().shipping_address.country == "DE"


async def test_the_same_request_again_and_others_at_once(basket: Basket, carrier: CarrierControl) -> None:
    order = basket.order
    answers = await asyncio.gather(*(move(order, country) for country in ("DE", "DK", "DE")))
    await asyncio.gather(move(order, "DE", "once"), move(order, "DE", "once"))
    assert order.event_types().count("order.address_changed") == 1 + sum(answer.code is None for answer in answers)
    assert {answer.code for answer in answers} <= {None, "address_raises_total"}
    assert order.view().total.amount == GERMANY
    await basket.deliver()
    assert [one["country"] for one in carrier.destinations(order.id)] == ["DE"]


async def test_once_a_parcel_is_booked(basket: Basket, carrier: CarrierControl) -> None:
    order = basket.order
    await basket.pick()
    await carrier.booked(order.id)
    await until(lambda: "parcel.booked" in order.event_types())
    assert await refused_at_last(order) == "too_late"
    assert order.view().shipping_address.country == "DK"


async def refused_at_last(order: Order) -> object:
    """By the order, which knows of the booking, or by its parcel."""
    try:
        return (await move(order, "DE")).code
    except WorkflowUpdateFailedError as error:
        return refusal(error)


async def test_while_a_parcel_is_being_booked(basket: Basket, arm: Arm, carrier: CarrierControl) -> None:
    """The carrier does not answer, so the order cannot know; its other parcel is not held back by that."""
    order = basket.order
    arm("fail_before", "book")
    await basket.pick()
    await carrier.struck()
    assert (await move(order, "DE")).code == "too_late"
    carrier.end_faults()
    await basket.receive()
    await until(lambda: order.event_types().count("parcel.booked") == 2)
    assert [one["country"] for parcel in (1, 2) for one in carrier.destinations(order.id, parcel)] == ["DK", "DK"]
    await order.delivered_all()
    assert order.view().payment.captured.amount == DENMARK


async def test_beside_a_pick_and_an_arrival(
    basket: Basket, carrier: CarrierControl, provider_journal: Journal, connections: Connections
) -> None:
    """Whichever comes first, both parcels go to one address, and cost what the order says."""
    order = basket.order
    answers = await asyncio.gather(refused_at_last(order), basket.pick(), basket.receive())
    await until(lambda: order.event_types().count("parcel.booked") == 2)
    assert answers[0] in (None, "too_late")
    country, total = ("DE", GERMANY) if answers[0] is None else ("DK", DENMARK)
    assert [one["country"] for parcel in (1, 2) for one in carrier.destinations(order.id, parcel)] == [country] * 2
    await order.delivered_all()
    captured = sum(entry["amount"] for entry in provider_journal(order.id) if entry["effect"] == "capture")
    assert captured == order.view().total.amount == total
    assert sum(Ledger(connections.engine).balances(order.id).values()) == 0


async def test_before_it_is_confirmed(place: Place, make_product: MakeProduct) -> None:
    order = await place({make_product(stock={"ROT": 9}): 1}, payment_method="pm_card_threeDSecure2Required")
    await until(order.recorded)
    await order.until(OrderStatus.AWAITING_PAYMENT)
    assert await refused(order) == "not_confirmed"


async def test_an_order_of_which_nothing_waits(booked: Order) -> None:
    assert await refused(booked) == "too_late"


async def test_some_units_were_cancelled_before(
    basket: Basket, provider_journal: Journal, connections: Connections
) -> None:
    """They keep their part of the new total, and are not charged."""
    order = basket.order
    lines = [CancelledLine(sku=basket.shirt, quantity=1)]
    cancelled = await order.handle.execute_update(CheckoutWorkflow.cancel, CANCEL.model_copy(update={"lines": lines}))
    assert cancelled.not_charged == PICKED - 2704
    assert await move(order, "DE") == AddressAnswer()
    assert order.view().total.amount == GERMANY
    await basket.deliver()
    # 67.62 of 81.14 were left, so 64.37 of 77.24 are.
    check_paid(order, provider_journal, connections, 6437)


async def test_it_is_cancelled_after_that(
    basket: Basket, carrier: CarrierControl, provider_journal: Journal, connections: Connections
) -> None:
    order = basket.order
    assert await move(order, "DE") == AddressAnswer()
    assert await order.cancel(CANCEL) is OrderStatus.CANCELLED
    assert (carrier.statuses(order.id), order.reserved()) == ([], 0)
    effects = [(entry["effect"], entry["amount"]) for entry in provider_journal(order.id)]
    assert effects == [("authorization", DENMARK), ("void", DENMARK)]
    assert sum(Ledger(connections.engine).balances(order.id).values()) == 0


async def test_it_is_cancelled_at_the_same_moment(basket: Basket, carrier: CarrierControl) -> None:
    order = basket.order
    moving = await begin_to_move(order, "DE")
    assert await order.cancel(CANCEL) is OrderStatus.CANCELLED
    assert (await moving.result()).code in (None, "too_late")
    assert (await order.handle.result()).status is OrderStatus.CANCELLED
    assert (carrier.statuses(order.id), order.view().payment_status) == ([], PaymentStatus.VOIDED)
