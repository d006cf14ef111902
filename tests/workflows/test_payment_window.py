"""An order whose payment was refused waits for another method, its stock held, and then lets everything go."""

import asyncio
import random
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from temporalio.client import Client, WorkflowUpdateFailedError

from adapters.connections import Connections
from adapters.mysql.orders.vouchers import Vouchers
from adapters.mysql.payments.ledger import Ledger
from domain.ledger import EntryKind
from domain.orders import OrderStatus, PaymentStatus
from schemas.checkout import CheckoutOutcome
from schemas.orders import CancelOrder
from schemas.payments import PaymentOutcome
from tests.workflows.conftest import refusal, skip
from workflows.names import payment_workflow_id
from workflows.orders.checkout import CheckoutWorkflow

DECLINED_CARD, POOR_CARD = "pm_card_chargeDeclined", "pm_card_chargeDeclinedInsufficientFunds"
SECURE_CARD = "pm_card_threeDSecure2Required"
WINDOW = {"payment_retry_seconds": 1800}
GOING_ON = (OrderStatus.CONFIRMED, OrderStatus.PROCESSING)
CANCEL = CancelOrder(actor="customer:test", reason="changed my mind")
SUPERSEDE = CancelOrder(actor="customer:test", reason="superseded", only_waiting=True)
Journal = Callable[[str], list[dict[str, Any]]]


def effects(journal: Journal, order: Any) -> list[str]:
    return [entry["effect"] for entry in journal(order.input.order_id)]


def check_nothing_is_held(order: Any, journal: Journal) -> None:
    done = effects(journal, order)
    assert done.count("authorization") == done.count("void")
    money = order.money()
    assert money[EntryKind.VOID] == money[EntryKind.AUTHORIZATION]
    assert order.reserved() == 0


# --- declined


async def test_after_a_decline_another_card_pays(
    place: Any, make_product: Any, provider_journal: Journal, connections: Connections
) -> None:
    order = await place({make_product(stock=5): 2}, payment_method=POOR_CARD, **WINDOW)
    answer = await order.first_answer()
    assert (answer.outcome, answer.code) == (CheckoutOutcome.DECLINED, "payment_declined")
    assert answer.details["decline_code"] == "insufficient_funds"
    waiting = order.view()
    assert (waiting.status, order.reserved()) == (OrderStatus.AWAITING_PAYMENT, 2)
    assert waiting.retry_until is not None
    assert waiting.retry_until == datetime.fromisoformat(answer.details["retry_until"])

    again = await order.pay(DECLINED_CARD)
    assert (again.outcome, again.code) == (PaymentOutcome.DECLINED, "generic_decline")
    assert again.retry_until == waiting.retry_until, "the time there is does not grow"
    assert (await order.pay()).outcome is PaymentOutcome.SUCCEEDED

    assert order.view().status in GOING_ON
    assert order.view().retry_until is None
    (entry,) = Ledger(connections.engine).entries(order.input.order_id)
    assert entry.idempotency_key == f"{payment_workflow_id(order.input.order_id)}:authorize-3"
    assert (await order.first_answer()) == answer, "the first answer stays what it was"
    view = await order.delivered()
    assert (view.status, view.payment_status) == (OrderStatus.DELIVERED, PaymentStatus.CAPTURED)
    assert effects(provider_journal, order) == ["authorization", "capture"]


async def test_an_order_nobody_pays_is_reminded_of_once_and_then_lets_everything_go(
    place: Any,
    make_product: Any,
    make_voucher: Any,
    skipping: Client,
    connections: Connections,
    provider_journal: Journal,
) -> None:
    code = make_voucher(kind="percent", basis_points=1000, max_uses=1)
    order = await place({make_product(stock=5): 2}, payment_method=DECLINED_CARD, discount_code=code, **WINDOW)
    await order.first_answer()
    assert order.view().voucher_code == code
    assert Vouchers(connections.engine).get(code).uses == 1
    await skip(skipping, timedelta(seconds=870))
    assert "order.payment_reminder" not in order.event_types()
    await skip(skipping, timedelta(seconds=60))
    await until(lambda: order.event_types().count("order.payment_reminder") == 1)
    assert order.view().status is OrderStatus.AWAITING_PAYMENT
    await skip(skipping, timedelta(seconds=900))
    result = await order.handle.result()
    assert (result.status, result.reason) == (OrderStatus.FAILED, "payment_expired")
    assert order.view().failure_code == "payment_expired"
    assert order.event_types().count("order.payment_reminder") == 1
    assert Vouchers(connections.engine).get(code).uses == 0
    check_nothing_is_held(order, provider_journal)
    with pytest.raises(Exception, match=r"completed|not found"):
        await order.pay()


async def test_a_customer_may_cancel_while_the_payment_is_open(
    place: Any, make_product: Any, provider_journal: Journal
) -> None:
    order = await place({make_product(stock=5): 1}, payment_method=DECLINED_CARD, **WINDOW)
    await order.first_answer()
    assert (await order.handle.execute_update(CheckoutWorkflow.cancel, CANCEL)).status is OrderStatus.CANCELLED
    await order.handle.result()
    check_nothing_is_held(order, provider_journal)


async def test_one_attempt_at_a_time(place: Any, make_product: Any, provider_fault: Any) -> None:
    order = await place({make_product(stock=5): 1}, payment_method=DECLINED_CARD, **WINDOW)
    await order.first_answer()
    provider_fault("latency", "create", seconds=1.5)
    attempt = asyncio.create_task(order.pay())
    await asyncio.sleep(0.5)
    for update, wanted in ((CheckoutWorkflow.cancel, SUPERSEDE),):
        with pytest.raises(WorkflowUpdateFailedError) as refused:
            await order.handle.execute_update(update, wanted)
        assert refusal(refused.value) == "payment_in_progress"
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await order.pay()
    assert refusal(refused.value) == "payment_in_progress"
    assert (await attempt).outcome is PaymentOutcome.SUCCEEDED
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await order.handle.execute_update(CheckoutWorkflow.cancel, SUPERSEDE)
    assert refusal(refused.value) in ("not_awaiting_payment", "too_late")
    await order.delivered()


@pytest.mark.parametrize("seconds", [0, 0.02, 0.05, 0.1, 0.3])
async def test_a_method_given_at_the_last_moment_is_either_taken_or_refused(
    place: Any, make_product: Any, skipping: Client, provider_journal: Journal, seconds: float
) -> None:
    order = await place({make_product(stock=5): 1}, payment_method=DECLINED_CARD, payment_retry_seconds=60)
    await order.first_answer()

    async def pay_late() -> object:
        try:
            return (await late(seconds, order.pay)).outcome
        except Exception as error:  # noqa: BLE001 - refused by the order, or by its end
            return error

    answer, _ = await asyncio.gather(pay_late(), skip(skipping, timedelta(seconds=60)))
    if answer is PaymentOutcome.SUCCEEDED:
        assert (await order.delivered()).payment_status is PaymentStatus.CAPTURED
        assert effects(provider_journal, order) == ["authorization", "capture"]
    else:
        assert (await order.handle.result()).reason == "payment_expired"
        check_nothing_is_held(order, provider_journal)


# --- 3-D Secure


async def test_the_order_goes_on_once_the_customer_has_been_to_their_bank(
    place: Any, make_product: Any, authenticate: Any, provider_journal: Journal
) -> None:
    back = "https://shop.example.com/thanks"
    order = await place({make_product(stock=5): 1}, payment_method=SECURE_CARD, payment_return_url=back, **WINDOW)
    assert (await order.first_answer()).outcome is CheckoutOutcome.ACTION_REQUIRED
    view = order.view()
    assert view.status is OrderStatus.AWAITING_PAYMENT
    assert (view.payment_action.type, view.payment_action.expires_at <= view.retry_until) == ("redirect_to_url", True)
    assert view.payment_action.url.endswith(order.intent())
    secret = view.payment_action.client_secret
    assert all(secret not in str(event.data) for event in order.events()), "events are published, secrets are not"

    await order.provider_tells()  # nobody has been to the bank: what a webhook says is not believed
    await asyncio.sleep(0.5)
    assert (order.view().status, effects(provider_journal, order)) == (OrderStatus.AWAITING_PAYMENT, [])
    authenticate(order.intent())
    await order.provider_tells()
    await order.until(*GOING_ON)
    assert order.view().payment_action is None
    assert (await order.delivered()).payment_status is PaymentStatus.CAPTURED
    assert effects(provider_journal, order) == ["authorization", "capture"]


async def test_a_failed_authentication_is_a_decline(
    place: Any, make_product: Any, authenticate: Any, provider_journal: Journal
) -> None:
    order = await place({make_product(stock=5): 1}, payment_method=SECURE_CARD, **WINDOW)
    await order.first_answer()
    authenticate(order.intent(), "failed")
    await order.provider_tells("payment_intent.payment_failed")
    await until(lambda: "payment.declined" in order.event_types())
    await until(lambda: order.view().payment_action is None)
    declined = next(event for event in order.events() if event.type == "payment.declined")
    assert declined.data["code"] == "authentication_failed"
    assert (await order.pay()).outcome is PaymentOutcome.SUCCEEDED
    await order.delivered()
    assert effects(provider_journal, order) == ["authorization", "capture"]


@pytest.mark.parametrize("window", [WINDOW, {"payment_retry_seconds": 0}], ids=["window", "no window"])
async def test_an_authentication_nobody_makes_expires(
    place: Any, make_product: Any, skipping: Client, provider_journal: Journal, window: dict[str, int]
) -> None:
    order = await place({make_product(stock=5): 1}, payment_method=SECURE_CARD, authentication_seconds=300, **window)
    await order.first_answer()
    await skip(skipping, timedelta(seconds=310))
    await until(lambda: "payment.declined" in order.event_types())
    declined = next(event for event in order.events() if event.type == "payment.declined")
    assert declined.data["code"] == "authentication_expired"
    await skip(skipping, timedelta(seconds=1800))
    result = await order.handle.result()
    assert result.reason == ("payment_expired" if window is WINDOW else "payment_declined")
    check_nothing_is_held(order, provider_journal)


async def test_an_authentication_whose_webhook_got_lost_counts_at_the_deadline(
    place: Any, make_product: Any, authenticate: Any, skipping: Client, provider_journal: Journal
) -> None:
    order = await place({make_product(stock=5): 1}, payment_method=SECURE_CARD, **WINDOW)
    await order.first_answer()
    authenticate(order.intent())
    await skip(skipping, timedelta(seconds=910))
    await order.until(*GOING_ON)
    await order.delivered()
    assert effects(provider_journal, order) == ["authorization", "capture"]


@pytest.mark.parametrize("finished", [False, True], ids=["open", "finished"])
async def test_another_card_while_the_bank_waits_never_holds_the_money_twice(
    place: Any, make_product: Any, authenticate: Any, provider_journal: Journal, finished: bool
) -> None:
    order = await place({make_product(stock=5): 1}, payment_method=SECURE_CARD, **WINDOW)
    await order.first_answer()
    if finished:
        authenticate(order.intent())
    assert (await order.pay()).outcome is PaymentOutcome.SUCCEEDED
    await order.delivered()
    assert effects(provider_journal, order) == ["authorization", "capture"]
    keys = {entry["idempotency_key"] for entry in provider_journal(order.input.order_id)}
    assert any(str(key).endswith("authorize-2") for key in keys) != finished


async def test_interleavings_of_bank_customer_and_time_hold_the_money_once_or_not_at_all(
    place: Any, make_product: Any, authenticate: Any, skipping: Client, provider_journal: Journal
) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")  # noqa: T201 - shown when it fails
    dice = random.Random(seed)
    sku = make_product(stock=1000)
    for _ in range(12):
        order = await place({sku: 1}, payment_method=SECURE_CARD, payment_retry_seconds=120)
        await order.first_answer()
        intent = order.intent()

        async def bank(order: Any = order, intent: str = intent) -> None:
            await asyncio.to_thread(authenticate, intent, dice.choice(["succeeded", "failed"]))
            await order.provider_tells()

        async def customer(order: Any = order) -> None:
            await order.pay(dice.choice(["pm_card_visa", DECLINED_CARD, SECURE_CARD]))

        async def other_tab(order: Any = order) -> None:
            await order.handle.execute_update(CheckoutWorkflow.cancel, SUPERSEDE)

        async def time_passes() -> None:
            await skip(skipping, timedelta(seconds=dice.choice([30, 119, 121])))

        deeds = [bank, customer, other_tab, time_passes]
        dice.shuffle(deeds)
        await asyncio.gather(*(late(dice.random() / 5, deed) for deed in deeds), return_exceptions=True)
        await skip(skipping, timedelta(seconds=200))
        await order.until(*GOING_ON, OrderStatus.FAILED, OrderStatus.CANCELLED)
        if order.view().status in GOING_ON:
            await order.delivered()
        await order.handle.result()
        done = effects(provider_journal, order)
        held = most = 0
        for effect in done:
            held += {"authorization": 1, "void": -1, "capture": -1}[effect]
            most = max(most, held)
        assert (held, most <= 1) == (0, True), done
        assert (order.view().status is OrderStatus.DELIVERED) == ("capture" in done)
        money = order.money()
        assert money[EntryKind.AUTHORIZATION] == money[EntryKind.CAPTURE] + money[EntryKind.VOID]


# --- what costs nothing, and what costs more than agreed


async def test_an_order_that_costs_nothing_asks_no_bank(
    place: Any, make_product: Any, make_voucher: Any, provider_journal: Journal
) -> None:
    code = make_voucher(kind="free_shipping")
    order = await place({make_product(stock=5, price=0): 1}, payment_method=DECLINED_CARD, discount_code=code)
    assert (await order.first_answer()).outcome is CheckoutOutcome.AUTHORIZED
    view = await order.delivered()
    assert (view.total.amount, view.payment_status) == (0, PaymentStatus.CAPTURED)
    assert view.discount == view.shipping
    assert effects(provider_journal, order) == []


async def test_more_than_the_customer_has_agreed_to_is_never_asked_for(place: Any, make_product: Any) -> None:
    order = await place({make_product(stock=5, price=1000): 1}, approved_total=1000)
    answer = await order.first_answer()
    assert (answer.outcome, answer.code) == (CheckoutOutcome.REFUSED, "quote_changed")
    assert not order.recorded()
    await order.handle.result()


async def test_the_last_use_of_a_voucher_goes_to_one_order_and_comes_back_when_that_fails(
    place: Any, make_product: Any, make_voucher: Any, connections: Connections
) -> None:
    code = make_voucher(kind="percent", basis_points=5000, max_uses=1)
    sku = make_product(stock=5, price=1000)
    first = await place({sku: 1}, discount_code=code, payment_method=DECLINED_CARD, **WINDOW)
    await first.first_answer()
    assert first.events()[0].data["discount"] == {"amount": 500, "currency": "EUR"}
    second = await place({sku: 1}, discount_code=code, payment_method=DECLINED_CARD, **WINDOW)
    answer = await second.first_answer()
    assert (answer.outcome, answer.code) == (CheckoutOutcome.REFUSED, "voucher_used_up")
    assert (second.recorded(), first.reserved()) == (False, 1)
    await first.handle.execute_update(CheckoutWorkflow.cancel, CANCEL)
    assert Vouchers(connections.engine).get(code).uses == 0
    third = await place({sku: 1}, discount_code=code)
    assert (await third.first_answer()).outcome is CheckoutOutcome.AUTHORIZED
    await third.delivered()
    assert Vouchers(connections.engine).get(code).uses == 1


async def until(look: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not await asyncio.to_thread(look):
            await asyncio.sleep(0.05)


async def late(seconds: float, deed: Callable[[], Any]) -> Any:
    """An update is lost, and never answered, when the test server refuses the workflow task that has it because a timer
    fired meanwhile which the task cancels; a real server has the task done again. Its caller goes away, as people do.
    """
    await asyncio.sleep(seconds)
    async with asyncio.timeout(30):
        return await deed()
