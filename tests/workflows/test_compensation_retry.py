"""An operator removes the cause and has it tried again: money that could not be taken, or given back, now is."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx2
import pytest
import pytest_asyncio
from temporalio.client import Client

from adapters.connections import Connections
from adapters.mysql.orders.stock import Stock
from adapters.mysql.payments.ledger import Ledger
from dev.testbed import Testbed
from domain.fulfilment import ParcelStatus
from domain.ledger import EntryKind
from domain.orders import OrderStatus, PaymentStatus
from schemas.orders import SettleCompensation
from schemas.stock import SetStockRules
from temporal_clients.orders import RunningOrders
from tests.workflows.conftest import UNDELIVERABLE, time_skipping
from workflows.names import payment_workflow_id
from workflows.orders.checkout import CheckoutWorkflow

AGAIN = SettleCompensation(actor="staff:test", reason="the provider has mended it", retry=True)
BY_HAND = SettleCompensation(actor="staff:test", reason="the customer keeps it", retry=False)
HELD_FOR_A_WEEK = {"authorization_seconds": 7 * 86_400, "payment_retry_seconds": 86_400}
LEFT = "call the parcels back: Parcel 1 has left and cannot be called back."
UNPAID = "Parcel 1 has left, and the bank does not pay for it"
Journal = Callable[[str], list[dict[str, Any]]]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def skipping(connections: Connections) -> AsyncIterator[Client]:
    """A server of its own, on which nothing has kept time from being skipped."""
    async with time_skipping(connections) as client:
        yield client


@pytest.fixture
def mended(bed: Testbed) -> Callable[[], None]:
    """The provider does again what is asked of it."""

    def mend() -> None:
        httpx2.delete(f"{bed.url('PAYMENT_SIMULATOR_PORT')}/_control/faults").raise_for_status()

    return mend


async def decide(order: Any, decision: SettleCompensation) -> None:
    await order.handle.execute_update(CheckoutWorkflow.settle_compensation, decision)


async def owed(order: Any, times: int) -> list[str]:
    """What the order says it owes, when it has said so for the nth time."""
    async with asyncio.timeout(20):
        while len(said := [one for one in order.events() if one.type == "order.compensation_blocked"]) < times:
            await asyncio.sleep(0.05)
    return list(said[-1].data["needs_operator"])


def effects(journal: Journal, order: Any) -> list[str]:
    return [entry["effect"] for entry in journal(order.input.order_id)]


async def check_paid_for(order: Any, connections: Connections) -> None:
    await decide(order, BY_HAND)
    assert (await order.handle.result()).status is OrderStatus.FAILED
    view = order.view()
    assert view.payment_status is PaymentStatus.CAPTURED
    assert order.money()[EntryKind.CAPTURE] == view.total.amount
    assert order.reserved() == 0
    payment = order.client.get_workflow_handle(payment_workflow_id(order.input.order_id))
    await payment.result()  # nobody has to look after it
    assert sum(Ledger(connections.engine).balances(order.input.order_id).values()) == 0


async def test_a_capture_that_was_called_wrong_is_taken(
    place: Any, make_product: Any, provider_fault: Any, provider_journal: Journal, mended: Any, connections: Connections
) -> None:
    order = await place({make_product(stock=5): 1})
    await order.first_answer()
    provider_fault("400", "capture", times=1_000)
    await order.carrier(ParcelStatus.DISPATCHED)
    for times in (1, 2):
        unpaid, kept = await owed(order, times)
        assert UNPAID in unpaid
        assert kept == "void the payment: Parcel 1 has left and is not paid for: what is held is kept."
        if times == 1:
            await decide(order, AGAIN)  # although nothing was mended yet
    assert effects(provider_journal, order) == ["authorization"]
    mended()
    await decide(order, AGAIN)
    assert await owed(order, 3) == [LEFT]
    assert effects(provider_journal, order) == ["authorization", "capture"]
    await check_paid_for(order, connections)


async def test_a_hold_that_ran_out_and_was_refused_anew_is_held_and_taken(
    *,
    place: Any,
    make_product: Any,
    skipping: Client,
    connections: Connections,
    provider_fault: Any,
    provider_journal: Journal,
    bank_acts: Any,
    mended: Any,
) -> None:
    sku = make_product(stock=0)
    Stock(connections.engine).set_rules(sku, SetStockRules(backorderable=True))
    order = await place({sku: 1}, **HELD_FOR_A_WEEK)
    await order.first_answer()
    arrived = await asyncio.to_thread(Stock(connections.engine).receive, [(sku, "BER", 1)], "staff:test", "delivery")
    await RunningOrders(skipping).signal_allocations(arrived)
    await order.until(OrderStatus.PROCESSING)
    bank_acts(provider_journal(order.input.order_id)[0]["intent"])
    provider_fault("400", "create", times=1_000)
    await order.carrier(ParcelStatus.DISPATCHED)
    assert UNPAID in (await owed(order, 1))[0]

    mended()
    await decide(order, AGAIN)
    assert await owed(order, 2) == [LEFT]
    assert effects(provider_journal, order) == ["authorization", "void", "authorization", "capture"]
    await check_paid_for(order, connections)


async def test_a_capture_that_is_settled_by_hand_leaves_nothing_held(
    place: Any, make_product: Any, provider_fault: Any, provider_journal: Journal, connections: Connections
) -> None:
    order = await place({make_product(stock=5): 1})
    await order.first_answer()
    provider_fault("400", "capture", times=1_000)
    await order.carrier(ParcelStatus.DISPATCHED)
    await owed(order, 1)
    await decide(order, BY_HAND)
    await order.handle.result()
    assert effects(provider_journal, order) == ["authorization", "void"]
    assert set(Ledger(connections.engine).balances(order.input.order_id).values()) == {0}


async def test_a_hold_whose_payment_has_failed_is_given_back(
    place: Any, make_product: Any, provider_fault: Any, provider_journal: Journal, mended: Any, connections: Connections
) -> None:
    provider_fault("400", "cancel", times=1_000)
    order = await place({make_product(stock=5): 1}, postal_code=UNDELIVERABLE)
    (stopped,) = await owed(order, 1)
    assert stopped.startswith("void the payment: ")
    assert effects(provider_journal, order) == ["authorization"]

    mended()
    await decide(order, AGAIN)
    result = await order.handle.result()
    assert (result.status, result.reason) == (OrderStatus.FAILED, "shipment_refused")
    assert effects(provider_journal, order) == ["authorization", "void"]
    assert order.view().payment_status is PaymentStatus.VOIDED
    assert (order.reserved(), order.available()) == (0, 5)
    assert set(Ledger(connections.engine).balances(order.input.order_id).values()) == {0}
