"""An authorization lasts some days only: an order that waits longer is reauthorized, or is not shipped."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Protocol, TypeAlias

import pytest
from temporalio.client import Client, WorkflowUpdateFailedError

from adapters.connections import Connections
from adapters.mysql.orders.stock import Stock
from adapters.mysql.payments.ledger import Ledger
from domain.fulfilment import ParcelStatus
from domain.ledger import EntryKind
from domain.orders import OrderStatus, PaymentStatus
from schemas.order_requests import CancelOrder
from schemas.provider_calls import PaymentOutcome
from schemas.stock import SetStockRules
from temporal_clients.orders import RunningOrders
from tests.fixture_types import MakeProduct
from tests.workflows.orders import Order, Place, refusal
from tests.workflows.provider import Authenticate, BankActs, Journal, MakeFault, effects
from tests.workflows.refunds import made, refund
from tests.workflows.time_skipping import skip
from tests.workflows.waiting import until, until_idle

DAY = timedelta(days=1)
HELD_FOR_A_WEEK = {"authorization_seconds": 7 * 86_400, "payment_retry_seconds": 86_400}
FIRST_TIME_ONLY = "pm_card_authenticationRequired"  # its bank refuses a payment without the customer
SUPERSEDE = CancelOrder(actor="customer:test", reason="superseded", only_waiting=True)


class OrderLate(Protocol):
    """Orders a SKU whose goods have yet to arrive."""

    async def __call__(self, **fields: object) -> Order: ...


Deliver: TypeAlias = Callable[[Order], Awaitable[None]]


@pytest.fixture
def order_late(place: Place, make_product: MakeProduct, connections: Connections) -> OrderLate:

    async def order(**fields: object) -> Order:
        sku = make_product(stock=0)
        Stock(connections.engine).set_rules(sku, SetStockRules(backorderable=True))
        return await place({sku: 1}, **{**HELD_FOR_A_WEEK, **fields})

    return order


@pytest.fixture
def deliver(connections: Connections, skipping: Client) -> Deliver:
    async def deliver(order: Order) -> None:
        lines = [(order.input.lines[0].sku, "BER", 1)]
        arrived = await asyncio.to_thread(Stock(connections.engine).receive, lines, "staff:test", "delivery")
        await RunningOrders(skipping).signal_allocations(arrived)

    return deliver


def keys(connections: Connections, order: Order) -> list[tuple[EntryKind, str]]:
    entries = Ledger(connections.engine).entries(order.id)
    return [(entry.kind, entry.idempotency_key.partition(":")[2]) for entry in entries]


async def test_while_goods_are_awaited_the_order_is_reauthorized(
    order_late: OrderLate, deliver: Deliver, skipping: Client, provider_journal: Journal, connections: Connections
) -> None:
    order = await order_late()
    await order.first_answer()
    total = order.view().total.amount
    await skip(skipping, 5 * DAY)
    assert effects(provider_journal, order.id) == ["authorization"]
    await skip(skipping, 2 * DAY)
    await until(lambda: effects(provider_journal, order.id) == ["authorization", "authorization", "void"])
    await skip(skipping, 6 * DAY)
    await until(lambda: effects(provider_journal, order.id).count("void") == 2)
    first, second, third = [one["intent"] for one in provider_journal(order.id) if one["effect"] != "void"]
    assert len({first, second, third}) == 3
    view = order.view()
    assert (view.payment_status, view.payment.held.amount) == (PaymentStatus.AUTHORIZED, total)
    assert keys(connections, order) == [
        (EntryKind.AUTHORIZATION, "authorize"),
        (EntryKind.AUTHORIZATION, "reauthorize-1"),
        (EntryKind.VOID, "reauthorize-1:void"),
        (EntryKind.AUTHORIZATION, "reauthorize-2"),
        (EntryKind.VOID, "reauthorize-2:void"),
    ]
    await deliver(order)
    await order.until(OrderStatus.PROCESSING)
    view = await order.delivered()
    assert (view.status, view.payment_status, view.payment.captured.amount) == (
        OrderStatus.DELIVERED,
        PaymentStatus.CAPTURED,
        total,
    )
    captured = [one for one in provider_journal(order.id) if one["effect"] == "capture"]
    assert [(one["intent"], one["amount"]) for one in captured] == [(third, total)]


@pytest.mark.parametrize("kind", ["500", "error_after"])
@pytest.mark.parametrize("operation", ["create", "cancel"])
async def test_a_reauthorization_of_unknown_outcome_is_made_once(
    kind: str,
    operation: str,
    order_late: OrderLate,
    skipping: Client,
    provider_fault: MakeFault,
    provider_journal: Journal,
    connections: Connections,
) -> None:
    """The provider stores a failure under the key of the new authorization, or of voiding the old one."""
    order = await order_late()
    await order.first_answer()
    fault = provider_fault(kind, operation)
    await skip(skipping, 6 * DAY + timedelta(hours=1))
    await until(lambda: order.money()[EntryKind.VOID] > 0)
    assert fault.struck()
    assert effects(provider_journal, order.id) == ["authorization", "authorization", "void"]
    assert keys(connections, order) == [
        (EntryKind.AUTHORIZATION, "authorize"),
        (EntryKind.AUTHORIZATION, "reauthorize-1"),
        (EntryKind.VOID, "reauthorize-1:void"),
    ]
    assert order.view().payment.held.amount == order.view().total.amount


async def test_what_is_not_authorized_any_longer_is_not_shipped_until_it_is_paid(
    order_late: OrderLate, deliver: Deliver, skipping: Client, provider_journal: Journal, authenticate: Authenticate
) -> None:
    order = await order_late(payment_method=FIRST_TIME_ONLY)
    await order.first_answer()
    authenticate(order.intent())
    await order.provider_event()
    await order.until(OrderStatus.CONFIRMED)
    first = provider_journal(order.id)[0]["intent"]
    await skip(skipping, 6 * DAY + timedelta(hours=1))
    await order.until(OrderStatus.AWAITING_PAYMENT)
    view = order.view()
    assert view.retry_until is not None
    assert view.payment.held.amount == view.total.amount, "the old authorization is kept as long as it lasts"
    assert order.last_event("order.awaiting_payment").data["code"] == "authentication_required"
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await order.cancel(SUPERSEDE)
    assert refusal(refused.value) == "not_awaiting_payment"

    await deliver(order)
    await until(lambda: order.available() == 0)
    await until_idle(order.parcel())
    await until_idle(order.handle)
    assert order.view().parcels[0].status is ParcelStatus.PLANNED, "never ships unpaid"

    assert (await order.pay()).outcome is PaymentOutcome.SUCCEEDED
    await order.until(OrderStatus.PROCESSING)
    view = await order.delivered()
    assert (view.status, view.payment_status) == (OrderStatus.DELIVERED, PaymentStatus.CAPTURED)
    rows = [(row["effect"], row["intent"] == first) for row in provider_journal(order.id)]
    assert rows == [("authorization", True), ("authorization", False), ("void", True), ("capture", False)]


async def test_nobody_pays_again_and_everything_is_released(
    order_late: OrderLate, skipping: Client, provider_journal: Journal, authenticate: Authenticate
) -> None:
    order = await order_late(payment_method=FIRST_TIME_ONLY)
    await order.first_answer()
    authenticate(order.intent())
    await order.provider_event()
    await order.until(OrderStatus.CONFIRMED)
    await skip(skipping, 6 * DAY + timedelta(hours=1))
    await order.until(OrderStatus.AWAITING_PAYMENT)
    await skip(skipping, DAY)
    result = await order.handle.result()
    assert (result.status, result.reason) == (OrderStatus.FAILED, "payment_expired")
    assert effects(provider_journal, order.id) == ["authorization", "void"]
    assert order.reserved() == 0
    assert order.event_types().count("order.payment_reminder") == 1


async def test_an_expired_authorization_is_made_again_and_then_captured(
    order_late: OrderLate, deliver: Deliver, provider_journal: Journal, bank_acts: BankActs
) -> None:
    order = await order_late()
    await order.first_answer()
    await deliver(order)
    await order.until(OrderStatus.PROCESSING)
    bank_acts(provider_journal(order.id)[0]["intent"])
    assert effects(provider_journal, order.id) == ["authorization", "void"]
    view = await order.delivered()
    assert (view.status, view.payment_status) == (OrderStatus.DELIVERED, PaymentStatus.CAPTURED)
    assert effects(provider_journal, order.id) == ["authorization", "void", "authorization", "capture"]
    money = order.money()
    assert money[EntryKind.CAPTURE] == view.total.amount
    assert money[EntryKind.AUTHORIZATION] == money[EntryKind.CAPTURE] + money[EntryKind.VOID]


async def test_what_was_dispatched_and_is_not_paid_needs_an_operator(
    place: Place, make_product: MakeProduct, provider_journal: Journal, bank_acts: BankActs, provider_fault: MakeFault
) -> None:
    """Nothing waited for goods, so no method was kept to reauthorize with."""
    order = await place({make_product(stock=5): 1}, **HELD_FOR_A_WEEK)
    await order.first_answer()
    await order.until(OrderStatus.PROCESSING)
    bank_acts(provider_journal(order.id)[0]["intent"])
    slow = provider_fault("latency", "capture", seconds=20)
    await order.carrier_event(ParcelStatus.DISPATCHED)
    await order.carrier_event(ParcelStatus.DELIVERED)
    await order.until(OrderStatus.DELIVERED)
    assert slow.struck()
    slow.end()
    await order.until(OrderStatus.COMPENSATION_BLOCKED)
    assert effects(provider_journal, order.id) == ["authorization", "void"]
    assert order.view().payment.held.amount == 0
    assert "was dispatched" in str(order.last_event("order.compensation_blocked").data["needs_operator"])


async def test_what_has_not_left_is_reauthorized_and_each_payment_gets_its_refund(
    place: Place, make_product: MakeProduct, skipping: Client, connections: Connections, provider_journal: Journal
) -> None:
    there, late = make_product(stock=5), make_product(stock=0)
    Stock(connections.engine).set_rules(late, SetStockRules(backorderable=True))
    order = await place({there: 1, late: 1}, **HELD_FOR_A_WEEK)
    await order.first_answer()
    first, second = order.view().parcels
    assert [line.backordered for line in first.lines + second.lines] == [0, 1]
    await order.carrier_event(ParcelStatus.DISPATCHED, first.number)
    await order.carrier_event(ParcelStatus.DELIVERED, first.number)
    await until(lambda: effects(provider_journal, order.id) == ["authorization", "capture"])
    await skip(skipping, 6 * DAY + timedelta(hours=1))
    await until(lambda: effects(provider_journal, order.id).count("void") == 1)
    arrived = await asyncio.to_thread(Stock(connections.engine).receive, [(late, "BER", 1)], "staff:test", "delivery")
    await RunningOrders(skipping).signal_allocations(arrived)
    await order.carrier_event(ParcelStatus.DISPATCHED, second.number)
    await order.carrier_event(ParcelStatus.DELIVERED, second.number)
    await order.handle.result()

    journal = provider_journal(order.id)
    total = order.view().total.amount
    captured = {row["intent"]: row["amount"] for row in journal if row["effect"] == "capture"}
    assert (len(captured), sum(captured.values())) == (2, total)
    renewed = [row for row in journal if row["effect"] in ("authorization", "void")][1:]
    assert {row["amount"] for row in renewed} == {total - captured[journal[0]["intent"]]}

    for amount in (total - 100, 100):
        assert made(await refund(skipping, order.id, amount)).amount.amount == amount
    back = Counter[str]()
    for row in provider_journal(order.id):
        if row["effect"] == "refund":
            back[row["intent"]] += row["amount"]
    assert dict(back) == captured
    assert order.view().payment_status is PaymentStatus.REFUNDED
