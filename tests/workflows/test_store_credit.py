"""An order may be paid with store credit beside a card; no cent of it is lost, spent twice or withheld."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Protocol, TypeAlias

import pytest
import uuid_utils
from temporalio.client import Client

from adapters.connections import Connections
from adapters.mysql.payments.credit import Granter, StoreCredit
from domain.credit import CreditKind
from domain.orders import OrderStatus, PaymentStatus
from schemas.checkout import CheckoutOutcome
from schemas.credit import AuthorizeCredit, CreditAmount, GrantCredit
from schemas.order_requests import CancelOrder
from schemas.orders import OrderView
from schemas.provider_calls import PaymentOutcome
from schemas.refunds import RefundAnswer, RefundStatus
from tests.fixture_types import MakeProduct
from tests.workflows import refunds
from tests.workflows.orders import Order, Place
from tests.workflows.provider import Journal
from tests.workflows.refunds import made, to_card_and_credit
from tests.workflows.time_skipping import skip

DECLINED_CARD = "pm_card_chargeDeclined"
WITH_CREDIT = {"use_store_credit": True}
WINDOW = {"payment_retry_seconds": 1800}
CANCEL = CancelOrder(actor="customer:test", reason="changed my mind")


class Wallet:
    """A customer with so much store credit."""

    def __init__(self, credit: StoreCredit, amount: int) -> None:
        self.customer_id, self._credit, self._granted = str(uuid_utils.uuid7()), credit, amount
        grant = GrantCredit(amount=CreditAmount(amount=amount, currency="EUR"), reason="made by a test")
        credit.grant(self.customer_id, grant, Granter("staff:test", f"test:{uuid_utils.uuid7()}"))

    def balance(self) -> tuple[int, int]:
        """What is available, and what is authorized."""
        (balance,) = self._credit.statement(self.customer_id).balances
        return balance.available.amount, balance.held.amount

    def moves(self) -> list[tuple[CreditKind, int]]:
        """What orders did with it, oldest first."""
        items = self._credit.statement(self.customer_id, limit=200).items
        return [(CreditKind(entry.kind), entry.amount.amount) for entry in reversed(items)][1:]


MakeWallet: TypeAlias = Callable[[int], Wallet]


class Buy(Protocol):
    """Places an order of this customer's."""

    async def __call__(self, whose: Wallet, lines: dict[str, int], **fields: object) -> Order: ...


class MakeRefund(Protocol):
    """All that is left where no amount is named."""

    async def __call__(self, order: OrderView, amount: int | None = None) -> RefundAnswer: ...


@pytest.fixture
def wallet(connections: Connections) -> MakeWallet:
    return lambda amount: Wallet(StoreCredit(connections.engine), amount)


@pytest.fixture
def buy(place: Place) -> Buy:
    async def order(whose: Wallet, lines: dict[str, int], **fields: object) -> Order:
        return await place(lines, customer_id=whose.customer_id, **{**WITH_CREDIT, **fields})

    return order


@pytest.fixture
def refund(skipping: Client) -> MakeRefund:
    async def start(order: OrderView, amount: int | None = None) -> RefundAnswer:
        return await refunds.refund(skipping, order.id, amount)

    return start


def at_provider(journal: Journal, order: Order) -> list[tuple[str, int]]:
    return [(entry["effect"], entry["amount"]) for entry in journal(order.id)]


def parts(view: OrderView) -> list[tuple[int, int, int]]:
    """Authorized, captured and refunded: of all, of the card, of store credit."""
    return [
        (one.held.amount, one.captured.amount, one.refunded.amount)
        for one in (view.payment, view.payment.card, view.payment.store_credit)
    ]


async def test_credit_covers_what_it_can_and_the_card_pays_the_rest(
    buy: Buy, wallet: MakeWallet, make_product: MakeProduct, provider_journal: Journal, refund: MakeRefund
) -> None:
    mine = wallet(900)
    order = await buy(mine, {make_product(stock=5): 1})
    assert (await order.first_answer()).outcome is CheckoutOutcome.AUTHORIZED
    view = order.view()
    total = view.total.amount
    assert view.payment_status is PaymentStatus.AUTHORIZED
    assert parts(view) == [(total, 0, 0), (total - 900, 0, 0), (900, 0, 0)]
    assert mine.balance() == (0, 900)
    view = await order.delivered()
    assert (view.status, view.payment_status) == (OrderStatus.DELIVERED, PaymentStatus.CAPTURED)
    assert parts(view) == [(0, total, 0), (0, total - 900, 0), (0, 900, 0)]
    assert at_provider(provider_journal, order) == [("authorization", total - 900), ("capture", total - 900)]
    assert mine.balance() == (0, 0)

    # back the same ways: to the card what came of it, and no more
    first = made(await refund(view, total - 1000))
    assert to_card_and_credit(first) == (total - 1000, 0)
    rest = made(await refund(view))
    assert (rest.amount.amount, *to_card_and_credit(rest)) == (1000, 100, 900)
    assert (await refund(view, 1)).code == "refund_exceeds_captured"
    view = order.view()
    assert view.payment_status is PaymentStatus.REFUNDED
    assert parts(view) == [(0, total, total), (0, total - 900, total - 900), (0, 900, 900)]
    assert mine.balance() == (900, 0)
    assert mine.moves() == [(CreditKind.AUTHORIZE, 900), (CreditKind.CAPTURE, 900), (CreditKind.REFUND, 900)]


async def test_credit_for_all_of_it_needs_no_card_and_no_provider(
    buy: Buy, wallet: MakeWallet, make_product: MakeProduct, provider_journal: Journal, refund: MakeRefund
) -> None:
    mine = wallet(50_000)
    order = await buy(mine, {make_product(stock=5): 1}, payment_method=None)
    assert (await order.first_answer()).outcome is CheckoutOutcome.AUTHORIZED
    view = await order.delivered()
    total = view.total.amount
    assert (view.status, view.payment_status) == (OrderStatus.DELIVERED, PaymentStatus.CAPTURED)
    assert mine.balance() == (50_000 - total, 0)
    refunded = made(await refund(view, 700))
    assert (refunded.status, *to_card_and_credit(refunded)) == (RefundStatus.SUCCEEDED, 0, 700)
    assert mine.balance() == (50_000 - total + 700, 0)
    assert order.view().payment_status is PaymentStatus.PARTIALLY_REFUNDED
    assert provider_journal(order.id) == []


async def test_parcels_take_the_card_first(
    buy: Buy, wallet: MakeWallet, make_product: MakeProduct, provider_journal: Journal
) -> None:
    mine = wallet(2500)
    order = await buy(mine, {make_product(stock={"BER": 5}): 1, make_product(stock={"AMS": 5}): 1})
    await order.first_answer()
    await order.delivered_all()
    view = order.view()
    assert (len(view.parcels), view.payment_status) == (2, PaymentStatus.CAPTURED)
    total = view.total.amount
    assert parts(view) == [(0, total, 0), (0, total - 2500, 0), (0, 2500, 0)]
    captures = [amount for effect, amount in at_provider(provider_journal, order) if effect == "capture"]
    assert sum(captures) == total - 2500
    credit = [amount for kind, amount in mine.moves() if kind is CreditKind.CAPTURE]
    assert sum(credit) == 2500
    first = next(event.data for event in order.events() if event.type.endswith("captured"))
    assert first["amount"] == {"amount": captures[0], "currency": "EUR"}, (
        "the card first: its authorization ends by itself"
    )


async def test_after_a_decline_the_credit_stays_authorized_for_another_card(
    buy: Buy, wallet: MakeWallet, make_product: MakeProduct, provider_journal: Journal
) -> None:
    mine = wallet(900)
    order = await buy(mine, {make_product(stock=5): 1}, payment_method=DECLINED_CARD, **WINDOW)
    assert (await order.first_answer()).outcome is CheckoutOutcome.DECLINED
    view = order.view()
    assert (view.status, view.payment_status) == (OrderStatus.AWAITING_PAYMENT, PaymentStatus.NOT_PAID)
    assert mine.balance() == (0, 900)
    assert (await order.pay()).outcome is PaymentOutcome.SUCCEEDED
    view = await order.delivered()
    total = view.total.amount
    assert at_provider(provider_journal, order) == [("authorization", total - 900), ("capture", total - 900)]
    assert mine.moves() == [(CreditKind.AUTHORIZE, 900), (CreditKind.CAPTURE, 900)]


@pytest.mark.parametrize("window", [WINDOW, {}], ids=["nobody pays in time", "no second try"])
async def test_an_order_that_fails_for_good_voids_the_credit(
    buy: Buy, wallet: MakeWallet, make_product: MakeProduct, skipping: Client, window: dict[str, int]
) -> None:
    mine = wallet(900)
    order = await buy(mine, {make_product(stock=5): 1}, payment_method=DECLINED_CARD, **window)
    await order.first_answer()
    await skip(skipping, timedelta(seconds=window.get("payment_retry_seconds", 0)))
    assert (await order.handle.result()).status is OrderStatus.FAILED
    assert mine.balance() == (900, 0)
    assert mine.moves() == [(CreditKind.AUTHORIZE, 900), (CreditKind.VOID, 900)]
    assert order.view().payment_status is PaymentStatus.NOT_PAID


async def test_cancelling_voids_card_and_credit(
    buy: Buy, wallet: MakeWallet, make_product: MakeProduct, provider_journal: Journal
) -> None:
    mine = wallet(900)
    order = await buy(mine, {make_product(stock=5): 1}, payment_method="pm_card_threeDSecure2Required", **WINDOW)
    await order.first_answer()
    assert mine.balance() == (0, 900)
    assert await order.cancel(CANCEL) is OrderStatus.CANCELLED
    assert mine.balance() == (900, 0)
    assert provider_journal(order.id) == []

    order = await buy(mine, {make_product(stock=5): 1}, postal_code="00000")  # where the carrier does not go
    await order.handle.result()
    view = order.view()
    assert (view.status, view.payment_status) == (OrderStatus.FAILED, PaymentStatus.VOIDED)
    total = view.total.amount
    assert at_provider(provider_journal, order) == [("authorization", total - 900), ("void", total - 900)]
    assert mine.balance() == (900, 0)


async def test_credit_that_is_gone_meanwhile_needs_a_card(
    buy: Buy, wallet: MakeWallet, make_product: MakeProduct, connections: Connections
) -> None:
    """Two orders saw the same credit; the second finds it authorized, and waits for a method."""
    mine = wallet(4000)
    sku = make_product(stock=5)
    first = await buy(mine, {sku: 1}, payment_method=None, **WINDOW)
    await first.first_answer()
    second = await buy(mine, {sku: 1}, payment_method=None, **WINDOW)
    answer = await second.first_answer()
    assert (answer.outcome, answer.details["decline_code"]) == (CheckoutOutcome.DECLINED, "payment_method_required")
    assert (await second.pay()).outcome is PaymentOutcome.SUCCEEDED
    await asyncio.gather(first.delivered(), second.delivered())
    assert mine.balance() == (0, 0)
    spent = sum(one.view().payment.store_credit.captured.amount for one in (first, second))
    assert spent == 4000


async def test_twenty_orders_at_once_spend_credit_for_three_only_once(
    buy: Buy, wallet: MakeWallet, make_product: MakeProduct, provider_journal: Journal
) -> None:
    sku, price = make_product(stock=50), wallet(1)
    total = (await (await buy(price, {sku: 1})).delivered()).total.amount
    mine = wallet(3 * total)
    orders = await asyncio.gather(*(buy(mine, {sku: 1}) for _ in range(20)))
    answers = await asyncio.gather(*(order.first_answer() for order in orders))
    assert {answer.outcome for answer in answers} == {CheckoutOutcome.AUTHORIZED}
    assert mine.balance() == (0, 3 * total)
    by_card = [sum(amount for _, amount in at_provider(provider_journal, order)) for order in orders]
    by_credit = [order.view().payment.store_credit.held.amount for order in orders]
    assert sorted(by_credit) == [0] * 17 + [total] * 3
    assert [card + credit for card, credit in zip(by_card, by_credit, strict=True)] == [total] * 20


async def test_authorizations_at_the_same_moment_never_promise_a_cent_twice(
    place: Place, wallet: MakeWallet, make_product: MakeProduct, connections: Connections
) -> None:
    """All at once at the database itself: each gets what is left when its turn comes."""
    mine, credit = wallet(5000), StoreCredit(connections.engine)
    sku = make_product(stock=20)
    orders = [await place({sku: 1}, customer_id=mine.customer_id) for _ in range(8)]
    await asyncio.gather(*(order.first_answer() for order in orders))

    def authorize(order: Order) -> int:
        command = AuthorizeCredit(order_id=order.id, idempotency_key=f"test:{order.id}")
        return max(
            credit.authorize(command).amount, credit.authorize(command).amount
        )  # a repeat authorizes nothing more

    held = await asyncio.gather(*(asyncio.to_thread(authorize, order) for order in orders))
    assert sum(held) == 5000
    assert mine.balance() == (0, 5000)
