"""Orders that look risky wait, with their stock and their money, until somebody or the clock decides."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from temporalio.client import WorkflowUpdateFailedError

from domain.ledger import EntryKind
from domain.orders import OrderStatus
from schemas.checkout import CheckoutOutcome
from schemas.orders import CancelOrder
from schemas.risk import Review, ReviewRules, Verdict
from tests.workflows.conftest import Order, skip
from workflows.orders.checkout import CheckoutWorkflow

RISKY = "pm_card_riskLevelElevated"
APPROVE = Review(verdict=Verdict.APPROVE, reason="a regular", actor="staff:test")
DECLINE = Review(verdict=Verdict.DECLINE, reason="stolen", actor="staff:test")
Journal = Callable[[str], list[dict[str, Any]]]


async def held(order: Order) -> Order:
    answer = await order.first_answer()
    assert (answer.outcome, order.view().status) == (CheckoutOutcome.ON_HOLD, OrderStatus.ON_HOLD)
    assert order.money()[EntryKind.AUTHORIZATION] == order.view().total.amount
    assert order.reserved() == 1
    return order


async def decide(order: Order, review: Review) -> CheckoutOutcome:
    return (await order.handle.execute_update(CheckoutWorkflow.review, review)).outcome


async def test_approved_by_staff_it_goes_on(place: Any, make_product: Any) -> None:
    order = await held(await place({make_product(stock=5): 1}, payment_method=RISKY))
    assert await decide(order, APPROVE) is CheckoutOutcome.AUTHORIZED
    assert (await order.delivered()).status is OrderStatus.DELIVERED
    passed = next(event for event in order.events() if event.type == "order.review_passed")
    assert passed.actor == "staff:test"
    assert "regular" not in str(order.events())  # what colleagues tell each other is not for the customer


async def test_declined_by_staff_nothing_is_held_and_nothing_taken(
    place: Any, make_product: Any, provider_journal: Journal
) -> None:
    order = await held(await place({make_product(stock=5): 1}, payment_method=RISKY))
    assert await decide(order, DECLINE) is CheckoutOutcome.REFUSED
    result = await order.handle.result()
    assert (result.status, result.reason) == (OrderStatus.FAILED, "risk_declined")
    assert [one["effect"] for one in provider_journal(order.input.order_id)] == ["authorization", "void"]
    assert order.reserved() == 0
    assert "stolen" not in str(order.events())


@pytest.mark.parametrize("otherwise", [Verdict.APPROVE, Verdict.DECLINE])
async def test_nobody_decides_in_time(place: Any, make_product: Any, skipping: Any, otherwise: Verdict) -> None:
    rules = ReviewRules(total_from=1, seconds=6 * 3600, otherwise=otherwise)
    order = await held(await place({make_product(stock=5): 1}, review=rules))
    await skip(skipping, timedelta(hours=7))
    if otherwise is Verdict.DECLINE:
        assert (await order.handle.result()).reason == "risk_declined"
        assert order.money()[EntryKind.VOID] == order.money()[EntryKind.AUTHORIZATION]
    else:
        await order.until(OrderStatus.CONFIRMED, OrderStatus.PROCESSING)
        assert (await order.delivered()).status is OrderStatus.DELIVERED


async def test_an_order_below_the_total_is_not_held(place: Any, make_product: Any) -> None:
    order = await place({make_product(stock=5, price=1000): 1}, review=ReviewRules(total_from=1_000_000))
    assert (await order.first_answer()).outcome is CheckoutOutcome.AUTHORIZED
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await decide(order, DECLINE)
    assert getattr(refused.value.cause, "type", None) == "not_in_review"
    assert (await order.delivered()).status is OrderStatus.DELIVERED


async def test_the_customer_may_cancel_while_it_is_held_and_then_nobody_decides(place: Any, make_product: Any) -> None:
    order = await held(await place({make_product(stock=5): 1}, payment_method=RISKY))
    await order.handle.execute_update(CheckoutWorkflow.cancel, CancelOrder(actor="customer:test", reason="too slow"))
    assert (await order.handle.result()).status is OrderStatus.CANCELLED
    assert order.money()[EntryKind.VOID] == order.money()[EntryKind.AUTHORIZATION]


async def test_another_method_that_is_risky_is_held_too(place: Any, make_product: Any) -> None:
    order = await place({make_product(stock=5): 1}, payment_method="pm_card_chargeDeclined", payment_retry_seconds=3600)
    assert (await order.first_answer()).outcome is CheckoutOutcome.DECLINED
    await order.pay(RISKY)
    assert order.view().status is OrderStatus.ON_HOLD
    assert await decide(order, APPROVE) is CheckoutOutcome.AUTHORIZED
    assert (await order.delivered()).status is OrderStatus.DELIVERED
