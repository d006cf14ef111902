"""A bank that takes its time over a payment is waited for and asked again, less and less often."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TypeAlias

import pytest
from temporalio.client import Client

from domain.orders import OrderStatus, PaymentStatus
from schemas.checkout import CheckoutOutcome
from schemas.provider_calls import PaymentOutcome
from tests.fixture_types import MakeProduct
from tests.workflows.orders import Order, Place
from tests.workflows.provider import BankActs, Journal, effects
from tests.workflows.time_skipping import skip
from tests.workflows.waiting import until

SLOW_CARD, SLOW_POOR_CARD = "pm_card_slowBank", "pm_card_slowBankDeclines"
WINDOW = {"payment_retry_seconds": 3600, "authentication_seconds": 300}
GOING_ON = (OrderStatus.CONFIRMED, OrderStatus.PROCESSING)


async def times_asked(order: Order) -> int:
    """How often the provider was asked to cancel the payment, or for its status."""
    kinds = ("abandon_payment", "retrieve_payment")
    events = (await order.payment.fetch_history()).events
    return sum(one.activity_task_scheduled_event_attributes.activity_type.name in kinds for one in events)


# An order whose bank has yet to decide about this card.
Undecided: TypeAlias = Callable[[str], Awaitable[Order]]


@pytest.fixture
def undecided(place: Place, make_product: MakeProduct) -> Undecided:
    async def placed(card: str) -> Order:
        order = await place({make_product(stock=5): 1}, payment_method=card, **WINDOW)
        assert (await order.first_answer()).outcome is CheckoutOutcome.ACTION_REQUIRED
        action = order.action()
        assert (action.type, action.url) == ("processing", None)
        return order

    return placed


@pytest.mark.parametrize("may_retry", [True, False], ids=["window", "no window"])
async def test_it_is_asked_again_less_and_less_often_and_its_yes_counts(
    undecided: Undecided,
    place: Place,
    make_product: MakeProduct,
    skipping: Client,
    bank_acts: BankActs,
    provider_journal: Journal,
    may_retry: bool,
) -> None:
    if may_retry:
        order = await undecided(SLOW_CARD)
    else:
        terms = WINDOW | {"payment_retry_seconds": 0}
        order = await place({make_product(stock=5): 1}, payment_method=SLOW_CARD, **terms)
        assert (await order.first_answer()).outcome is CheckoutOutcome.ACTION_REQUIRED
    intent = order.intent()
    await skip(skipping, timedelta(minutes=25))
    assert 4 <= await times_asked(order) <= 10
    assert (order.view().status, order.reserved()) == (OrderStatus.AWAITING_PAYMENT, 1)
    bank_acts(intent)
    await skip(skipping, timedelta(minutes=25))
    await order.until(*GOING_ON)
    assert (await order.delivered()).payment_status is PaymentStatus.CAPTURED
    assert effects(provider_journal, order.id) == ["authorization", "capture"]


async def test_its_no_is_a_decline_after_which_another_card_pays(
    undecided: Undecided, skipping: Client, bank_acts: BankActs, provider_journal: Journal
) -> None:
    order = await undecided(SLOW_POOR_CARD)
    bank_acts(order.intent())
    await order.provider_event("payment_intent.payment_failed")
    await until(lambda: order.view().payment_action is None)
    assert (await order.pay()).outcome is PaymentOutcome.SUCCEEDED
    await order.delivered()
    assert effects(provider_journal, order.id) == ["authorization", "capture"]


async def test_another_card_meanwhile_would_pay_twice_and_is_refused(
    undecided: Undecided, skipping: Client, bank_acts: BankActs, provider_journal: Journal
) -> None:
    order = await undecided(SLOW_CARD)
    intent = order.intent()
    refused = await order.pay()
    assert (refused.outcome, refused.code) == (PaymentOutcome.DECLINED, "payment_processing")
    assert effects(provider_journal, order.id) == []
    bank_acts(intent)
    await skip(skipping, timedelta(minutes=6))
    await order.until(*GOING_ON)
    await order.delivered()
    assert effects(provider_journal, order.id) == ["authorization", "capture"]


async def test_an_order_whose_time_is_over_does_not_wait_for_it(
    undecided: Undecided, skipping: Client, provider_journal: Journal
) -> None:
    order = await undecided(SLOW_CARD)
    await skip(skipping, timedelta(minutes=61))
    result = await order.handle.result()
    assert (result.status, result.reason) == (OrderStatus.FAILED, "payment_expired")
    assert (order.reserved(), effects(provider_journal, order.id)) == (0, [])
