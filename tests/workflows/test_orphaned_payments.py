"""Money that arrives when nobody waits for it any more is given back once, booked, and told of."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
import uuid_utils
from temporalio.client import Client

from adapters.connections import Connections
from adapters.mysql.payments.ledger import Ledger
from domain.ledger import Account, EntryKind
from domain.orders import OrderStatus, PaymentStatus
from schemas.orders import CancelOrder
from schemas.payment_reconciliation import OrphanedPaymentResult
from schemas.provider_events import ProviderEvent
from temporal_clients.payments import start_orphaned_payment
from workflows.names import orphaned_payment_workflow_id, payment_workflow_id
from workflows.orders.checkout import CheckoutWorkflow
from workflows.payments.orphaned_payments import OrphanedPaymentWorkflow
from workflows.payments.payment import PaymentWorkflow

SECURE = {"payment_method": "pm_card_threeDSecure2Required", "authentication_seconds": 600}
WINDOW = {"payment_retry_seconds": 1800}
CANCEL = CancelOrder(actor="customer:test", reason="changed my mind")
Journal = Callable[[str], list[dict[str, Any]]]


def effects(journal: Journal, order: Any) -> list[str]:
    return [entry["effect"] for entry in journal(order.input.order_id)]


def news(intent: str, event_type: str = "payment_intent.amount_capturable_updated") -> ProviderEvent:
    return ProviderEvent(event_id=f"evt_{uuid_utils.uuid7().hex}", type=event_type, provider_id=intent)


async def tell_twice(order: Any, intent: str) -> OrphanedPaymentResult:
    """As the API does for two webhooks about one payment whose workflow has ended."""
    for _ in range(2):
        await start_orphaned_payment(order.client, order.input.order_id, news(intent))
    return await result(order.client, intent)


async def result(client: Client, intent: str) -> OrphanedPaymentResult:
    return await client.get_workflow_handle_for(
        OrphanedPaymentWorkflow.run, orphaned_payment_workflow_id(intent)
    ).result()


@pytest.fixture
def cancelled(place: Any, make_product: Any) -> Any:
    """An order cancelled while its customer was at their bank, and what the provider calls its payment."""

    async def make() -> tuple[Any, str]:
        order = await place({make_product(stock=5): 1}, **SECURE, **WINDOW)
        await order.first_answer()
        intent = order.intent()
        await order.handle.execute_update(CheckoutWorkflow.cancel, CANCEL)
        await order.handle.result()
        assert order.view().status is OrderStatus.CANCELLED
        return order, intent

    return make


@pytest.mark.parametrize(
    ("captured", "fault"), [(False, None), (True, None), (False, "500"), (True, "error_after"), (True, "timeout_after")]
)
async def test_what_arrives_after_the_cancel_is_given_back_once(
    captured: bool,
    fault: str | None,
    cancelled: Any,
    late_success: Any,
    provider_fault: Any,
    provider_journal: Journal,
    connections: Connections,
) -> None:
    order, intent = await cancelled()
    total, before = order.view().total.amount, order.event_types()
    late_success(intent, captured=captured)
    struck = provider_fault(fault, "refund" if captured else "cancel") if fault else lambda: True
    told = await tell_twice(order, intent)
    assert struck()
    assert (told.voided, told.refunded) == ((0, total) if captured else (total, 0))
    wanted = ["authorization", "capture", "refund"] if captured else ["authorization", "void"]
    assert effects(provider_journal, order) == wanted
    assert order.money() == {kind: total if kind in wanted else 0 for kind in EntryKind}
    view = order.view()
    assert (view.status, view.payment_status) == (
        OrderStatus.CANCELLED,
        PaymentStatus.REFUNDED if captured else PaymentStatus.VOIDED,
    )
    noticed = ["payment.orphan_authorized", "payment.orphan_captured"] if captured else ["payment.orphan_authorized"]
    assert order.event_types()[len(before) :] == [*noticed, "payment.orphan_returned"]
    # A webhook of a day later changes nothing.
    assert await tell_twice(order, intent) == OrphanedPaymentResult(why_not="nothing of an order of ours is held")
    assert effects(provider_journal, order) == wanted
    stands = Ledger(connections.engine).balances(order.input.order_id)
    assert sum(stands.values()) == 0


async def test_what_an_order_is_paid_by_stays(place: Any, make_product: Any, provider_journal: Journal) -> None:
    order = await place({make_product(stock=5): 1})
    view = await order.delivered()
    (intent,) = {entry["intent"] for entry in provider_journal(view.id)}
    told = await tell_twice(order, intent)
    assert (told.voided, told.refunded) == (0, 0)
    assert "delivered" in str(told.why_not)
    assert effects(provider_journal, order) == ["authorization", "capture"]
    assert order.view().payment_status is PaymentStatus.CAPTURED


async def test_an_order_that_is_on_its_way_is_waited_for(
    place: Any, make_product: Any, authenticate: Any, provider_journal: Journal
) -> None:
    order = await place({make_product(stock=5): 1}, **SECURE, **WINDOW)
    await order.first_answer()
    intent = order.intent()
    await asyncio.to_thread(authenticate, intent)
    await start_orphaned_payment(order.client, order.input.order_id, news(intent))
    await asyncio.sleep(0.5)
    assert effects(provider_journal, order) == ["authorization"], "the order may still need it"
    await order.handle.execute_update(CheckoutWorkflow.cancel, CANCEL)
    assert (await result(order.client, intent)).voided == 0
    assert effects(provider_journal, order) == ["authorization", "void"], "by its own PaymentWorkflow"


@pytest.mark.parametrize("holds", [True, False])
async def test_an_attempt_that_was_given_up_and_succeeds_after_all_leaves_one_hold(
    holds: bool, place: Any, make_product: Any, late_success: Any, provider_journal: Journal
) -> None:
    """Whether another attempt holds the money already, or the order still waits for one."""
    order = await place({make_product(stock=5): 1}, **(SECURE | {"authentication_seconds": 1}), **WINDOW)
    await order.first_answer()
    intent = order.intent()
    payment = order.client.get_workflow_handle(payment_workflow_id(order.input.order_id))
    if holds:
        await order.pay()
    else:
        async with asyncio.timeout(20):
            while order.view().payment_action is not None:  # the bank has had its time
                await asyncio.sleep(0.05)
    late_success(intent)
    for _ in range(2):
        await payment.signal(PaymentWorkflow.provider_event, news(intent))
    async with asyncio.timeout(20):
        while "payment.orphan_returned" not in order.event_types():
            await asyncio.sleep(0.05)
    if not holds:
        await order.pay()
    total = order.view().total.amount
    assert Ledger(order.connections.engine).balances(order.input.order_id)[Account.HELD] == total
    assert sorted(effects(provider_journal, order)) == ["authorization", "authorization", "void"]
    view = await order.delivered()
    assert (view.status, view.payment_status) == (OrderStatus.DELIVERED, PaymentStatus.CAPTURED)
    assert sorted(effects(provider_journal, order)) == ["authorization", "authorization", "capture", "void"]
