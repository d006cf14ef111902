"""An orphaned payment is returned once, recorded, and shown in its order's history."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeAlias

import pytest
import uuid_utils
from temporalio.client import Client, WorkflowHandle

from adapters.connections import Connections
from adapters.mysql.payments.ledger import Ledger
from domain.ledger import Account, EntryKind
from domain.orders import OrderStatus, PaymentStatus
from schemas.order_requests import CancelOrder
from schemas.payment_reconciliation import OrphanedPaymentResult
from schemas.provider_events import ProviderEvent
from temporal_clients.payments import start_orphaned_payment
from tests.fixture_types import MakeProduct
from tests.workflows.orders import Order, Place
from tests.workflows.provider import Authenticate, Journal, MakeFault, OrphanPayment, effects
from tests.workflows.waiting import until, until_timer
from workflows.names import orphaned_payment_workflow_id
from workflows.payments.orphaned_payments import OrphanedPaymentWorkflow
from workflows.payments.payment import PaymentWorkflow

SECURE = {"payment_method": "pm_card_threeDSecure2Required", "authentication_seconds": 600}
WINDOW = {"payment_retry_seconds": 1800}
CANCEL = CancelOrder(actor="customer:test", reason="changed my mind")


def provider_event(intent: str, event_type: str = "payment_intent.amount_capturable_updated") -> ProviderEvent:
    return ProviderEvent(event_id=f"evt_{uuid_utils.uuid7().hex}", type=event_type, provider_id=intent)


async def send_twice(order: Order, intent: str) -> OrphanedPaymentResult:
    """As the API does for two webhooks about one payment whose workflow has ended."""
    for _ in range(2):
        await start_orphaned_payment(order.client, order.id, provider_event(intent))
    return await result(order.client, intent)


async def result(client: Client, intent: str) -> OrphanedPaymentResult:
    handle: WorkflowHandle[OrphanedPaymentWorkflow, OrphanedPaymentResult] = client.get_workflow_handle(
        orphaned_payment_workflow_id(intent), result_type=OrphanedPaymentResult
    )
    return await handle.result()


MakeCancelled: TypeAlias = Callable[[], Awaitable[tuple[Order, str]]]


@pytest.fixture
def cancelled(place: Place, make_product: MakeProduct) -> MakeCancelled:
    """An order cancelled while its customer was at their bank, and what the provider calls its payment."""

    async def make() -> tuple[Order, str]:
        order = await place({make_product(stock=5): 1}, **SECURE, **WINDOW)
        await order.first_answer()
        intent = order.intent()
        await order.cancel(CANCEL)
        await order.handle.result()
        assert order.view().status is OrderStatus.CANCELLED
        return order, intent

    return make


@pytest.mark.parametrize(
    ("captured", "fault"), [(False, None), (True, None), (False, "500"), (True, "error_after"), (True, "timeout_after")]
)
async def test_a_payment_that_arrives_after_the_cancel_is_returned_once(
    captured: bool,
    fault: str | None,
    cancelled: MakeCancelled,
    orphan_payment: OrphanPayment,
    provider_fault: MakeFault,
    provider_journal: Journal,
    connections: Connections,
) -> None:
    order, intent = await cancelled()
    total, before = order.view().total.amount, order.event_types()
    orphan_payment(intent, captured=captured)
    failure = provider_fault(fault, "refund" if captured else "cancel") if fault else None
    returned = await send_twice(order, intent)
    assert failure is None or failure.struck()
    assert (returned.voided, returned.refunded) == ((0, total) if captured else (total, 0))
    expected = ["authorization", "capture", "refund"] if captured else ["authorization", "void"]
    assert effects(provider_journal, order.id) == expected
    assert order.money() == {kind: total if kind in expected else 0 for kind in EntryKind}
    view = order.view()
    assert (view.status, view.payment_status) == (
        OrderStatus.CANCELLED,
        PaymentStatus.REFUNDED if captured else PaymentStatus.VOIDED,
    )
    recorded = ["payment.orphan_authorized", "payment.orphan_captured"] if captured else ["payment.orphan_authorized"]
    assert order.event_types()[len(before) :] == [*recorded, "payment.orphan_returned"]
    # A webhook of a day later changes nothing.
    assert await send_twice(order, intent) == OrphanedPaymentResult(why_not="no order of ours has a payment to return")
    assert effects(provider_journal, order.id) == expected
    balances = Ledger(connections.engine).balances(order.id)
    assert sum(balances.values()) == 0


async def test_the_payment_of_a_delivered_order_stays(
    place: Place, make_product: MakeProduct, provider_journal: Journal
) -> None:
    order = await place({make_product(stock=5): 1})
    view = await order.delivered()
    (intent,) = {entry["intent"] for entry in provider_journal(view.id)}
    returned = await send_twice(order, intent)
    assert (returned.voided, returned.refunded) == (0, 0)
    assert "delivered" in str(returned.why_not)
    assert effects(provider_journal, order.id) == ["authorization", "capture"]
    assert order.view().payment_status is PaymentStatus.CAPTURED


async def test_an_order_that_is_still_running_is_waited_for(
    place: Place, make_product: MakeProduct, authenticate: Authenticate, provider_journal: Journal
) -> None:
    order = await place({make_product(stock=5): 1}, **SECURE, **WINDOW)
    await order.first_answer()
    intent = order.intent()
    await asyncio.to_thread(authenticate, intent)
    await start_orphaned_payment(order.client, order.id, provider_event(intent))
    await until_timer(order.client.get_workflow_handle(orphaned_payment_workflow_id(intent)))
    assert effects(provider_journal, order.id) == ["authorization"], "the order may still need it"
    await order.cancel(CANCEL)
    assert (await result(order.client, intent)).voided == 0
    assert effects(provider_journal, order.id) == ["authorization", "void"], "by its own PaymentWorkflow"


@pytest.mark.parametrize("authorized", [True, False])
async def test_an_abandoned_attempt_that_succeeds_after_all_leaves_one_authorization(
    authorized: bool, place: Place, make_product: MakeProduct, orphan_payment: OrphanPayment, provider_journal: Journal
) -> None:
    """Whether another attempt is authorized already, or the order still waits for one."""
    order = await place(
        {make_product(stock=5): 1}, **(SECURE | {"authentication_seconds": 600 if authorized else 1}), **WINDOW
    )
    await order.first_answer()
    intent = order.intent()
    if authorized:
        await order.pay()
    else:
        await until(lambda: order.view().payment_action is None)  # the bank has had its time
    orphan_payment(intent)
    for _ in range(2):
        await order.payment.signal(PaymentWorkflow.provider_event, provider_event(intent))
    await until(lambda: "payment.orphan_returned" in order.event_types())
    if not authorized:
        await order.pay()
    total = order.view().total.amount
    assert Ledger(order.connections.engine).balances(order.id)[Account.HELD] == total
    assert sorted(effects(provider_journal, order.id)) == ["authorization", "authorization", "void"]
    view = await order.delivered()
    assert (view.status, view.payment_status) == (OrderStatus.DELIVERED, PaymentStatus.CAPTURED)
    assert sorted(effects(provider_journal, order.id)) == ["authorization", "authorization", "capture", "void"]
