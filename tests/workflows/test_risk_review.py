"""Orders that look risky wait, with their stock and their money, until somebody decides or time is over."""

from datetime import timedelta

import pytest
from temporalio.client import Client, WorkflowUpdateFailedError

from domain.ledger import EntryKind
from domain.orders import OrderStatus
from schemas.checkout import CheckoutOutcome
from schemas.order_requests import CancelOrder
from schemas.risk import Review, ReviewRules, Verdict
from tests.fixture_types import MakeProduct
from tests.workflows.orders import Order, Place, refusal
from tests.workflows.provider import Journal, effects
from tests.workflows.time_skipping import skip
from workflows.orders.checkout import CheckoutWorkflow

RISKY = "pm_card_riskLevelElevated"
APPROVE = Review(verdict=Verdict.APPROVE, reason="a regular", actor="staff:test")
DECLINE = Review(verdict=Verdict.DECLINE, reason="stolen", actor="staff:test")


async def on_hold(order: Order) -> Order:
    answer = await order.first_answer()
    assert (answer.outcome, order.view().status) == (CheckoutOutcome.ON_HOLD, OrderStatus.ON_HOLD)
    assert order.money()[EntryKind.AUTHORIZATION] == order.view().total.amount
    assert order.reserved() == 1
    return order


async def decide(order: Order, review: Review) -> CheckoutOutcome:
    return CheckoutOutcome((await order.handle.execute_update(CheckoutWorkflow.review, review)).outcome)


async def test_approved_by_staff_it_goes_on(place: Place, make_product: MakeProduct) -> None:
    order = await on_hold(await place({make_product(stock=5): 1}, payment_method=RISKY))
    assert await decide(order, APPROVE) is CheckoutOutcome.AUTHORIZED
    assert (await order.delivered()).status is OrderStatus.DELIVERED
    passed = next(event for event in order.events() if event.type == "order.review_passed")
    assert passed.actor == "staff:test"
    assert "regular" not in str(order.events())  # what colleagues write to each other is not for the customer


async def test_declined_by_staff_nothing_is_reserved_and_nothing_captured(
    place: Place, make_product: MakeProduct, provider_journal: Journal
) -> None:
    order = await on_hold(await place({make_product(stock=5): 1}, payment_method=RISKY))
    assert await decide(order, DECLINE) is CheckoutOutcome.REFUSED
    result = await order.handle.result()
    assert (result.status, result.reason) == (OrderStatus.FAILED, "risk_declined")
    assert effects(provider_journal, order.id) == ["authorization", "void"]
    assert order.reserved() == 0
    assert "stolen" not in str(order.events())


@pytest.mark.parametrize("otherwise", [Verdict.APPROVE, Verdict.DECLINE])
async def test_nobody_decides_in_time(
    place: Place, make_product: MakeProduct, skipping: Client, otherwise: Verdict
) -> None:
    rules = ReviewRules(total_from=1, seconds=6 * 3600, otherwise=otherwise)
    order = await on_hold(await place({make_product(stock=5): 1}, review=rules))
    await skip(skipping, timedelta(hours=7))
    if otherwise is Verdict.DECLINE:
        assert (await order.handle.result()).reason == "risk_declined"
        assert order.money()[EntryKind.VOID] == order.money()[EntryKind.AUTHORIZATION]
    else:
        await order.until(OrderStatus.CONFIRMED, OrderStatus.PROCESSING)
        assert (await order.delivered()).status is OrderStatus.DELIVERED


async def test_an_order_below_the_total_is_not_put_on_hold(place: Place, make_product: MakeProduct) -> None:
    order = await place({make_product(stock=5, price=1000): 1}, review=ReviewRules(total_from=1_000_000))
    assert (await order.first_answer()).outcome is CheckoutOutcome.AUTHORIZED
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await decide(order, DECLINE)
    assert refusal(refused.value) == "not_in_review"
    assert (await order.delivered()).status is OrderStatus.DELIVERED


async def test_the_customer_may_cancel_while_it_is_on_hold_and_then_nobody_decides(
    place: Place, make_product: MakeProduct
) -> None:
    order = await on_hold(await place({make_product(stock=5): 1}, payment_method=RISKY))
    await order.cancel(CancelOrder(actor="customer:test", reason="too slow"))
    assert (await order.handle.result()).status is OrderStatus.CANCELLED
    assert order.money()[EntryKind.VOID] == order.money()[EntryKind.AUTHORIZATION]


async def test_another_method_that_is_risky_is_put_on_hold_too(place: Place, make_product: MakeProduct) -> None:
    order = await place({make_product(stock=5): 1}, payment_method="pm_card_chargeDeclined", payment_retry_seconds=3600)
    assert (await order.first_answer()).outcome is CheckoutOutcome.DECLINED
    await order.pay(RISKY)
    assert order.view().status is OrderStatus.ON_HOLD
    assert await decide(order, APPROVE) is CheckoutOutcome.AUTHORIZED
    assert (await order.delivered()).status is OrderStatus.DELIVERED
