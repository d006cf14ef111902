"""A refund that succeeded and fails later: recorded once, its amount may be refunded again, and all shows it."""

import asyncio
import logging
from typing import Protocol

import pytest
import uuid_utils
from temporalio.client import Client, WorkflowHandle

from adapters.connections import Connections
from adapters.mysql.payments.credit import Granter, StoreCredit
from adapters.mysql.payments.facts import PaymentFactsReader
from adapters.mysql.payments.ledger import Ledger
from adapters.mysql.payments.refunds import Refunds
from adapters.payments.client import stripe_client
from adapters.payments.listing import PaymentListing
from adapters.settings import Settings
from domain.ledger import Account, EntryKind
from domain.orders import PaymentStatus
from domain.reconciliation import Repair, compare
from schemas.credit import CreditAmount, GrantCredit
from schemas.payment_reconciliation import CatchUp, PaymentsReconciled
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
from tests.fixture_types import MakeProduct
from tests.workflows import refunds
from tests.workflows.orders import Order, Place
from tests.workflows.provider import BankActs, Journal
from tests.workflows.refunds import STAFF, made, refunds_at_provider, to_card_and_credit
from tests.workflows.waiting import until_timer
from workflows.names import (
    PAYMENTS_QUEUE,
    failed_refund_workflow_id,
    refund_workflow_id,
)
from workflows.payments.failed_refunds import FailedRefundWorkflow
from workflows.payments.reconciliation import PaymentReconciliationWorkflow


class Case:
    """An order that was delivered, a refund of it that succeeded, and the bank that sends it back."""

    def __init__(self, order: Order, connections: Connections, bank_acts: BankActs) -> None:
        self.order = order
        self.order_id: str = order.id
        self.total = order.view().total.amount
        self.refunds = Refunds(connections.engine)
        self._connections = connections
        self._bank_acts = bank_acts
        self.intent = Ledger(connections.engine).entries(self.order_id)[0].provider_id
        self.provider = stripe_client(connections.settings)

    async def refund(self, amount: int | None) -> RefundView:
        return made(await refunds.refund(self.order.client, self.order_id, amount))

    def fails(self) -> str:
        """Days later; the webhook is lost. Answers what the provider calls the last refund of the order."""
        name = refunds_at_provider(self._connections.settings, self.order_id)[0]
        self._bank_acts(name, webhook=False)
        return name

    async def reverse(self, name: str, refund: RefundView | None = None) -> RefundReversed:
        """As the API does for a verified webhook."""
        event = ProviderEvent(event_id=f"evt_{uuid_utils.uuid7().hex}", type="refund.failed", provider_id=name)
        failed = FailedRefundInput(order_id=self.order_id, provider_id=name, refund_id=refund.id if refund else None)
        await start_failed_refund(self.order.client, failed, event)
        return await reversal(self.order.client, name).result()

    def balances(self) -> dict[Account, int]:
        return Ledger(self._connections.engine).balances(self.order_id)


def reversal(client: Client, name: str) -> WorkflowHandle[FailedRefundWorkflow, RefundReversed]:
    return client.get_workflow_handle(failed_refund_workflow_id(name), result_type=RefundReversed)


class PaidBy(Protocol):
    """A delivered order that was paid with this card."""

    async def __call__(self, card: str = "pm_card_refundFail", **fields: object) -> Case: ...


@pytest.fixture
def paid_by(place: Place, make_product: MakeProduct, connections: Connections, bank_acts: BankActs) -> PaidBy:
    async def deliver(card: str = "pm_card_refundFail", **fields: object) -> Case:
        order = await place({make_product(): 1}, payment_method=card, **fields)
        await order.delivered()
        return Case(order, connections, bank_acts)

    return deliver


async def test_it_is_recorded_once_and_can_be_refunded_another_way(
    paid_by: PaidBy, provider_journal: Journal, caplog: pytest.LogCaptureFixture
) -> None:
    case = await paid_by()
    refund = await case.refund(300)
    assert refund.status is RefundStatus.SUCCEEDED
    name = case.fails()
    with caplog.at_level(logging.ERROR):
        assert (await case.reverse(name)).amount == 300
    assert sum("a refund has failed after it had succeeded" in one.getMessage() for one in caplog.records) == 1
    await case.reverse(name)  # the provider sends the event more than once

    moved = [(entry["effect"], entry["amount"]) for entry in provider_journal(case.order_id)]
    assert moved[2:] == [("refund", 300), ("refund_reversal", 300)]
    money = case.order.money()
    assert (money[EntryKind.REFUND], money[EntryKind.REFUND_REVERSAL]) == (300, 300)
    balances = case.balances()
    assert (sum(balances.values()), balances[Account.REFUNDS]) == (0, 0)
    view = case.order.view()
    assert (view.payment_status, view.payment.refunded.amount) == (PaymentStatus.CAPTURED, 0)
    event = case.order.events()[-1]
    assert (event.type, event.payment_status) == ("payment.refund_failed", PaymentStatus.CAPTURED)
    assert event.data == {
        "amount": {"amount": 300, "currency": "EUR"},
        "code": "expired_or_canceled_card",
        "refund_id": refund.id,
    }
    (shown,) = case.refunds.of_order(case.order_id).items
    assert (shown.status, shown.failure_code) == (RefundStatus.FAILED, "expired_or_canceled_card")
    assert shown.failed_at is not None
    assert case.refunds.of_order(case.order_id).refundable.amount == case.total

    again = await case.refund(case.total)
    assert again.status is RefundStatus.SUCCEEDED
    assert case.order.view().payment_status is PaymentStatus.REFUNDED


async def test_a_refund_that_stands_is_left_as_it_is(paid_by: PaidBy) -> None:
    """The provider is asked; an event alone proves nothing."""
    case = await paid_by("pm_card_visa")
    await case.refund(300)
    name = case.fails()  # nothing: this card's bank takes every refund
    assert await case.reverse(name) == RefundReversed()
    assert case.order.view().payment_status is PaymentStatus.PARTIALLY_REFUNDED
    assert case.order.event_types()[-1] == "payment.refunded"


async def test_only_the_cards_part_of_a_refund_comes_back(paid_by: PaidBy, connections: Connections) -> None:
    customer = str(uuid_utils.uuid7())
    credit = GrantCredit(amount=CreditAmount(amount=900, currency="EUR"), reason="a test")
    StoreCredit(connections.engine).grant(customer, credit, Granter(STAFF, f"test:{customer}"))
    case = await paid_by(customer_id=customer, use_store_credit=True)
    whole = await case.refund(None)
    assert to_card_and_credit(whole) == (case.total - 900, 900)
    assert (await case.reverse(case.fails())).amount == case.total - 900
    (shown,) = case.refunds.of_order(case.order_id).items
    assert (shown.status, shown.amount.amount, to_card_and_credit(shown)[1]) == (RefundStatus.SUCCEEDED, 900, 900)
    assert (shown.failure_code, shown.failed_at is None) == ("expired_or_canceled_card", False)
    assert case.refunds.of_order(case.order_id).refundable.amount == case.total - 900
    view = case.order.view()
    assert (view.payment_status, view.payment.refunded.amount) == (PaymentStatus.PARTIALLY_REFUNDED, 900)
    again = await case.refund(None)
    assert to_card_and_credit(again) == (case.total - 900, 0)


async def test_the_refunds_own_workflow_records_it_first(paid_by: PaidBy, skipping: Client) -> None:
    """The event of the failure arrives a moment before the success is in the ledger."""
    case = await paid_by()
    refund_id = str(uuid_utils.uuid7())
    request = RefundInput(refund_id=refund_id, order_id=case.order_id, amount=300, reason="a scratch", actor=STAFF)
    opened = case.refunds.open(request)
    metadata = {"order_id": case.order_id, "refund_id": refund_id}
    case.provider.v1.refunds.create({"payment_intent": case.intent, "amount": 300, "metadata": metadata})
    name = case.fails()
    failing = asyncio.create_task(case.reverse(name, opened.refund))
    await until_timer(reversal(skipping, name))
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


async def reconcile(client: Client) -> PaymentsReconciled:
    return await client.execute_workflow(
        PaymentReconciliationWorkflow.run, id=f"reconciliation-{uuid_utils.uuid7()}", task_queue=PAYMENTS_QUEUE
    )


async def test_one_whose_webhook_was_lost_is_found_and_recorded_by_itself(paid_by: PaidBy, skipping: Client) -> None:
    case = await paid_by()
    refund = await case.refund(300)
    name = case.fails()
    assert name in {one.provider_id for one in (await reconcile(skipping)).failed_refunds}
    assert (await reversal(skipping, name).result()).amount == 300
    (shown,) = case.refunds.of_order(case.order_id).items
    assert (shown.id, shown.status) == (refund.id, RefundStatus.FAILED)
    assert case.order.event_types()[-1] == "payment.refund_failed"
    assert name not in {one.provider_id for one in (await reconcile(skipping)).failed_refunds}


async def test_an_operators_repair_records_it_as_well(
    paid_by: PaidBy, settings: Settings, connections: Connections
) -> None:
    case = await paid_by()
    await case.refund(300)
    name = case.fails()
    ledger = PaymentFactsReader(connections.engine)
    payment = PaymentListing(settings).payment(case.intent)
    assert payment is not None
    (found,) = compare(case.order_id, ledger.of_orders([case.order_id])[case.order_id], {case.intent: payment})
    assert (found.effect, found.subject, found.repair) == (EntryKind.REFUND_REVERSAL, name, Repair.RECORD_MISSING)
    repair = CatchUp(payment=payment, key="payment-repair-test", actor=STAFF)
    caught_up = ledger.catch_up(repair)
    assert caught_up.recorded == [(EntryKind.REFUND_REVERSAL, 300)]
    assert caught_up.payment_status is PaymentStatus.CAPTURED
    assert ledger.catch_up(repair).recorded == []
    (shown,) = case.refunds.of_order(case.order_id).items
    assert (shown.status, shown.failure_code) == (RefundStatus.FAILED, "expired_or_canceled_card")
    assert case.order.events()[-1].actor == STAFF
