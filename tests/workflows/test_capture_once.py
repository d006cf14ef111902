"""A card whose bank releases the rest with the first capture: every parcel is paid by an authorization of its own."""

import asyncio
from collections import Counter
from typing import Protocol

import pytest

from domain.fulfilment import ParcelStatus
from domain.ledger import EntryKind
from domain.orders import OrderStatus, PaymentStatus
from schemas.payments import CaptureParcel, VoidAuthorization
from schemas.provider_calls import PaymentOutcome
from tests.fixture_types import MakeProduct
from tests.workflows.orders import Order, Place
from tests.workflows.provider import Authenticate, Journal, effects
from tests.workflows.waiting import until
from workflows.payments.payment import PaymentWorkflow

ONCE, ONCE_AND_ASKED = "pm_card_captureOnce", "pm_card_captureOnceAuthenticationRequired"


class TwoParcels(Protocol):
    """An order that two warehouses send, paid with this card."""

    async def __call__(self, card: str, **fields: object) -> Order: ...


@pytest.fixture
def two_parcels(place: Place, make_product: MakeProduct) -> TwoParcels:

    async def start(card: str, **fields: object) -> Order:
        lines = {make_product(stock={"BER": 3}): 1, make_product(stock={"AMS": 3}, price=2999): 1}
        return await place(lines, payment_method=card, **fields)

    return start


def agree(journal: Journal, order: Order) -> None:
    """Both sides have done the same, and never was more captured or authorized than the order costs."""
    rows, total = journal(order.id), order.view().total.amount
    theirs = Counter[str]()
    captured = held = 0
    for row in rows:
        theirs[row["effect"]] += row["amount"]
        held += {"authorization": 1, "capture": -1, "void": -1}[row["effect"]] * row["amount"]
        captured += row["amount"] if row["effect"] == "capture" else 0
        assert captured + held <= total
    money = order.money()
    assert {kind: money[EntryKind(kind)] for kind in theirs} == dict(theirs)
    assert held == 0


async def test_each_parcel_is_captured_from_an_authorization_of_its_own(
    two_parcels: TwoParcels, provider_journal: Journal
) -> None:
    order = await two_parcels(ONCE)
    await order.first_answer()
    first = order.view().parcels[0].number
    await order.until(OrderStatus.PROCESSING)
    await order.carrier_event(ParcelStatus.DISPATCHED, first)
    await until(lambda: effects(provider_journal, order.id) == ["authorization", "capture", "void", "authorization"])
    await until(lambda: order.view().payment_status is PaymentStatus.PARTIALLY_CAPTURED)
    view = order.view()
    assert view.payment.held.amount == view.total.amount - view.payment.captured.amount
    await order.delivered_all()

    view = order.view()
    assert (view.status, view.payment_status) == (OrderStatus.DELIVERED, PaymentStatus.CAPTURED)
    assert view.payment.captured == view.total
    captured = [row for row in provider_journal(order.id) if row["effect"] == "capture"]
    assert len({row["intent"] for row in captured}) == 2
    assert {row["amount"] for row in captured} != {view.total.amount}
    agree(provider_journal, order)


async def test_parcels_dispatched_at_once_are_captured_in_turn(
    two_parcels: TwoParcels, provider_journal: Journal
) -> None:
    order = await two_parcels(ONCE)
    await order.first_answer()
    await order.until(OrderStatus.PROCESSING)
    await asyncio.gather(
        *(order.carrier_event(ParcelStatus.DISPATCHED, parcel.number) for parcel in order.view().parcels)
    )
    await order.delivered_all()
    assert order.view().payment.captured == order.view().total
    assert effects(provider_journal, order.id) == ["authorization", "capture", "void", "authorization", "capture"]
    agree(provider_journal, order)


async def test_where_the_rest_is_not_reauthorized_the_customer_gives_another_card(
    two_parcels: TwoParcels, provider_journal: Journal, authenticate: Authenticate
) -> None:
    order = await two_parcels(ONCE_AND_ASKED, payment_retry_seconds=86_400)
    await order.first_answer()
    authenticate(order.intent())
    await order.provider_event()
    await order.until(OrderStatus.PROCESSING)
    first = order.view().parcels[0].number
    await order.carrier_event(ParcelStatus.DISPATCHED, first)
    await order.until(OrderStatus.AWAITING_PAYMENT)
    view = order.view()
    assert (view.payment.held.amount, view.payment_status) == (0, PaymentStatus.CAPTURED)
    assert effects(provider_journal, order.id) == ["authorization", "capture", "void"]
    assert order.last_event("order.awaiting_payment").data["code"] == "authentication_required"

    assert (await order.pay()).outcome is PaymentOutcome.SUCCEEDED
    await order.until(OrderStatus.PROCESSING, OrderStatus.SHIPPED)
    await order.delivered_all()
    view = order.view()
    assert (view.status, view.payment.captured) == (OrderStatus.DELIVERED, view.total)
    assert effects(provider_journal, order.id)[3:] == ["authorization", "capture"]
    agree(provider_journal, order)


async def test_one_parcel_needs_no_second_authorization(
    place: Place, make_product: MakeProduct, provider_journal: Journal
) -> None:
    order = await place({make_product(stock=5): 1}, payment_method=ONCE)
    view = await order.delivered()
    assert view.payment_status is PaymentStatus.CAPTURED
    assert effects(provider_journal, order.id) == ["authorization", "capture"]


@pytest.mark.parametrize("whole", [True, False], ids=["all of it", "a part"])
async def test_a_cancelled_orders_dispatched_part_is_captured_and_the_rest_is_not(
    two_parcels: TwoParcels, provider_journal: Journal, *, whole: bool
) -> None:
    order = await two_parcels(ONCE)
    await order.first_answer()
    await order.until(OrderStatus.PROCESSING)
    total = order.view().total.amount
    amount = total if whole else 1500
    dispatched = CaptureParcel(parcel=1, amount=amount, final=False, compensating=True)
    await order.payment.signal(PaymentWorkflow.capture, dispatched)
    await order.payment.signal(PaymentWorkflow.void, VoidAuthorization(reason="the order was cancelled"))
    assert (await order.payment.result()).payment_status is PaymentStatus.CAPTURED
    assert effects(provider_journal, order.id) == ["authorization", "capture", *([] if whole else ["void"])]
    assert order.money()[EntryKind.CAPTURE] == amount
    agree(provider_journal, order)
