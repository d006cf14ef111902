"""Money is refunded once, never more than was captured, whoever asks and whatever the provider answers."""

from datetime import timedelta
from typing import Protocol

import pytest
import sqlalchemy as sa
from temporalio.client import Client

from adapters.connections import Connections
from adapters.mysql.payments.ledger import Ledger
from adapters.mysql.payments.refunds import Refunds
from adapters.mysql.tables.payments import ledger_postings
from adapters.payments.client import stripe_client
from domain.ledger import EntryKind
from domain.orders import PaymentStatus
from schemas.orders import OrderView
from schemas.provider_events import ProviderEvent
from schemas.refunds import RefundAnswer, RefundStatus
from tests.fixture_types import MakeProduct
from tests.workflows import refunds
from tests.workflows.orders import Order, Place
from tests.workflows.provider import BankActs, Journal, MakeFault
from tests.workflows.refunds import STAFF, made, refunds_at_provider, refused, start_refund
from tests.workflows.time_skipping import skip
from tests.workflows.waiting import until
from workflows.payments.refunds import RefundWorkflow


class MakeRefund(Protocol):
    """All that is left where no amount is named."""

    async def __call__(self, order: OrderView, amount: int | None = None, currency: str = "EUR") -> RefundAnswer: ...


@pytest.fixture
def refund(skipping: Client) -> MakeRefund:
    async def start(order: OrderView, amount: int | None = None, currency: str = "EUR") -> RefundAnswer:
        return await refunds.refund(skipping, order.id, amount, currency)

    return start


@pytest.fixture
async def paid(place: Place, make_product: MakeProduct) -> Order:
    return await place({make_product(): 1})


def refunded(journal: Journal, order_id: str) -> list[int]:
    return [entry["amount"] for entry in journal(order_id) if entry["effect"] == "refund"]


async def test_all_of_it(paid: Order, refund: MakeRefund, provider_journal: Journal, connections: Connections) -> None:
    order = await paid.delivered()
    answer = await refund(order)
    assert made(answer).status is RefundStatus.SUCCEEDED
    assert made(answer).amount == order.total
    assert refunded(provider_journal, order.id) == [order.total.amount]
    view = paid.view()
    assert view.payment_status is PaymentStatus.REFUNDED
    assert view.payment.refunded == order.total
    event = paid.events()[-1]
    assert (event.type, event.actor, event.data["reason"]) == ("payment.refunded", STAFF, "arrived with a scratch")
    assert Refunds(connections.engine).of_order(order.id).refundable.amount == 0
    assert sum(Ledger(connections.engine).balances(order.id).values()) == 0


async def test_part_by_part_and_never_more(paid: Order, refund: MakeRefund, provider_journal: Journal) -> None:
    order = await paid.delivered()
    total = order.total.amount
    assert made(await refund(order, 100)).status is RefundStatus.SUCCEEDED
    assert paid.view().payment_status is PaymentStatus.PARTIALLY_REFUNDED
    too_much = await refund(order, total - 99)
    assert refused(too_much) == ("refund_exceeds_captured", total - 100)
    assert (await refund(order, total - 100)).refund is not None
    nothing_left = await refund(order)
    assert refused(nothing_left) == ("refund_exceeds_captured", 0)
    assert refunded(provider_journal, order.id) == [100, total - 100]
    assert paid.money()[EntryKind.REFUND] == total


async def test_in_another_currency_than_it_was_paid_in(paid: Order, refund: MakeRefund) -> None:
    answer = await refund(await paid.delivered(), 100, currency="USD")
    assert (answer.code, answer.message) == ("refund_exceeds_captured", "The order was paid in EUR.")


async def test_of_money_that_is_only_authorized(paid: Order, refund: MakeRefund, provider_journal: Journal) -> None:
    await paid.first_answer()
    answer = await refund(paid.view())
    assert refused(answer) == ("refund_exceeds_captured", 0)
    await paid.delivered()
    assert refunded(provider_journal, paid.id) == []


@pytest.mark.parametrize("kind", ["500", "error_after", "timeout_after", "fail_before", "429"])
async def test_once_whatever_the_provider_answers(
    kind: str, paid: Order, refund: MakeRefund, provider_fault: MakeFault, provider_journal: Journal
) -> None:
    order = await paid.delivered()
    # What was done under a failure that the provider stored is found there, and not sent again.
    fault = provider_fault(kind, "refund", times=1 if kind == "error_after" else 2, seconds=0.1)
    assert made(await refund(order, 500)).status is RefundStatus.SUCCEEDED
    assert fault.struck()
    assert refunded(provider_journal, order.id) == [500]
    assert paid.money()[EntryKind.REFUND] == 500


async def test_a_refund_that_the_provider_refuses_leaves_its_amount_refundable(
    paid: Order, refund: MakeRefund, connections: Connections
) -> None:
    """Somebody has refunded it at the provider's own dashboard."""
    order = await paid.delivered()
    intent = Ledger(connections.engine).entries(order.id)[0].provider_id
    client = stripe_client(connections.settings)
    client.v1.refunds.create({"payment_intent": intent})
    answer = await refund(order, 300)
    assert (made(answer).status, made(answer).failure_code) == (RefundStatus.FAILED, "charge_already_refunded")
    assert paid.view().payment_status is PaymentStatus.CAPTURED
    assert Refunds(connections.engine).of_order(order.id).refundable == order.total


@pytest.mark.parametrize(
    ("event_sent", "status"),
    [
        (True, RefundStatus.SUCCEEDED),
        (False, RefundStatus.SUCCEEDED),
        (True, RefundStatus.FAILED),
    ],
    ids=["the provider sends an event", "no event: it is asked", "refused in the end"],
)
async def test_a_bank_that_takes_its_time_is_waited_for(
    *,
    place: Place,
    make_product: MakeProduct,
    skipping: Client,
    provider_journal: Journal,
    connections: Connections,
    bank_acts: BankActs,
    event_sent: bool,
    status: RefundStatus,
) -> None:
    paid = await place({make_product(): 1}, payment_method="pm_card_pendingRefund")
    order = await paid.delivered()
    handle = await start_refund(skipping, order.id, 300)
    await until(lambda: refunds_at_provider(connections.settings, order.id))
    (at_provider,) = refunds_at_provider(connections.settings, order.id)
    listed = Refunds(connections.engine).of_order(order.id)
    assert [one.status for one in listed.items] == [RefundStatus.PENDING]
    assert listed.refundable.amount == order.total.amount - 300, "promised to nobody else, and not recorded"
    assert (paid.view().payment.refunded.amount, refunded(provider_journal, order.id)) == (0, [])

    bank_acts(at_provider, fails=status is RefundStatus.FAILED, webhook=False)
    if event_sent:
        event = ProviderEvent(event_id="evt_1", type="refund.updated", provider_id=at_provider)
        await handle.signal(RefundWorkflow.provider_event, event)
    else:
        await skip(skipping, timedelta(minutes=2))
    answer = await handle.result()
    assert answer.refund is not None
    assert answer.refund.status is status
    moved = 300 if status is RefundStatus.SUCCEEDED else 0
    assert paid.view().payment.refunded.amount == sum(refunded(provider_journal, order.id)) == moved
    assert Refunds(connections.engine).of_order(order.id).refundable.amount == order.total.amount - moved


def test_no_entry_of_the_whole_ledger_is_out_of_balance(connections: Connections) -> None:
    posted = ledger_postings.c
    query = sa.select(posted.entry_id).group_by(posted.entry_id).having(sa.func.sum(posted.amount) != 0)
    with connections.engine.connect() as connection:
        assert connection.execute(query).all() == []
