"""A warehouse that has its picks confirmed: nothing is booked before, and what was missing is cancelled to the cent."""

import asyncio
from collections import Counter
from dataclasses import dataclass
from datetime import timedelta

import pytest
from temporalio.client import Client, WorkflowUpdateFailedError

from adapters.connections import Connections
from adapters.mail.order_texts import write
from adapters.mysql.orders.picking import Picks
from adapters.mysql.orders.stock import Stock
from adapters.mysql.orders.stock_reconciliations import StockReconciliations
from adapters.mysql.payments.ledger import Ledger
from domain.fulfilment import ParcelStatus
from domain.orders import OrderStatus, PaymentStatus
from schemas.checkout import CancelledLine
from schemas.fulfilment import HoldParcel
from schemas.notifications import NotificationInput
from schemas.order_requests import CancelOrder
from schemas.picking import ParcelPicked, PickedLine, PickParcel
from schemas.stock import SetStockRules
from temporal_clients.orders import RunningOrders
from tests.conftest import picks_asked_for
from tests.fixture_types import MakeProduct
from tests.workflows.carrier import CarrierControl
from tests.workflows.orders import Order, Place, refusal
from tests.workflows.provider import Authenticate, Journal, effects
from tests.workflows.time_skipping import skip
from tests.workflows.waiting import until, until_details, until_idle
from workflows.orders.checkout import CheckoutWorkflow
from workflows.parcels.fulfilment import FulfilmentWorkflow

P = ParcelStatus
IN_STOCK = 9
STAFF = "staff:test:warehouse"
FIRST_TIME_ONLY = "pm_card_authenticationRequired"  # its bank refuses a payment without the customer
CANCEL = CancelOrder(actor="customer:test", reason="changed my mind")


pytestmark = pytest.mark.usefixtures("rotterdam_asks")


@dataclass
class Basket:
    """Two parcels: from Rotterdam 3 × 10.00 and 1 × 2.50, from Amsterdam 2 × 30.01."""

    order: Order
    shirt: str
    socks: str
    coat: str

    async def pick(self, shirts: int, socks: int) -> ParcelPicked:
        return await pick(self.order, {self.shirt: shirts, self.socks: socks})

    async def refused(self, **units: int) -> object:
        return await refused(self.order, {self.shirt: 3, self.socks: 1} | units)


# Of 92.52 for the goods, 5.40 for shipping and 18.61 tax, by the value of the goods.
TOTAL, ROTTERDAM, AMSTERDAM = 11653, 4093, 7560
SHIRT = 1259  # of the parcel's share, by value: 40.93 × 10.00 / 32.50


@pytest.fixture
async def basket(place: Place, make_product: MakeProduct) -> Basket:
    """Amsterdam's parcel is booked; Rotterdam's waits for its pick."""
    made = [("ROT", 1000, 3), ("ROT", 250, 1), ("AMS", 3001, 2)]
    skus = [make_product(stock={at: IN_STOCK}, price=price) for at, price, _ in made]
    order = await place(dict(zip(skus, (units for _, _, units in made), strict=True)))
    await order.first_answer()
    await until(lambda: "parcel.booked" in order.event_types())
    await until_details(order.parcel(), "is booked once its pick is confirmed")
    return Basket(order, *skus)


async def pick(order: Order, units: dict[str, int], parcel: int = 1) -> ParcelPicked:
    lines = [PickedLine(sku=sku, quantity=quantity) for sku, quantity in units.items()]
    message = PickParcel(lines=lines, actor=STAFF)
    picked: ParcelPicked = await order.parcel(parcel).execute_update(FulfilmentWorkflow.pick, message)
    return picked


async def refused(order: Order, units: dict[str, int], parcel: int = 1) -> object:
    with pytest.raises(WorkflowUpdateFailedError) as error:
        await pick(order, units, parcel)
    return refusal(error.value)


async def cancel_lines(order: Order, units: dict[str, int]) -> None:
    lines = [CancelledLine(sku=sku, quantity=quantity) for sku, quantity in units.items()]
    await order.handle.execute_update(CheckoutWorkflow.cancel, CANCEL.model_copy(update={"lines": lines}))


def check_paid(order: Order, journal: Journal, connections: Connections, *captures: int) -> None:
    """Each parcel is captured by itself and the rest voided; the provider has done what our ledger says."""
    effects = Counter(("capture", amount) for amount in captures)
    voided = order.view().total.amount - sum(captures)
    effects.update([("authorization", order.view().total.amount)] + [("void", voided)] * bool(voided))
    assert Counter((entry["effect"], entry["amount"]) for entry in journal(order.id)) == effects
    assert sum(Ledger(connections.engine).balances(order.id).values()) == 0
    assert order.view().payment.held.amount == 0
    assert order.view().payment.captured.amount == sum(captures)


def check_stock(order: Order, connections: Connections, **gone: int) -> None:
    """So many of each are no longer on hand, shipped or missing; the ledger says the same."""
    for line in order.input.lines:
        (level,) = Stock(connections.engine).levels(line.sku)
        assert (level.on_hand, level.reserved) == (IN_STOCK - gone.get(line.sku, 0), 0)
    own = {line.sku for line in order.input.lines}
    checked = StockReconciliations(connections.engine).check()
    assert not [one for page in checked for one in page.differences if one.sku in own]


def movements(connections: Connections, sku: str, kind: str) -> list[tuple[int, str | None, str]]:
    found = Stock(connections.engine).movements(sku, None, 50).items
    return [(one.quantity, one.reason, one.actor) for one in found if one.kind == kind]


def waits(connections: Connections, order: Order) -> bool:
    return order.id in {one.order_id for one in Picks(connections.engine).waiting(None, 1000, "ROT").items}


async def test_all_there(
    basket: Basket, carrier: CarrierControl, provider_journal: Journal, connections: Connections
) -> None:
    order = basket.order
    assert carrier.statuses(order.id) == []
    assert waits(connections, order)
    picked = await basket.pick(3, 1)
    assert ({line.sku: line.quantity for line in picked.lines}, picked.missing) == (
        {basket.shirt: 3, basket.socks: 1},
        [],
    )
    assert not waits(connections, order)
    await until(lambda: order.event_types().count("parcel.booked") == 2)
    event = order.last_event("parcel.picked")
    assert (event.actor, event.data["parcel"], "missing" in event.data) == (STAFF, 1, False)
    await order.delivered_all()
    assert "order.lines_cancelled" not in order.event_types()
    check_paid(order, provider_journal, connections, ROTTERDAM, AMSTERDAM)
    check_stock(order, connections, **{basket.shirt: 3, basket.socks: 1, basket.coat: 2})


async def test_the_same_pick_again_and_another_one(basket: Basket, connections: Connections) -> None:
    picked = await basket.pick(2, 1)
    assert await basket.pick(2, 1) == picked
    assert await basket.refused() == "already_picked"
    await until(lambda: basket.order.event_types().count("parcel.booked") == 2)
    assert await basket.pick(2, 1) == picked
    assert basket.order.event_types().count("parcel.picked") == 1
    assert basket.order.event_types().count("order.lines_cancelled") == 1
    assert movements(connections, basket.shirt, "adjusted") == [(-1, "short pick", STAFF)]


async def test_another_pick_at_the_same_moment(basket: Basket) -> None:
    """One of them counts, whichever that is."""
    outcomes = await asyncio.gather(basket.pick(3, 1), basket.pick(2, 1), return_exceptions=True)
    (failure,) = [one for one in outcomes if isinstance(one, WorkflowUpdateFailedError)]
    assert refusal(failure) == "already_picked"
    assert basket.order.event_types().count("parcel.picked") == 1


async def test_one_of_two_parcels_is_short(
    basket: Basket, carrier: CarrierControl, provider_journal: Journal, connections: Connections
) -> None:
    """To the cent in the ledgers, at the provider, in the order, in stock and by mail."""
    order = basket.order
    picked = await basket.pick(2, 1)
    assert [(line.sku, line.quantity) for line in picked.missing] == [(basket.shirt, 1)]
    (level,) = Stock(connections.engine).levels(basket.shirt)
    assert (level.on_hand, level.available) == (IN_STOCK - 1, IN_STOCK - 3)  # before anything else is done about it
    await until(lambda: order.event_types().count("parcel.booked") == 2)
    event = order.last_event("order.lines_cancelled")
    assert (event.actor, event.data["reason"]) == (STAFF, "short pick")
    assert event.data["lines"] == [{"sku": basket.shirt, "quantity": 1}]
    assert event.data["not_charged"] == {"amount": SHIRT, "currency": "EUR"}
    assert order.last_event("parcel.picked").data["missing"] == [{"sku": basket.shirt, "quantity": 1}]
    mail = write(order.view(), notification(order, "order.lines_cancelled"))
    assert "not in our warehouse" in mail.text
    assert carrier.statuses(order.id) == ["booked"]  # once, with what was picked
    await order.delivered_all()
    view = order.view()
    assert (view.status, view.payment_status) == (OrderStatus.DELIVERED, PaymentStatus.CAPTURED)
    assert {line.sku: line.cancelled for line in view.lines if line.cancelled} == {basket.shirt: 1}
    assert order.dispatched_amount() == TOTAL - SHIRT
    check_paid(order, provider_journal, connections, ROTTERDAM - SHIRT, AMSTERDAM)
    check_stock(order, connections, **{basket.shirt: 3, basket.socks: 1, basket.coat: 2})
    assert movements(connections, basket.shirt, "shipped") == [(2, None, "carrier")]
    assert movements(connections, basket.shirt, "released") == [(1, "short pick", STAFF)]


def notification(order: Order, event_type: str) -> NotificationInput:
    event = order.last_event(event_type)
    same = event.model_dump(include={"seq", "type", "data"})
    return NotificationInput(event_id=event.id, order_id=order.id, **same)


async def test_nothing_of_the_parcel_is_there(
    basket: Basket, carrier: CarrierControl, provider_journal: Journal, connections: Connections
) -> None:
    order = basket.order
    await basket.pick(0, 0)
    await until(lambda: "order.lines_cancelled" in order.event_types())
    assert order.view().parcels[0].status is P.CANCELLED
    await order.carrier_event(P.DISPATCHED, 2)
    await order.carrier_event(P.DELIVERED, 2)
    await order.handle.result()
    assert order.view().status is OrderStatus.DELIVERED
    assert carrier.statuses(order.id) == []
    check_paid(order, provider_journal, connections, AMSTERDAM)
    check_stock(order, connections, **{basket.shirt: 3, basket.socks: 1, basket.coat: 2})


async def test_nothing_else_of_the_order_is_left(
    place: Place, make_product: MakeProduct, provider_journal: Journal, connections: Connections
) -> None:
    sku = make_product(stock={"ROT": IN_STOCK})
    order = await place({sku: 2})
    await order.first_answer()
    await until(lambda: waits(connections, order))
    await until_details(order.parcel(), "is booked once its pick is confirmed")
    await pick(order, {sku: 0})
    result = await order.handle.result()
    assert (result.status, result.reason) == (OrderStatus.CANCELLED, "cancelled")
    event = order.last_event("order.cancelled")
    assert (event.actor, event.data["reason"]) == (STAFF, "short pick")
    assert order.view().payment_status is PaymentStatus.VOIDED
    check_paid(order, provider_journal, connections)
    check_stock(order, connections, **{sku: 2})


async def test_the_rest_was_dispatched_before(
    basket: Basket, provider_journal: Journal, connections: Connections
) -> None:
    order = basket.order
    await order.carrier_event(P.DISPATCHED, 2)
    await until(lambda: "payment.captured" in order.event_types())
    await basket.pick(0, 0)
    await until(lambda: "parcel.cancelled" in order.event_types())
    await order.carrier_event(P.DELIVERED, 2)
    assert (await order.handle.result()).status is OrderStatus.DELIVERED
    check_paid(order, provider_journal, connections, AMSTERDAM)
    check_stock(order, connections, **{basket.shirt: 3, basket.socks: 1, basket.coat: 2})


async def test_other_things_than_it_has(basket: Basket, connections: Connections) -> None:
    assert await basket.refused(**{basket.shirt: 4}) == "pick_mismatch"
    assert await basket.refused(UNKNOWN=1) == "pick_mismatch"
    assert await refused(basket.order, {basket.shirt: 3}) == "pick_mismatch"  # without the socks
    assert await refused(basket.order, {basket.coat: 2}, parcel=2) == "parcel_not_waiting"
    assert waits(connections, basket.order)


async def test_on_hold_it_is_not_picked(basket: Basket, carrier: CarrierControl) -> None:
    order, parcel = basket.order, basket.order.parcel()
    await parcel.signal(FulfilmentWorkflow.hold, HoldParcel(on=True))
    assert await basket.refused() == "parcel_on_hold"
    await until(lambda: order.view().parcels[0].status is P.ON_HOLD)
    await parcel.signal(FulfilmentWorkflow.hold, HoldParcel(on=False))
    await basket.pick(3, 1)
    await until(lambda: carrier.statuses(order.id) == ["booked"])


async def test_its_payment_is_awaited_before_it_is_booked(basket: Basket, carrier: CarrierControl) -> None:
    order, parcel = basket.order, basket.order.parcel()
    await parcel.signal(FulfilmentWorkflow.hold_for_payment)
    await basket.pick(3, 1)
    await until_details(parcel, "picked by")
    assert carrier.statuses(order.id) == []
    await parcel.signal(FulfilmentWorkflow.release_for_payment)
    await until(lambda: carrier.statuses(order.id) == ["booked"])


async def test_the_order_is_cancelled_while_it_waits(
    basket: Basket, carrier: CarrierControl, provider_journal: Journal, connections: Connections
) -> None:
    order = basket.order
    assert await order.cancel(CANCEL) is OrderStatus.CANCELLED
    assert carrier.statuses(order.id) == []
    assert not waits(connections, order)
    check_paid(order, provider_journal, connections)
    check_stock(order, connections)


async def test_lines_are_cancelled_while_it_waits(
    basket: Basket, carrier: CarrierControl, provider_journal: Journal, connections: Connections
) -> None:
    order = basket.order
    await cancel_lines(order, {basket.shirt: 1, basket.socks: 1})
    assert carrier.statuses(order.id) == []
    assert await basket.refused() == "pick_mismatch"
    await pick(order, {basket.shirt: 1})
    await until(lambda: order.event_types().count("parcel.booked") == 2)
    await order.delivered_all()
    assert {line.sku: line.cancelled for line in order.view().lines if line.cancelled} == {
        basket.shirt: 2,
        basket.socks: 1,
    }
    first, second = (event.data["not_charged"] for event in order.events() if event.type == "order.lines_cancelled")
    assert (first, second) == ({"amount": 1574, "currency": "EUR"}, {"amount": SHIRT, "currency": "EUR"})
    check_paid(order, provider_journal, connections, ROTTERDAM - 1574 - SHIRT, AMSTERDAM)
    check_stock(order, connections, **{basket.shirt: 2, basket.coat: 2})


async def test_the_missing_unit_and_a_cancelled_one_at_the_same_moment(
    basket: Basket, carrier: CarrierControl, connections: Connections
) -> None:
    """The customer may have cancelled the very unit that is missing: nobody loses another one for that, nor is it
    reserved for ever.
    """
    order = basket.order
    await asyncio.gather(basket.pick(2, 1), cancel_lines(order, {basket.shirt: 1}))
    await until(lambda: order.event_types().count("parcel.booked") == 2)
    contents = {line.sku: line.quantity for line in order.view().parcels[0].lines}
    assert contents[basket.shirt] in (1, 2)
    await order.delivered_all()
    (shipped,) = movements(connections, basket.shirt, "shipped")
    assert shipped[0] == contents[basket.shirt]
    missing = sum(quantity for quantity, _, _ in movements(connections, basket.shirt, "adjusted"))
    check_stock(order, connections, **{basket.shirt: shipped[0] - missing, basket.socks: 1, basket.coat: 2})


async def test_goods_first_then_the_pick(
    place: Place, make_product: MakeProduct, connections: Connections, skipping: Client, carrier: CarrierControl
) -> None:
    """What is on backorder waits for its goods, and after that for its pick."""
    stock = Stock(connections.engine)
    with picks_asked_for(connections, "BER"):  # where backorders wait
        sku = make_product(stock=0)
        stock.set_rules(sku, SetStockRules(backorderable=True))
        order = await place({sku: 1})
        await order.first_answer()
    await until_details(order.parcel(), "waits for 1 backordered unit(s)")
    assert await refused(order, {sku: 1}) == "parcel_not_waiting"
    arrived = await asyncio.to_thread(stock.receive, [(sku, "BER", 1)], "staff:test", "delivery")
    await RunningOrders(skipping).signal_allocations(arrived)
    await until_details(order.parcel(), "backorder allocated")
    assert carrier.statuses(order.id) == []
    await pick(order, {sku: 1})
    await until(lambda: carrier.statuses(order.id) == ["booked"])


@pytest.mark.parametrize("method", ["pm_card_visa", FIRST_TIME_ONLY])
async def test_a_pick_may_take_longer_than_the_authorization_lasts(
    place: Place,
    make_product: MakeProduct,
    skipping: Client,
    provider_journal: Journal,
    authenticate: Authenticate,
    method: str,
) -> None:
    """It is authorized again; where the bank refuses that, nothing is booked before the customer has paid."""
    sku = make_product(stock={"ROT": IN_STOCK})
    order = await place({sku: 1}, payment_method=method, authorization_seconds=7 * 86_400, payment_retry_seconds=86_400)
    await order.first_answer()
    if method == FIRST_TIME_ONLY:
        authenticate(order.intent())
        await order.provider_event()
    await order.until(OrderStatus.CONFIRMED)
    await until_idle(order.parcel())
    await skip(skipping, timedelta(days=6, hours=1))
    if method == FIRST_TIME_ONLY:
        await order.until(OrderStatus.AWAITING_PAYMENT)
        await pick(order, {sku: 1})
        await until_idle(order.parcel())
        assert order.view().parcels[0].status is P.PLANNED
        await order.pay()
    else:
        await until(lambda: effects(provider_journal, order.id) == ["authorization", "authorization", "void"])
        await pick(order, {sku: 1})
    await until(lambda: "parcel.booked" in order.event_types())
    view = await order.delivered()
    assert (view.status, view.payment_status) == (OrderStatus.DELIVERED, PaymentStatus.CAPTURED)
    assert effects(provider_journal, order.id) == ["authorization", "authorization", "void", "capture"]
