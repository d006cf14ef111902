"""A refund that is called done and fails later: booked once, its money free again, and nobody is told a lie."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import pytest
import stripe
import uuid_utils
from temporalio.client import Client, WorkflowHandle
from temporalio.service import RPCError

from adapters.connections import Connections
from adapters.mysql.payments.credit import Granter, StoreCredit
from adapters.mysql.payments.facts import PaymentFactsReader
from adapters.mysql.payments.ledger import Ledger
from adapters.mysql.payments.refunds import Refunds
from adapters.payments.listing import PaymentListing
from adapters.settings import Settings
from dev.testbed import Testbed
from domain.ledger import Account, EntryKind
from domain.orders import PaymentStatus
from domain.reconciliation import Repair, compare
from schemas.credit import CreditAmount, GrantCredit
from schemas.payment_reconciliation import CatchUp
from schemas.provider_events import ProviderEvent
from schemas.refunds import (
    FailedRefundInput,
    PartSettled,
    RefundInput,
    RefundReversed,
    RefundStatus,
    RefundView,
    SettleRefund,
)
from temporal_clients.payments import start_failed_refund
from workflows.names import (
    PAYMENTS_QUEUE,
    failed_refund_workflow_id,
    refund_workflow_id,
)
from workflows.payments.failed_refunds import FailedRefundWorkflow
from workflows.payments.reconciliation import PaymentReconciliationWorkflow
from workflows.payments.refunds import RefundWorkflow

STAFF = "staff:1:support"
Journal = Callable[[str], list[dict[str, Any]]]


class Case:
    """An order that was delivered, a refund of it that was called done, and the bank that sends it back."""

    def __init__(self, order: Any, connections: Connections, bed: Testbed, bank_acts: Any) -> None:
        self.order = order
        self.order_id: str = order.input.order_id
        self.total = order.view().total.amount
        self.refunds = Refunds(connections.engine)
        self._connections = connections
        self._bank_acts = bank_acts
        self.intent = Ledger(connections.engine).entries(self.order_id)[0].provider_id
        key, base = bed.settings.stripe_api_key.get_secret_value(), bed.settings.stripe_api_base.rstrip("/")
        self.provider = stripe.StripeClient(key, base_addresses={"api": base})

    async def give_back(self, amount: int | None) -> RefundView:
        wanted = RefundInput(
            refund_id=str(uuid_utils.uuid7()),
            order_id=self.order_id,
            amount=amount,
            currency="EUR" if amount else None,
            reason="arrived with a scratch",
            actor=STAFF,
        )
        answer = await self.order.client.execute_workflow(
            RefundWorkflow.run, wanted, id=refund_workflow_id(wanted.refund_id), task_queue=PAYMENTS_QUEUE
        )
        refund: RefundView = answer.refund
        return refund

    def fails(self) -> str:
        """Days later; the webhook is lost. Answers what the provider calls the last refund of the order."""
        listed = self.provider.v1.refunds.list({"limit": 100})
        mine = (one for one in listed if (one.to_dict().get("metadata") or {}).get("order_id") == self.order_id)
        name = next(mine).id
        self._bank_acts(name, send_webhook=False)
        return name

    async def told(self, name: str, refund: RefundView | None = None) -> RefundReversed:
        """As the API does for a verified webhook."""
        news = ProviderEvent(event_id=f"evt_{uuid_utils.uuid7().hex}", type="refund.failed", provider_id=name)
        failed = FailedRefundInput(order_id=self.order_id, provider_id=name, refund_id=refund.id if refund else None)
        await start_failed_refund(self.order.client, failed, news)
        handle = self.order.client.get_workflow_handle_for(FailedRefundWorkflow.run, failed_refund_workflow_id(name))
        reversed_: RefundReversed = await handle.result()
        return reversed_

    def balances(self) -> dict[Account, int]:
        return Ledger(self._connections.engine).balances(self.order_id)


@pytest.fixture
def paid_by(
    place: Any, make_product: Any, connections: Connections, bed: Testbed, bank_acts: Any
) -> Callable[..., Any]:
    async def deliver(card: str = "pm_card_refundFail", **fields: Any) -> Case:
        order = await place({make_product(): 1}, payment_method=card, **fields)
        await order.delivered()
        return Case(order, connections, bed, bank_acts)

    return deliver


async def test_it_is_booked_once_and_can_be_given_back_another_way(
    paid_by: Any, provider_journal: Journal, caplog: pytest.LogCaptureFixture
) -> None:
    case = await paid_by()
    refund = await case.give_back(300)
    assert refund.status is RefundStatus.SUCCEEDED
    name = case.fails()
    with caplog.at_level(logging.ERROR):
        assert (await case.told(name)).amount == 300
    assert sum("a refund has failed after it had succeeded" in one.getMessage() for one in caplog.records) == 1
    await case.told(name)  # the provider tells of it more than once

    effects = [(entry["effect"], entry["amount"]) for entry in provider_journal(case.order_id)]
    assert effects[2:] == [("refund", 300), ("refund_reversal", 300)]
    money = case.order.money()
    assert (money[EntryKind.REFUND], money[EntryKind.REFUND_REVERSAL]) == (300, 300)
    stands = case.balances()
    assert (sum(stands.values()), stands[Account.REFUNDS]) == (0, 0)
    view = case.order.view()
    assert (view.payment_status, view.payment.refunded.amount) == (PaymentStatus.CAPTURED, 0)
    told = case.order.events()[-1]
    assert (told.type, told.payment_status) == ("payment.refund_failed", PaymentStatus.CAPTURED)
    assert told.data == {
        "amount": {"amount": 300, "currency": "EUR"},
        "code": "expired_or_canceled_card",
        "refund_id": refund.id,
    }
    (shown,) = case.refunds.of_order(case.order_id).items
    assert (shown.status, shown.failure_code) == (RefundStatus.FAILED, "expired_or_canceled_card")
    assert shown.failed_at is not None
    assert case.refunds.of_order(case.order_id).refundable.amount == case.total

    again = await case.give_back(case.total)
    assert again.status is RefundStatus.SUCCEEDED
    assert case.order.view().payment_status is PaymentStatus.REFUNDED


async def test_a_refund_that_stands_is_left_as_it_is(paid_by: Any) -> None:
    """Whoever says that it failed is not believed."""
    case = await paid_by("pm_card_visa")
    await case.give_back(300)
    name = case.fails()  # nothing: this card's bank takes every refund
    assert await case.told(name) == RefundReversed()
    assert case.order.view().payment_status is PaymentStatus.PARTIALLY_REFUNDED
    assert case.order.event_types()[-1] == "payment.refunded"


async def test_only_the_cards_part_of_a_refund_comes_back(paid_by: Any, connections: Connections) -> None:
    customer = str(uuid_utils.uuid7())
    credit = GrantCredit(amount=CreditAmount(amount=900, currency="EUR"), reason="a test")
    StoreCredit(connections.engine).grant(customer, credit, Granter(STAFF, f"test:{customer}"))
    case = await paid_by(customer_id=customer, use_store_credit=True)
    whole = await case.give_back(None)
    assert (whole.card.amount, whole.store_credit.amount) == (case.total - 900, 900)
    assert (await case.told(case.fails())).amount == case.total - 900
    (shown,) = case.refunds.of_order(case.order_id).items
    assert (shown.status, shown.amount.amount, shown.store_credit.amount) == (RefundStatus.SUCCEEDED, 900, 900)
    assert (shown.failure_code, shown.failed_at is None) == ("expired_or_canceled_card", False)
    assert case.refunds.of_order(case.order_id).refundable.amount == case.total - 900
    view = case.order.view()
    assert (view.payment_status, view.payment.refunded.amount) == (PaymentStatus.PARTIALLY_REFUNDED, 900)
    again = await case.give_back(None)
    assert (again.card.amount, again.store_credit.amount) == (case.total - 900, 0)


async def waits(handle: WorkflowHandle[Any, Any]) -> bool:
    """Whether it has found nothing to book yet and waits a moment."""
    try:
        history = await handle.fetch_history()
    except RPCError:
        return False
    return any(event.HasField("timer_started_event_attributes") for event in history.events)


async def test_the_refunds_own_workflow_books_it_first(paid_by: Any, skipping: Client) -> None:
    """The provider tells of the failure a moment before what it had called done is in the books."""
    case = await paid_by()
    refund_id = str(uuid_utils.uuid7())
    asked = RefundInput(refund_id=refund_id, order_id=case.order_id, amount=300, reason="a scratch", actor=STAFF)
    opened = case.refunds.open(asked)
    metadata = {"order_id": case.order_id, "refund_id": refund_id}
    case.provider.v1.refunds.create({"payment_intent": case.intent, "amount": 300, "metadata": metadata})
    name = case.fails()
    failing = asyncio.create_task(case.told(name, opened.refund))
    async with asyncio.timeout(20):
        handle = skipping.get_workflow_handle(failed_refund_workflow_id(name))
        while not await waits(handle):
            await asyncio.sleep(0.05)
    case.refunds.settle(
        SettleRefund(
            refund_id=refund_id,
            order_id=case.order_id,
            idempotency_key=f"{refund_workflow_id(refund_id)}:refund",
            parts=[PartSettled(number=1, provider_id=name)],
        )
    )
    assert (await failing).amount == 300
    assert case.order.event_types()[-2:] == ["payment.refunded", "payment.refund_failed"]


async def reconcile(client: Client) -> Any:
    return await client.execute_workflow(
        PaymentReconciliationWorkflow.run, id=f"reconciliation-{uuid_utils.uuid7()}", task_queue=PAYMENTS_QUEUE
    )


async def test_one_whose_webhook_was_lost_is_found_and_booked_by_itself(paid_by: Any, skipping: Client) -> None:
    case = await paid_by()
    refund = await case.give_back(300)
    name = case.fails()
    assert name in {one.provider_id for one in (await reconcile(skipping)).failed_refunds}
    handle = skipping.get_workflow_handle_for(FailedRefundWorkflow.run, failed_refund_workflow_id(name))
    assert (await handle.result()).amount == 300
    (shown,) = case.refunds.of_order(case.order_id).items
    assert (shown.id, shown.status) == (refund.id, RefundStatus.FAILED)
    assert case.order.event_types()[-1] == "payment.refund_failed"
    assert name not in {one.provider_id for one in (await reconcile(skipping)).failed_refunds}


async def test_an_operators_repair_books_it_as_well(paid_by: Any, settings: Settings, connections: Connections) -> None:
    case = await paid_by()
    await case.give_back(300)
    name = case.fails()
    books = PaymentFactsReader(connections.engine)
    payment = PaymentListing(settings).payment(case.intent)
    assert payment is not None
    (found,) = compare(case.order_id, books.of_orders([case.order_id])[case.order_id], {case.intent: payment})
    assert (found.effect, found.subject, found.repair) == (EntryKind.REFUND_REVERSAL, name, Repair.RECORD_MISSING)
    repair = CatchUp(payment=payment, key="payment-repair-test", actor=STAFF)
    caught_up = books.catch_up(repair)
    assert caught_up.recorded == [(EntryKind.REFUND_REVERSAL, 300)]
    assert caught_up.payment_status is PaymentStatus.CAPTURED
    assert books.catch_up(repair).recorded == []
    (shown,) = case.refunds.of_order(case.order_id).items
    assert (shown.status, shown.failure_code) == (RefundStatus.FAILED, "expired_or_canceled_card")
    assert case.order.events()[-1].actor == STAFF
