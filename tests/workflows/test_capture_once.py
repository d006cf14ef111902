"""A card whose bank lets go of the rest with the first capture: every parcel is paid for by a hold of its own."""

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from domain.fulfilment import ParcelStatus
from domain.ledger import EntryKind
from domain.orders import OrderStatus, PaymentStatus
from schemas.payments import CaptureParcel, PaymentOutcome, VoidAuthorization
from workflows.names import payment_workflow_id
from workflows.payments.payment import PaymentWorkflow

Journal = Callable[[str], list[dict[str, Any]]]
ONCE, ONCE_AND_ASKED = "pm_card_captureOnce", "pm_card_captureOnceAuthenticationRequired"


@pytest.fixture
def two_parcels(place: Any, make_product: Any) -> Callable[..., Any]:
    """An order that two warehouses send."""

    async def start(card: str, **fields: Any) -> Any:
        lines = {make_product(stock={"BER": 3}): 1, make_product(stock={"AMS": 3}, price=2999): 1}
        return await place(lines, payment_method=card, **fields)

    return start


async def until(look: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not await asyncio.to_thread(look):
            await asyncio.sleep(0.05)


def effects(journal: Journal, order: Any) -> list[str]:
    return [row["effect"] for row in journal(order.input.order_id)]


def agree(journal: Journal, order: Any) -> None:
    """Both sides have done the same, and never was more taken or held than the order costs."""
    rows, total = journal(order.input.order_id), order.view().total.amount
    theirs = Counter[str]()
    taken = held = 0
    for row in rows:
        theirs[row["effect"]] += row["amount"]
        held += {"authorization": 1, "capture": -1, "void": -1}[row["effect"]] * row["amount"]
        taken += row["amount"] if row["effect"] == "capture" else 0
        assert taken + held <= total
    money = order.money()
    assert {kind: money[EntryKind(kind)] for kind in theirs} == dict(theirs)
    assert held == 0


async def test_each_parcel_is_taken_from_a_hold_of_its_own(two_parcels: Any, provider_journal: Journal) -> None:
    order = await two_parcels(ONCE)
    await order.first_answer()
    first = order.view().parcels[0].number
    await order.until(OrderStatus.PROCESSING)
    await order.carrier(ParcelStatus.DISPATCHED, first)
    await until(lambda: effects(provider_journal, order) == ["authorization", "capture", "void", "authorization"])
    await until(lambda: order.view().payment_status is PaymentStatus.PARTIALLY_CAPTURED)
    view = order.view()
    assert view.payment.held.amount == view.total.amount - view.payment.captured.amount
    await order.delivered_all()

    view = order.view()
    assert (view.status, view.payment_status) == (OrderStatus.DELIVERED, PaymentStatus.CAPTURED)
    assert view.payment.captured == view.total
    captured = [row for row in provider_journal(order.input.order_id) if row["effect"] == "capture"]
    assert len({row["intent"] for row in captured}) == 2
    assert {row["amount"] for row in captured} != {view.total.amount}
    agree(provider_journal, order)


async def test_parcels_that_leave_at_once_are_taken_in_turn(two_parcels: Any, provider_journal: Journal) -> None:
    order = await two_parcels(ONCE)
    await order.first_answer()
    await order.until(OrderStatus.PROCESSING)
    await asyncio.gather(*(order.carrier(ParcelStatus.DISPATCHED, box.number) for box in order.view().parcels))
    await order.delivered_all()
    assert order.view().payment.captured == order.view().total
    assert effects(provider_journal, order) == ["authorization", "capture", "void", "authorization", "capture"]
    agree(provider_journal, order)


async def test_where_the_rest_is_not_held_anew_the_customer_gives_another_card(
    two_parcels: Any, provider_journal: Journal, authenticate: Any
) -> None:
    order = await two_parcels(ONCE_AND_ASKED, payment_retry_seconds=86_400)
    await order.first_answer()
    authenticate(order.intent())
    await order.provider_tells()
    await order.until(OrderStatus.PROCESSING)
    first = order.view().parcels[0].number
    await order.carrier(ParcelStatus.DISPATCHED, first)
    await order.until(OrderStatus.AWAITING_PAYMENT)
    view = order.view()
    assert (view.payment.held.amount, view.payment_status) == (0, PaymentStatus.CAPTURED)
    assert effects(provider_journal, order) == ["authorization", "capture", "void"]
    told = [event for event in order.events() if event.type == "order.awaiting_payment"][-1]
    assert told.data["code"] == "authentication_required"

    assert (await order.pay()).outcome is PaymentOutcome.SUCCEEDED
    await order.until(OrderStatus.PROCESSING, OrderStatus.SHIPPED)
    await order.delivered_all()
    view = order.view()
    assert (view.status, view.payment.captured) == (OrderStatus.DELIVERED, view.total)
    assert effects(provider_journal, order)[3:] == ["authorization", "capture"]
    agree(provider_journal, order)


async def test_one_parcel_needs_no_second_hold(place: Any, make_product: Any, provider_journal: Journal) -> None:
    order = await place({make_product(stock=5): 1}, payment_method=ONCE)
    view = await order.delivered()
    assert view.payment_status is PaymentStatus.CAPTURED
    assert effects(provider_journal, order) == ["authorization", "capture"]


@pytest.mark.parametrize("whole", [True, False], ids=["all of it", "a part"])
async def test_what_has_left_of_an_order_that_is_taken_back_is_taken_and_nothing_held_anew(
    two_parcels: Any, provider_journal: Journal, *, whole: bool
) -> None:
    order = await two_parcels(ONCE)
    await order.first_answer()
    await order.until(OrderStatus.PROCESSING)
    total = order.view().total.amount
    amount = total if whole else 1500
    payment = order.client.get_workflow_handle_for(PaymentWorkflow.run, payment_workflow_id(order.input.order_id))
    gone = CaptureParcel(parcel=1, amount=amount, final=False, compensating=True)
    await payment.signal(PaymentWorkflow.capture, gone)
    await payment.signal(PaymentWorkflow.release, VoidAuthorization(reason="the order was taken back"))
    assert (await payment.result()).payment_status is PaymentStatus.CAPTURED
    assert effects(provider_journal, order) == ["authorization", "capture", *([] if whole else ["void"])]
    assert order.money()[EntryKind.CAPTURE] == amount
    agree(provider_journal, order)
