"""Some lines of an order are cancelled: the rest goes on, and is paid for to the cent."""

import asyncio
from collections import Counter
from dataclasses import dataclass

import pytest
from temporalio.client import Client, WorkflowUpdateFailedError, WorkflowUpdateStage

from adapters.connections import Connections
from adapters.mysql.orders.stock import Stock
from adapters.mysql.payments.ledger import Ledger
from domain.fulfilment import ParcelStatus
from domain.orders import OrderStatus, PaymentStatus
from schemas.checkout import CancelledLine, CheckoutResult
from schemas.fulfilment import ParcelOutcome
from schemas.order_requests import CancelOrder, SettleParcel
from schemas.stock import SetStockRules
from temporal_clients.orders import RunningOrders
from tests.fixture_types import MakeProduct
from tests.workflows.carrier import CarrierControl
from tests.workflows.orders import Order, Place, refusal
from tests.workflows.parcels import Arm
from tests.workflows.provider import Journal
from tests.workflows.waiting import until, until_details
from workflows.orders.checkout import CheckoutWorkflow

P = ParcelStatus
IN_STOCK = 9
ACCEPTED = WorkflowUpdateStage.ACCEPTED


@dataclass
class Basket:
    """Two parcels: from Berlin 3 × 10.00 and 1 × 2.50, from Amsterdam 2 × 30.01."""

    order: Order
    shirt: str
    socks: str
    coat: str


# Of 92.52 for the goods, 5.40 for shipping and 18.61 tax, by the value of the goods.
TOTAL, BERLIN, AMSTERDAM = 11653, 4093, 7560


@pytest.fixture
async def basket(place: Place, make_product: MakeProduct) -> Basket:
    made = [("BER", 1000, 3), ("BER", 250, 1), ("AMS", 3001, 2)]
    skus = [make_product(stock={at: IN_STOCK}, price=price) for at, price, _ in made]
    order = await place(dict(zip(skus, (units for _, _, units in made), strict=True)))
    await order.first_answer()
    await until(lambda: order.event_types().count("parcel.booked") == 2)
    return Basket(order, *skus)


def cancel_of(**units: int) -> CancelOrder:
    lines = [CancelledLine(sku=sku, quantity=quantity) for sku, quantity in units.items()]
    return CancelOrder(actor="customer:test", reason="one too many", lines=lines)


async def cancel(order: Order, **units: int) -> CheckoutResult:
    return await order.handle.execute_update(CheckoutWorkflow.cancel, cancel_of(**units))


async def refused(order: Order, **units: int) -> object:
    with pytest.raises(WorkflowUpdateFailedError) as error:
        await cancel(order, **units)
    return refusal(error.value)


def check_paid(order: Order, journal: Journal, connections: Connections, *captures: int) -> None:
    """Each parcel is captured by itself and the rest voided; the provider has done what our ledger says."""
    effects = Counter(("capture", amount) for amount in captures)
    voided = TOTAL - sum(captures)
    effects.update([("authorization", TOTAL)] + [("void", voided)] * bool(voided))
    assert Counter((entry["effect"], entry["amount"]) for entry in journal(order.id)) == effects
    assert sum(Ledger(connections.engine).balances(order.id).values()) == 0
    view = order.view()
    assert (view.status, view.payment_status) == (OrderStatus.DELIVERED, PaymentStatus.CAPTURED)
    assert (view.payment.held.amount, view.payment.captured.amount) == (0, sum(captures))


def check_stock(order: Order, connections: Connections, **shipped: int) -> None:
    for line in order.input.lines:
        (level,) = Stock(connections.engine).levels(line.sku)
        assert (level.on_hand, level.reserved) == (IN_STOCK - shipped.get(line.sku, 0), 0)


def cancelled(order: Order) -> dict[str, int]:
    return {line.sku: line.cancelled for line in order.view().lines if line.cancelled}


async def test_some_units_of_a_booked_parcel(
    basket: Basket, carrier: CarrierControl, provider_journal: Journal, connections: Connections
) -> None:
    order = basket.order
    answer = await cancel(order, **{basket.shirt: 1, basket.socks: 1})
    # 12.50 of the 32.50 in the parcel: 40.93 × 12.50 / 32.50 = 15.74
    assert answer.cancelled_lines == cancel_of(**dict(sorted({basket.shirt: 1, basket.socks: 1}.items()))).lines
    assert answer.not_charged == 1574
    await until(lambda: order.event_types().count("parcel.booked") == 3)
    assert carrier.statuses(order.id, 1) == ["cancelled", "booked"]
    assert cancelled(order) == {basket.shirt: 1, basket.socks: 1}
    event = order.last_event("order.lines_cancelled")
    assert event.data["not_charged"] == {"amount": 1574, "currency": "EUR"}
    assert event.actor == "customer:test"
    await order.delivered_all()
    check_paid(order, provider_journal, connections, BERLIN - 1574, AMSTERDAM)
    check_stock(order, connections, **{basket.shirt: 2, basket.coat: 2})


async def test_again_and_again(basket: Basket, provider_journal: Journal, connections: Connections) -> None:
    """The parts add up: nothing is lost in rounding."""
    order = basket.order
    first = await cancel(order, **{basket.shirt: 1})
    second = await cancel(order, **{basket.shirt: 1})
    third = await cancel(order, **{basket.coat: 1})
    assert [answer.not_charged for answer in (first, second, third)] == [1259, 1260, 3780]
    await until(lambda: order.event_types().count("parcel.booked") == 5)
    await order.delivered_all()
    check_paid(order, provider_journal, connections, BERLIN - 2519, AMSTERDAM - 3780)
    check_stock(order, connections, **{basket.shirt: 1, basket.socks: 1, basket.coat: 1})


async def test_all_that_is_in_a_parcel(
    basket: Basket, carrier: CarrierControl, provider_journal: Journal, connections: Connections
) -> None:
    order = basket.order
    answer = await cancel(order, **{basket.coat: 2})
    assert (answer.cancelled, answer.not_charged) == ([2], AMSTERDAM)
    assert carrier.statuses(order.id, 2) == ["cancelled"]
    await order.carrier_event(P.DISPATCHED)
    await order.carrier_event(P.DELIVERED)
    await order.handle.result()
    assert cancelled(order) == {basket.coat: 2}
    check_paid(order, provider_journal, connections, BERLIN)
    check_stock(order, connections, **{basket.shirt: 3, basket.socks: 1})


async def test_everything_is_the_order(basket: Basket, connections: Connections) -> None:
    answer = await cancel(basket.order, **{basket.shirt: 3, basket.socks: 1, basket.coat: 2})
    assert answer.status is OrderStatus.CANCELLED
    assert basket.order.view().payment_status is PaymentStatus.VOIDED
    check_stock(basket.order, connections)


async def test_two_requests_at_once_that_are_everything_together(basket: Basket, connections: Connections) -> None:
    """Neither is a cancellation of the order; nothing is left of it all the same."""
    order = basket.order
    parts: list[dict[str, int]] = [{basket.shirt: 3, basket.socks: 1}, {basket.coat: 2}]
    await asyncio.gather(*(cancel(order, **units) for units in parts))
    result = await order.handle.result()
    assert (result.status, result.reason) == (OrderStatus.CANCELLED, "cancelled")
    assert order.view().payment_status is PaymentStatus.VOIDED
    check_stock(order, connections)


async def test_what_is_left_of_it(basket: Basket, provider_journal: Journal, connections: Connections) -> None:
    """After one parcel was dispatched, all lines of the other are a cancellation of the rest."""
    order = basket.order
    await order.carrier_event(P.DISPATCHED, 1)
    await until(lambda: "payment.captured" in order.event_types())
    assert await refused(order, **{basket.shirt: 1}) == "too_late"
    answer = await cancel(order, **{basket.coat: 2})
    assert (answer.dispatched, answer.cancelled) == ([1], [2])
    await order.carrier_event(P.DELIVERED, 1)
    await order.handle.result()
    check_paid(order, provider_journal, connections, BERLIN)


async def test_more_than_there_is(basket: Basket) -> None:
    assert await refused(basket.order, **{basket.coat: 3}) == "too_late"
    assert await refused(basket.order, UNKNOWN=1) == "too_late"


async def test_the_carrier_has_collected_it(
    basket: Basket, carrier: CarrierControl, provider_journal: Journal, connections: Connections
) -> None:
    """It says so before its event arrives: nothing was taken out, and everything is delivered and paid for."""
    order = basket.order
    carrier.advance(order.id, P.DISPATCHED, 1)
    assert await refused(order, **{basket.shirt: 1}) == "too_late"
    await order.delivered_all()
    assert cancelled(order) == {}
    check_paid(order, provider_journal, connections, BERLIN, AMSTERDAM)
    check_stock(order, connections, **{basket.shirt: 3, basket.socks: 1, basket.coat: 2})


async def test_a_parcel_of_which_nobody_knows(basket: Basket, carrier: CarrierControl) -> None:
    """Nothing else of the order waits for it, and an operator may say what became of it."""
    order = basket.order
    carrier.unclear(order.id, 2)
    cancelling = await order.handle.start_update(
        CheckoutWorkflow.cancel, cancel_of(**{basket.coat: 2}), wait_for_stage=ACCEPTED
    )
    await order.carrier_event(P.DISPATCHED, 1)
    await until_details(order.handle, "was parcel 2 dispatched?")
    settlement = SettleParcel(parcel=2, outcome=ParcelOutcome.STOPPED, actor="staff:test", reason="it is still here")
    await order.handle.execute_update(CheckoutWorkflow.settle_parcel, settlement)
    assert (await cancelling.result()).not_charged == AMSTERDAM
    await order.carrier_event(P.DELIVERED, 1)
    assert (await order.handle.result()).status is OrderStatus.DELIVERED
    assert order.reserved() == 0


async def test_two_requests_and_a_cancellation_at_once(basket: Basket, connections: Connections) -> None:
    order = basket.order
    requests = [cancel(order, **{basket.shirt: 1}), cancel(order, **{basket.coat: 1})]
    both = await asyncio.gather(*requests)
    assert sum(answer.not_charged for answer in both) == 1259 + 3780
    await asyncio.gather(
        cancel(order, **{basket.shirt: 1}),
        order.cancel(CancelOrder(actor="staff:test", reason="all of it")),
        return_exceptions=True,
    )
    assert (await order.handle.result()).status is OrderStatus.CANCELLED
    check_stock(order, connections)


async def test_what_is_on_backorder(
    place: Place, make_product: MakeProduct, skipping: Client, connections: Connections
) -> None:
    """Without the units that it waits for, the parcel can be booked."""
    sku = make_product(stock={"BER": 2}, price=1000)
    stock = Stock(connections.engine)
    stock.set_rules(sku, SetStockRules(backorderable=True))
    order = await place({sku: 5})
    await order.first_answer()
    await until(lambda: order.event_types().count("parcel.booked") == 1)
    answer = await cancel(order, **{sku: 2})
    assert [(line.quantity, line.backordered, line.cancelled) for line in order.view().lines] == [(5, 1, 2)]
    arrived = stock.receive([(sku, "BER", 1)], "staff:test", "delivery")
    await RunningOrders(skipping).signal_allocations(arrived)
    await until(lambda: order.event_types().count("parcel.booked") == 2)
    await order.delivered_all()
    assert order.view().payment.captured.amount == order.view().total.amount - answer.not_charged
    (level,) = stock.levels(sku)
    assert (level.on_hand, level.reserved) == (0, 0)


async def test_while_the_carrier_is_away(basket: Basket, arm: Arm, carrier: CarrierControl) -> None:
    """The parcel is dispatched while we ask: nothing is cancelled, and everything is paid for."""
    order = basket.order
    arm("fail_before", "cancel")
    cancelling = await order.handle.start_update(
        CheckoutWorkflow.cancel, cancel_of(**{basket.shirt: 1}), wait_for_stage=ACCEPTED
    )
    await carrier.struck()
    await order.carrier_event(P.DISPATCHED, 1)
    with pytest.raises(WorkflowUpdateFailedError) as error:
        await cancelling.result()
    assert refusal(error.value) == "too_late"
    carrier.end_faults()
    await order.delivered_all()
    assert order.view().payment.captured.amount == TOTAL
