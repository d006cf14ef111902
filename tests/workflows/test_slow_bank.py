"""A bank that takes its time over a payment is waited for and asked again, ever more seldom."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from temporalio.client import Client

from domain.orders import OrderStatus, PaymentStatus
from schemas.checkout import CheckoutOutcome
from schemas.payments import PaymentOutcome
from tests.workflows.conftest import skip
from workflows.names import payment_workflow_id

SLOW_CARD, SLOW_POOR_CARD = "pm_card_slowBank", "pm_card_slowBankDeclines"
WINDOW = {"payment_retry_seconds": 3600, "authentication_seconds": 300}
GOING_ON = (OrderStatus.CONFIRMED, OrderStatus.PROCESSING)
Journal = Callable[[str], list[dict[str, Any]]]


def effects(journal: Journal, order: Any) -> list[str]:
    return [entry["effect"] for entry in journal(order.input.order_id)]


async def asked_so_far(order: Any) -> int:
    """How often the provider was asked to give the payment up, or how it stands."""
    payment = order.client.get_workflow_handle(payment_workflow_id(order.input.order_id))
    kinds = ("abandon_payment", "retrieve_payment")
    events = (await payment.fetch_history()).events
    return sum(one.activity_task_scheduled_event_attributes.activity_type.name in kinds for one in events)


@pytest.fixture
async def undecided(place: Any, make_product: Any) -> Any:
    async def placed(card: str) -> Any:
        order = await place({make_product(stock=5): 1}, payment_method=card, **WINDOW)
        assert (await order.first_answer()).outcome is CheckoutOutcome.ACTION_REQUIRED
        action = order.view().payment_action
        assert (action.type, action.url) == ("processing", None)
        return order

    return placed


@pytest.mark.parametrize("may_retry", [True, False], ids=["window", "no window"])
async def test_it_is_asked_again_ever_more_seldom_and_its_yes_counts(
    undecided: Any,
    place: Any,
    make_product: Any,
    skipping: Client,
    bank_acts: Any,
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
    assert 4 <= await asked_so_far(order) <= 10
    assert (order.view().status, order.reserved()) == (OrderStatus.AWAITING_PAYMENT, 1)
    bank_acts(intent)
    await skip(skipping, timedelta(minutes=25))
    await order.until(*GOING_ON)
    assert (await order.delivered()).payment_status is PaymentStatus.CAPTURED
    assert effects(provider_journal, order) == ["authorization", "capture"]


async def test_its_no_is_a_decline_after_which_another_card_pays(
    undecided: Any, skipping: Client, bank_acts: Any, provider_journal: Journal
) -> None:
    order = await undecided(SLOW_POOR_CARD)
    bank_acts(order.intent())
    await order.provider_tells("payment_intent.payment_failed")
    while order.view().payment_action is not None:
        await asyncio.sleep(0.05)
    assert (await order.pay()).outcome is PaymentOutcome.SUCCEEDED
    await order.delivered()
    assert effects(provider_journal, order) == ["authorization", "capture"]


async def test_another_card_meanwhile_would_pay_twice_and_is_refused(
    undecided: Any, skipping: Client, bank_acts: Any, provider_journal: Journal
) -> None:
    order = await undecided(SLOW_CARD)
    intent = order.intent()
    refused = await order.pay()
    assert (refused.outcome, refused.code) == (PaymentOutcome.DECLINED, "payment_processing")
    assert effects(provider_journal, order) == []
    bank_acts(intent)
    await skip(skipping, timedelta(minutes=6))
    await order.until(*GOING_ON)
    await order.delivered()
    assert effects(provider_journal, order) == ["authorization", "capture"]


async def test_an_order_whose_time_is_over_does_not_wait_for_it(
    undecided: Any, skipping: Client, provider_journal: Journal
) -> None:
    order = await undecided(SLOW_CARD)
    await skip(skipping, timedelta(minutes=61))
    result = await order.handle.result()
    assert (result.status, result.reason) == (OrderStatus.FAILED, "payment_expired")
    assert (order.reserved(), effects(provider_journal, order)) == (0, [])
