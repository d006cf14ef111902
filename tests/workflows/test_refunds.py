"""Money is given back once, never more than was taken, whoever asks and whatever the provider answers."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
import stripe
import uuid_utils
from temporalio.client import Client

from adapters.connections import Connections
from adapters.mysql.payments.ledger import Ledger
from adapters.mysql.payments.refunds import Refunds
from adapters.mysql.tables.payments import ledger_postings
from dev.testbed import Testbed
from domain.ledger import EntryKind
from domain.orders import PaymentStatus
from schemas.orders import OrderView
from schemas.provider_events import ProviderEvent
from schemas.refunds import RefundAnswer, RefundInput, RefundStatus
from tests.workflows.conftest import skip
from workflows.names import PAYMENTS_QUEUE, refund_workflow_id
from workflows.payments.refunds import RefundWorkflow

Journal = Callable[[str], list[dict[str, Any]]]
STAFF = "staff:1:support"


@pytest.fixture
def refund(skipping: Client) -> Callable[..., Any]:
    async def give_back(
        order: OrderView, amount: int | None = None, currency: str = "EUR", refund_id: str | None = None
    ) -> RefundAnswer:
        wanted = RefundInput(
            refund_id=refund_id or str(uuid_utils.uuid7()),
            order_id=order.id,
            amount=amount,
            currency=currency,
            reason="arrived with a scratch",
            actor=STAFF,
        )
        return await skipping.execute_workflow(
            RefundWorkflow.run, wanted, id=refund_workflow_id(wanted.refund_id), task_queue=PAYMENTS_QUEUE
        )

    return give_back


@pytest.fixture
async def paid(place: Any, make_product: Any) -> Any:
    """An order that was delivered and paid for."""
    return await place({make_product(): 1})


@pytest.fixture
def provider_refunds(bed: Testbed) -> Callable[[str], list[str]]:
    """What the provider calls the refunds of an order."""
    base = {"api": bed.settings.stripe_api_base.rstrip("/")}
    client = stripe.StripeClient(bed.settings.stripe_api_key.get_secret_value(), base_addresses=base)

    def read(order_id: str) -> list[str]:
        listed = client.v1.refunds.list({"limit": 100})
        return [one.id for one in listed if (one.to_dict().get("metadata") or {}).get("order_id") == order_id]

    return read


async def until(look: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not await asyncio.to_thread(look):
            await asyncio.sleep(0.05)


def given_back(journal: Journal, order_id: str) -> list[int]:
    return [entry["amount"] for entry in journal(order_id) if entry["effect"] == "refund"]


async def test_all_of_it(paid: Any, refund: Any, provider_journal: Journal, connections: Connections) -> None:
    order = await paid.delivered()
    answer = await refund(order)
    assert answer.refund.status is RefundStatus.SUCCEEDED
    assert answer.refund.amount == order.total
    assert given_back(provider_journal, order.id) == [order.total.amount]
    view = paid.view()
    assert view.payment_status is PaymentStatus.REFUNDED
    assert view.payment.refunded == order.total
    told = paid.events()[-1]
    assert (told.type, told.actor, told.data["reason"]) == ("payment.refunded", STAFF, "arrived with a scratch")
    assert Refunds(connections.engine).of_order(order.id).refundable.amount == 0
    assert sum(Ledger(connections.engine).balances(order.id).values()) == 0


async def test_part_by_part_and_never_more(paid: Any, refund: Any, provider_journal: Journal) -> None:
    order = await paid.delivered()
    total = order.total.amount
    assert (await refund(order, 100)).refund.status is RefundStatus.SUCCEEDED
    assert paid.view().payment_status is PaymentStatus.PARTIALLY_REFUNDED
    too_much = await refund(order, total - 99)
    assert (too_much.code, too_much.refundable.amount) == ("refund_exceeds_captured", total - 100)
    assert (await refund(order, total - 100)).refund is not None
    nothing_left = await refund(order)
    assert (nothing_left.code, nothing_left.refundable.amount) == ("refund_exceeds_captured", 0)
    assert given_back(provider_journal, order.id) == [100, total - 100]
    assert paid.money()[EntryKind.REFUND] == total


async def test_in_another_currency_than_it_was_paid_in(paid: Any, refund: Any) -> None:
    answer = await refund(await paid.delivered(), 100, currency="USD")
    assert (answer.code, answer.message) == ("refund_exceeds_captured", "The order was paid in EUR.")


async def test_of_money_that_is_only_held(paid: Any, refund: Any, provider_journal: Journal) -> None:
    await paid.first_answer()
    answer = await refund(paid.view())
    assert (answer.code, answer.refundable.amount) == ("refund_exceeds_captured", 0)
    await paid.delivered()
    assert given_back(provider_journal, paid.input.order_id) == []


@pytest.mark.parametrize("kind", ["500", "error_after", "timeout_after", "fail_before", "429"])
async def test_once_whatever_the_provider_answers(
    kind: str, paid: Any, refund: Any, provider_fault: Any, provider_journal: Journal
) -> None:
    order = await paid.delivered()
    # What a kept failure has done is found when the provider is asked, and not sent again.
    struck = provider_fault(kind, "refund", times=1 if kind == "error_after" else 2, seconds=0.1)
    assert (await refund(order, 500)).refund.status is RefundStatus.SUCCEEDED
    assert struck()
    assert given_back(provider_journal, order.id) == [500]
    assert paid.money()[EntryKind.REFUND] == 500


async def test_what_the_provider_refuses_is_promised_no_more(
    paid: Any, refund: Any, bed: Testbed, connections: Connections
) -> None:
    """Somebody has given it back at the provider's own dashboard."""
    order = await paid.delivered()
    intent = Ledger(connections.engine).entries(order.id)[0].provider_id
    client = stripe.StripeClient(
        bed.settings.stripe_api_key.get_secret_value(), base_addresses={"api": bed.settings.stripe_api_base.rstrip("/")}
    )
    client.v1.refunds.create({"payment_intent": intent})
    answer = await refund(order, 300)
    assert (answer.refund.status, answer.refund.failure_code) == (RefundStatus.FAILED, "charge_already_refunded")
    assert paid.view().payment_status is PaymentStatus.CAPTURED
    assert Refunds(connections.engine).of_order(order.id).refundable == order.total


@pytest.mark.parametrize(
    ("told", "status"),
    [
        (True, RefundStatus.SUCCEEDED),
        (False, RefundStatus.SUCCEEDED),
        (True, RefundStatus.FAILED),
    ],
    ids=["the provider tells", "nobody tells: it is asked", "refused in the end"],
)
async def test_a_bank_that_takes_its_time_is_waited_for(
    *,
    place: Any,
    make_product: Any,
    skipping: Client,
    provider_journal: Journal,
    connections: Connections,
    bank_acts: Any,
    provider_refunds: Any,
    told: bool,
    status: RefundStatus,
) -> None:
    paid = await place({make_product(): 1}, payment_method="pm_card_pendingRefund")
    order = await paid.delivered()
    refund_id = str(uuid_utils.uuid7())
    wanted = RefundInput(refund_id=refund_id, order_id=order.id, amount=300, reason="scratch", actor=STAFF)
    handle = await skipping.start_workflow(
        RefundWorkflow.run, wanted, id=refund_workflow_id(refund_id), task_queue=PAYMENTS_QUEUE
    )
    await until(lambda: provider_refunds(order.id))
    (at_provider,) = provider_refunds(order.id)
    listed = Refunds(connections.engine).of_order(order.id)
    assert [one.status for one in listed.items] == [RefundStatus.PENDING]
    assert listed.refundable.amount == order.total.amount - 300, "promised to nobody else, and not booked"
    assert (paid.view().payment.refunded.amount, given_back(provider_journal, order.id)) == (0, [])

    bank_acts(at_provider, fails=status is RefundStatus.FAILED, send_webhook=False)
    if told:
        news = ProviderEvent(event_id="evt_1", type="refund.updated", provider_id=at_provider)
        await handle.signal(RefundWorkflow.provider_event, news)
    else:
        await skip(skipping, timedelta(minutes=2))
    answer = await handle.result()
    assert answer.refund is not None
    assert answer.refund.status is status
    moved = 300 if status is RefundStatus.SUCCEEDED else 0
    assert paid.view().payment.refunded.amount == sum(given_back(provider_journal, order.id)) == moved
    assert Refunds(connections.engine).of_order(order.id).refundable.amount == order.total.amount - moved


def test_no_entry_of_the_whole_ledger_is_out_of_balance(connections: Connections) -> None:
    posted = ledger_postings.c
    query = sa.select(posted.entry_id).group_by(posted.entry_id).having(sa.func.sum(posted.amount) != 0)
    with connections.engine.connect() as connection:
        assert connection.execute(query).all() == []
