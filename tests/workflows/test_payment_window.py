"""An order whose payment was refused waits for another method, its stock reserved, and then releases everything."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import pytest
from temporalio.client import Client, WorkflowUpdateFailedError

from adapters.connections import Connections
from adapters.mysql.orders.vouchers import Vouchers
from adapters.mysql.payments.ledger import Ledger
from domain.ledger import EntryKind
from domain.orders import OrderStatus, PaymentStatus
from schemas.checkout import CheckoutOutcome
from schemas.order_requests import CancelOrder
from schemas.provider_calls import PaymentOutcome
from tests.fixture_types import MakeProduct
from tests.workflows.orders import Order, Place, refusal
from tests.workflows.provider import Authenticate, Journal, MakeFault, MakeVoucher, effects
from tests.workflows.time_skipping import skip
from tests.workflows.waiting import until, until_idle

DECLINED_CARD, POOR_CARD = "pm_card_chargeDeclined", "pm_card_chargeDeclinedInsufficientFunds"
SECURE_CARD = "pm_card_threeDSecure2Required"
WINDOW = {"payment_retry_seconds": 1800}
GOING_ON = (OrderStatus.CONFIRMED, OrderStatus.PROCESSING)
CANCEL = CancelOrder(actor="customer:test", reason="changed my mind")
SUPERSEDE = CancelOrder(actor="customer:test", reason="superseded", only_waiting=True)


def check_nothing_is_held(order: Order, journal: Journal) -> None:
    done = effects(journal, order.id)
    assert done.count("authorization") == done.count("void")
    money = order.money()
    assert money[EntryKind.VOID] == money[EntryKind.AUTHORIZATION]
    assert order.reserved() == 0


# --- declined


async def test_after_a_decline_another_card_pays(
    place: Place, make_product: MakeProduct, provider_journal: Journal, connections: Connections
) -> None:
    order = await place({make_product(stock=5): 2}, payment_method=POOR_CARD, **WINDOW)
    answer = await order.first_answer()
    assert (answer.outcome, answer.code) == (CheckoutOutcome.DECLINED, "payment_declined")
    assert answer.details["decline_code"] == "insufficient_funds"
    waiting = order.view()
    assert (waiting.status, order.reserved()) == (OrderStatus.AWAITING_PAYMENT, 2)
    assert waiting.retry_until is not None
    assert waiting.retry_until == datetime.fromisoformat(str(answer.details["retry_until"]))

    again = await order.pay(DECLINED_CARD)
    assert (again.outcome, again.code) == (PaymentOutcome.DECLINED, "generic_decline")
    assert again.retry_until == waiting.retry_until, "the time there is does not grow"
    assert (await order.pay()).outcome is PaymentOutcome.SUCCEEDED

    assert order.view().status in GOING_ON
    assert order.view().retry_until is None
    (entry,) = Ledger(connections.engine).entries(order.id)
    assert entry.idempotency_key == f"payment-{order.id}:authorize-3"
    assert (await order.first_answer()) == answer, "the first answer stays what it was"
    view = await order.delivered()
    assert (view.status, view.payment_status) == (OrderStatus.DELIVERED, PaymentStatus.CAPTURED)
    assert effects(provider_journal, order.id) == ["authorization", "capture"]


async def test_an_unpaid_order_is_reminded_of_once_and_then_releases_everything(
    place: Place,
    make_product: MakeProduct,
    make_voucher: MakeVoucher,
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
    place: Place, make_product: MakeProduct, provider_journal: Journal
) -> None:
    order = await place({make_product(stock=5): 1}, payment_method=DECLINED_CARD, **WINDOW)
    await order.first_answer()
    assert (await order.cancel(CANCEL)) is OrderStatus.CANCELLED
    await order.handle.result()
    check_nothing_is_held(order, provider_journal)


async def test_one_attempt_at_a_time(place: Place, make_product: MakeProduct, provider_fault: MakeFault) -> None:
    order = await place({make_product(stock=5): 1}, payment_method=DECLINED_CARD, **WINDOW)
    await order.first_answer()
    slow = provider_fault("latency", "create", seconds=20)
    attempt = asyncio.create_task(order.pay())
    await until(slow.struck)
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await order.cancel(SUPERSEDE)
    assert refusal(refused.value) == "payment_in_progress"
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await order.pay()
    assert refusal(refused.value) == "payment_in_progress"
    slow.end()
    assert (await attempt).outcome is PaymentOutcome.SUCCEEDED
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await order.cancel(SUPERSEDE)
    assert refusal(refused.value) in ("not_awaiting_payment", "too_late")
    await order.delivered()


@pytest.mark.parametrize("seconds", [-0.1, -0.02, 0, 0.02, 0.1])
async def test_a_method_given_at_the_last_moment_is_either_taken_or_refused(
    place_in_real_time: Place, make_product: MakeProduct, provider_journal: Journal, seconds: float
) -> None:
    order = await place_in_real_time({make_product(stock=5): 1}, payment_method=DECLINED_CARD, payment_retry_seconds=4)
    deadline = (await order.first_answer()).details["retry_until"]
    left = datetime.fromisoformat(str(deadline)) - datetime.now(UTC)
    await asyncio.sleep(left.total_seconds() + seconds)
    answer: object
    try:
        answer = (await order.pay()).outcome
    except Exception as error:  # noqa: BLE001 - refused by the order, or by its end
        answer = error
    if answer is PaymentOutcome.SUCCEEDED:
        assert (await order.delivered()).payment_status is PaymentStatus.CAPTURED
        assert effects(provider_journal, order.id) == ["authorization", "capture"]
    else:
        assert (await order.handle.result()).reason == "payment_expired"
        check_nothing_is_held(order, provider_journal)


# --- 3-D Secure


async def test_the_order_goes_on_once_the_customer_has_been_to_their_bank(
    place: Place, make_product: MakeProduct, authenticate: Authenticate, provider_journal: Journal
) -> None:
    back = "https://shop.example.com/thanks"
    order = await place({make_product(stock=5): 1}, payment_method=SECURE_CARD, payment_return_url=back, **WINDOW)
    assert (await order.first_answer()).outcome is CheckoutOutcome.ACTION_REQUIRED
    view, action = order.view(), order.action()
    assert view.status is OrderStatus.AWAITING_PAYMENT
    assert action.expires_at is not None
    assert view.retry_until is not None
    assert (action.type, action.expires_at <= view.retry_until) == ("redirect_to_url", True)
    assert str(action.url).endswith(order.intent())
    secret = str(action.client_secret)
    assert all(secret not in str(event.data) for event in order.events()), "events are published, secrets are not"

    await order.provider_event()  # nobody has been to the bank: what a webhook says is not believed
    await until_idle(order.payment)
    assert (order.view().status, effects(provider_journal, order.id)) == (OrderStatus.AWAITING_PAYMENT, [])
    authenticate(order.intent())
    await order.provider_event()
    await order.until(*GOING_ON)
    assert order.view().payment_action is None
    assert (await order.delivered()).payment_status is PaymentStatus.CAPTURED
    assert effects(provider_journal, order.id) == ["authorization", "capture"]


async def test_a_failed_authentication_is_a_decline(
    place: Place, make_product: MakeProduct, authenticate: Authenticate, provider_journal: Journal
) -> None:
    order = await place({make_product(stock=5): 1}, payment_method=SECURE_CARD, **WINDOW)
    await order.first_answer()
    authenticate(order.intent(), "failed")
    await order.provider_event("payment_intent.payment_failed")
    await until(lambda: "payment.declined" in order.event_types())
    await until(lambda: order.view().payment_action is None)
    declined = next(event for event in order.events() if event.type == "payment.declined")
    assert declined.data["code"] == "authentication_failed"
    assert (await order.pay()).outcome is PaymentOutcome.SUCCEEDED
    await order.delivered()
    assert effects(provider_journal, order.id) == ["authorization", "capture"]


@pytest.mark.parametrize("window", [WINDOW, {"payment_retry_seconds": 0}], ids=["window", "no window"])
async def test_an_authentication_nobody_makes_expires(
    place: Place, make_product: MakeProduct, skipping: Client, provider_journal: Journal, window: dict[str, int]
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
    place: Place, make_product: MakeProduct, authenticate: Authenticate, skipping: Client, provider_journal: Journal
) -> None:
    # Long before the order reminds its customer: that timer would race the answer (see `time_skipping`).
    order = await place({make_product(stock=5): 1}, payment_method=SECURE_CARD, authentication_seconds=300, **WINDOW)
    await order.first_answer()
    authenticate(order.intent())
    await skip(skipping, timedelta(seconds=310))
    await order.until(*GOING_ON)
    await order.delivered()
    assert effects(provider_journal, order.id) == ["authorization", "capture"]


@pytest.mark.parametrize("finished", [False, True], ids=["open", "finished"])
async def test_another_card_while_the_bank_waits_never_authorizes_twice(
    place: Place, make_product: MakeProduct, authenticate: Authenticate, provider_journal: Journal, finished: bool
) -> None:
    order = await place({make_product(stock=5): 1}, payment_method=SECURE_CARD, **WINDOW)
    await order.first_answer()
    if finished:
        authenticate(order.intent())
    assert (await order.pay()).outcome is PaymentOutcome.SUCCEEDED
    await order.delivered()
    assert effects(provider_journal, order.id) == ["authorization", "capture"]
    keys = {entry["idempotency_key"] for entry in provider_journal(order.id)}
    assert any(str(key).endswith("authorize-2") for key in keys) != finished


async def test_bank_customer_and_time_race_and_the_money_is_held_once_or_not_at_all(
    place_in_real_time: Place, make_product: MakeProduct, authenticate: Authenticate, provider_journal: Journal
) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")  # noqa: T201 - shown when it fails
    sku = make_product(stock=1000)

    async def play(dice: random.Random) -> None:
        order = await place_in_real_time({sku: 1}, payment_method=SECURE_CARD, payment_retry_seconds=10)
        await race(order, dice, authenticate)
        await order.until(*GOING_ON, OrderStatus.FAILED, OrderStatus.CANCELLED)
        if order.view().status in GOING_ON:
            await order.delivered()
        await order.handle.result()
        done = effects(provider_journal, order.id)
        held = most = 0
        for effect in done:
            held += {"authorization": 1, "void": -1, "capture": -1}[effect]
            most = max(most, held)
        assert (held, most <= 1) == (0, True), done
        assert (order.view().status is OrderStatus.DELIVERED) == ("capture" in done)
        money = order.money()
        assert money[EntryKind.AUTHORIZATION] == money[EntryKind.CAPTURE] + money[EntryKind.VOID]

    await asyncio.gather(*(play(random.Random(seed + number)) for number in range(12)))


async def race(order: Order, dice: random.Random, authenticate: Authenticate) -> None:
    """Everybody acts within a fifth of a second: soon, or around the end of the window."""
    await order.first_answer()
    intent, deadline = order.intent(), order.view().retry_until
    assert deadline is not None

    async def bank() -> None:
        await asyncio.to_thread(authenticate, intent, dice.choice(["succeeded", "failed"]))
        await order.provider_event(intent=intent)

    async def customer() -> None:
        await order.pay(dice.choice(["pm_card_visa", DECLINED_CARD, SECURE_CARD]))

    async def other_tab() -> None:
        await order.cancel(SUPERSEDE)

    async def at_some_time(action: Callable[[], Awaitable[None]]) -> None:
        await asyncio.sleep(dice.random() / 5)
        await action()

    if dice.choice([True, False]):
        left = deadline - datetime.now(UTC)
        await asyncio.sleep(left.total_seconds() - 0.1)
    actions = [bank, customer, other_tab]
    dice.shuffle(actions)
    await asyncio.gather(*(at_some_time(action) for action in actions), return_exceptions=True)


# --- what costs nothing, and what costs more than agreed


async def test_an_order_that_costs_nothing_asks_no_bank(
    place: Place, make_product: MakeProduct, make_voucher: MakeVoucher, provider_journal: Journal
) -> None:
    code = make_voucher(kind="free_shipping")
    order = await place({make_product(stock=5, price=0): 1}, payment_method=DECLINED_CARD, discount_code=code)
    assert (await order.first_answer()).outcome is CheckoutOutcome.AUTHORIZED
    view = await order.delivered()
    assert (view.total.amount, view.payment_status) == (0, PaymentStatus.CAPTURED)
    assert view.discount == view.shipping
    assert effects(provider_journal, order.id) == []


async def test_more_than_the_customer_has_agreed_to_is_never_charged(place: Place, make_product: MakeProduct) -> None:
    order = await place({make_product(stock=5, price=1000): 1}, approved_total=1000)
    answer = await order.first_answer()
    assert (answer.outcome, answer.code) == (CheckoutOutcome.REFUSED, "quote_changed")
    assert not order.recorded()
    await order.handle.result()


async def test_the_last_use_of_a_voucher_is_one_orders_until_that_order_fails(
    place: Place, make_product: MakeProduct, make_voucher: MakeVoucher, connections: Connections
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
    await first.cancel(CANCEL)
    assert Vouchers(connections.engine).get(code).uses == 0
    third = await place({sku: 1}, discount_code=code)
    assert (await third.first_answer()).outcome is CheckoutOutcome.AUTHORIZED
    await third.delivered()
    assert Vouchers(connections.engine).get(code).uses == 1
