"""A bank holds money for some days only: an order that waits longer holds it anew, or is not shipped."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio
import uuid_utils
from temporalio.client import Client, WorkflowUpdateFailedError

from adapters.connections import Connections
from adapters.mysql.orders.stock import Stock
from adapters.mysql.payments.ledger import Ledger
from domain.fulfilment import ParcelStatus
from domain.ledger import EntryKind
from domain.orders import OrderStatus, PaymentStatus
from schemas.orders import CancelOrder
from schemas.payments import PaymentOutcome
from schemas.refunds import RefundInput
from schemas.stock import SetStockRules
from temporal_clients.orders import RunningOrders
from tests.workflows.conftest import refusal, skip, time_skipping
from workflows.names import PAYMENTS_QUEUE, refund_workflow_id
from workflows.orders.checkout import CheckoutWorkflow
from workflows.payments.refunds import RefundWorkflow

DAY = timedelta(days=1)
OPERATOR_AFTER = timedelta(seconds=120)
HELD_FOR_A_WEEK = {"authorization_seconds": 7 * 86_400, "payment_retry_seconds": 86_400}
FIRST_TIME_ONLY = "pm_card_authenticationRequired"  # its bank wants to see the customer, and refuses without them
SUPERSEDE = CancelOrder(actor="customer:test", reason="superseded", only_waiting=True)
Journal = Callable[[str], list[dict[str, Any]]]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def skipping(connections: Connections) -> AsyncIterator[Client]:
    """A server of its own, on which nothing has kept time from being skipped."""
    async with time_skipping(connections) as client:
        yield client


@pytest.fixture
def order_late(place: Any, make_product: Any, connections: Connections) -> Callable[..., Any]:
    """Order a SKU whose goods have yet to arrive."""

    async def order(**fields: Any) -> Any:
        sku = make_product(stock=0)
        Stock(connections.engine).set_rules(sku, SetStockRules(backorderable=True))
        return await place({sku: 1}, **{**HELD_FOR_A_WEEK, **fields})

    return order


@pytest.fixture
def deliver(connections: Connections, skipping: Client) -> Any:
    async def deliver(order: Any) -> None:
        lines = [(order.input.lines[0].sku, "BER", 1)]
        arrived = await asyncio.to_thread(Stock(connections.engine).receive, lines, "staff:test", "delivery")
        await RunningOrders(skipping).signal_allocations(arrived)

    return deliver


async def until(look: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not await asyncio.to_thread(look):
            await asyncio.sleep(0.05)


def effects(journal: Journal, order: Any) -> list[str]:
    return [entry["effect"] for entry in journal(order.input.order_id)]


def keys(connections: Connections, order: Any) -> list[tuple[EntryKind, str]]:
    entries = Ledger(connections.engine).entries(order.input.order_id)
    return [(entry.kind, entry.idempotency_key.partition(":")[2]) for entry in entries]


async def test_while_goods_are_awaited_the_money_is_held_anew_and_never_twice_for_long(
    order_late: Any, deliver: Any, skipping: Client, provider_journal: Journal, connections: Connections
) -> None:
    order = await order_late()
    await order.first_answer()
    total = order.view().total.amount
    await skip(skipping, 5 * DAY, OPERATOR_AFTER)
    assert effects(provider_journal, order) == ["authorization"]
    await skip(skipping, 2 * DAY, OPERATOR_AFTER)
    await until(lambda: effects(provider_journal, order) == ["authorization", "authorization", "void"])
    await skip(skipping, 6 * DAY, OPERATOR_AFTER)
    await until(lambda: effects(provider_journal, order).count("void") == 2)
    first, second, third = [one["intent"] for one in provider_journal(order.input.order_id) if one["effect"] != "void"]
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
    captured = [one for one in provider_journal(order.input.order_id) if one["effect"] == "capture"]
    assert [(one["intent"], one["amount"]) for one in captured] == [(third, total)]


@pytest.mark.parametrize("kind", ["500", "error_after"])
@pytest.mark.parametrize("operation", ["create", "cancel"])
async def test_a_renewal_in_doubt_holds_the_money_once(
    kind: str,
    operation: str,
    order_late: Any,
    skipping: Client,
    provider_fault: Any,
    provider_journal: Journal,
    connections: Connections,
) -> None:
    """The provider keeps a failure under the key of the new hold, or of giving back the old one."""
    order = await order_late()
    await order.first_answer()
    struck = provider_fault(kind, operation)
    await skip(skipping, 6 * DAY + timedelta(hours=1), OPERATOR_AFTER)
    await until(lambda: order.money()[EntryKind.VOID] > 0)
    assert struck()
    assert effects(provider_journal, order) == ["authorization", "authorization", "void"]
    assert keys(connections, order) == [
        (EntryKind.AUTHORIZATION, "authorize"),
        (EntryKind.AUTHORIZATION, "reauthorize-1"),
        (EntryKind.VOID, "reauthorize-1:void"),
    ]
    assert order.view().payment.held.amount == order.view().total.amount


async def test_what_the_bank_does_not_hold_any_longer_is_not_shipped_until_it_is_paid_for(
    order_late: Any, deliver: Any, skipping: Client, provider_journal: Journal, authenticate: Any
) -> None:
    order = await order_late(payment_method=FIRST_TIME_ONLY)
    await order.first_answer()
    authenticate(order.intent())
    await order.provider_tells()
    await order.until(OrderStatus.CONFIRMED)
    first = provider_journal(order.input.order_id)[0]["intent"]
    await skip(skipping, 6 * DAY + timedelta(hours=1), OPERATOR_AFTER)
    await order.until(OrderStatus.AWAITING_PAYMENT)
    view = order.view()
    assert view.retry_until is not None
    assert view.payment.held.amount == view.total.amount, "the old hold is kept as long as it lasts"
    told = [event for event in order.events() if event.type == "order.awaiting_payment"][-1]
    assert told.data["code"] == "authentication_required"
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await order.handle.execute_update(CheckoutWorkflow.cancel, SUPERSEDE)
    assert refusal(refused.value) == "not_awaiting_payment"

    await deliver(order)
    await until(lambda: order.available() == 0)
    await asyncio.sleep(1)
    assert order.view().parcels[0].status is ParcelStatus.PLANNED, "never ships unpaid"

    assert (await order.pay()).outcome is PaymentOutcome.SUCCEEDED
    await order.until(OrderStatus.PROCESSING)
    view = await order.delivered()
    assert (view.status, view.payment_status) == (OrderStatus.DELIVERED, PaymentStatus.CAPTURED)
    rows = [(row["effect"], row["intent"] == first) for row in provider_journal(order.input.order_id)]
    assert rows == [("authorization", True), ("authorization", False), ("void", True), ("capture", False)]


async def test_nobody_pays_anew_and_everything_is_let_go(
    order_late: Any, skipping: Client, provider_journal: Journal, authenticate: Any
) -> None:
    order = await order_late(payment_method=FIRST_TIME_ONLY)
    await order.first_answer()
    authenticate(order.intent())
    await order.provider_tells()
    await order.until(OrderStatus.CONFIRMED)
    await skip(skipping, 6 * DAY + timedelta(hours=1), OPERATOR_AFTER)
    await order.until(OrderStatus.AWAITING_PAYMENT)
    await skip(skipping, DAY, OPERATOR_AFTER)
    result = await order.handle.result()
    assert (result.status, result.reason) == (OrderStatus.FAILED, "payment_expired")
    assert effects(provider_journal, order) == ["authorization", "void"]
    assert order.reserved() == 0
    assert order.event_types().count("order.payment_reminder") == 1


async def test_a_hold_that_has_run_out_is_held_anew_and_then_taken(
    order_late: Any, deliver: Any, provider_journal: Journal, bank_acts: Any
) -> None:
    order = await order_late()
    await order.first_answer()
    await deliver(order)
    await order.until(OrderStatus.PROCESSING)
    bank_acts(provider_journal(order.input.order_id)[0]["intent"])
    assert effects(provider_journal, order) == ["authorization", "void"]
    view = await order.delivered()
    assert (view.status, view.payment_status) == (OrderStatus.DELIVERED, PaymentStatus.CAPTURED)
    assert effects(provider_journal, order) == ["authorization", "void", "authorization", "capture"]
    money = order.money()
    assert money[EntryKind.CAPTURE] == view.total.amount
    assert money[EntryKind.AUTHORIZATION] == money[EntryKind.CAPTURE] + money[EntryKind.VOID]


async def test_what_has_left_and_is_not_paid_for_waits_for_an_operator(
    place: Any, make_product: Any, provider_journal: Journal, bank_acts: Any, provider_fault: Any
) -> None:
    """Nothing waited for goods, so no method was kept to hold the money anew."""
    order = await place({make_product(stock=5): 1}, **HELD_FOR_A_WEEK)
    await order.first_answer()
    await order.until(OrderStatus.PROCESSING)
    bank_acts(provider_journal(order.input.order_id)[0]["intent"])
    slow = provider_fault("latency", "capture", seconds=3)
    await order.carrier(ParcelStatus.DISPATCHED)
    await order.carrier(ParcelStatus.DELIVERED)
    await order.until(OrderStatus.DELIVERED)
    await order.until(OrderStatus.COMPENSATION_BLOCKED)
    assert slow()
    assert effects(provider_journal, order) == ["authorization", "void"]
    assert order.view().payment.held.amount == 0
    blocked = [event for event in order.events() if event.type == "order.compensation_blocked"]
    assert "has left" in str(blocked[-1].data["needs_operator"])


async def test_what_is_held_anew_is_what_has_not_left_and_refunds_go_back_to_each_payment(
    place: Any, make_product: Any, skipping: Client, connections: Connections, provider_journal: Journal
) -> None:
    there, late = make_product(stock=5), make_product(stock=0)
    Stock(connections.engine).set_rules(late, SetStockRules(backorderable=True))
    order = await place({there: 1, late: 1}, **HELD_FOR_A_WEEK)
    await order.first_answer()
    first, second = order.view().parcels
    assert [line.backordered for line in first.lines + second.lines] == [0, 1]
    await order.carrier(ParcelStatus.DISPATCHED, first.number)
    await order.carrier(ParcelStatus.DELIVERED, first.number)
    await until(lambda: effects(provider_journal, order) == ["authorization", "capture"])
    await skip(skipping, 6 * DAY + timedelta(hours=1), OPERATOR_AFTER)
    await until(lambda: effects(provider_journal, order).count("void") == 1)
    arrived = await asyncio.to_thread(Stock(connections.engine).receive, [(late, "BER", 1)], "staff:test", "delivery")
    await RunningOrders(skipping).signal_allocations(arrived)
    await order.carrier(ParcelStatus.DISPATCHED, second.number)
    await order.carrier(ParcelStatus.DELIVERED, second.number)
    await order.handle.result()

    journal = provider_journal(order.input.order_id)
    total = order.view().total.amount
    captured = {row["intent"]: row["amount"] for row in journal if row["effect"] == "capture"}
    assert (len(captured), sum(captured.values())) == (2, total)
    anew = [row for row in journal if row["effect"] in ("authorization", "void")][1:]
    assert {row["amount"] for row in anew} == {total - captured[journal[0]["intent"]]}

    for number, amount in enumerate([total - 100, 100], start=1):
        about = {"order_id": order.input.order_id, "reason": "late", "actor": "staff:1"}
        wanted = RefundInput(refund_id=str(uuid_utils.uuid7()), amount=amount, **about)
        answer = await skipping.execute_workflow(
            RefundWorkflow.run, wanted, id=refund_workflow_id(wanted.refund_id), task_queue=PAYMENTS_QUEUE
        )
        assert answer.refund is not None, number
        assert answer.refund.amount.amount == amount
    back = Counter[str]()
    for row in provider_journal(order.input.order_id):
        if row["effect"] == "refund":
            back[row["intent"]] += row["amount"]
    assert dict(back) == captured
    assert order.view().payment_status is PaymentStatus.REFUNDED
