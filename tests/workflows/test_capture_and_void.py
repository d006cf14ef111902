"""A capture and a void of one hold, one right after the other: the first counts, at the provider and in the books."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from adapters.connections import Connections
from adapters.mysql.payments.ledger import Ledger
from adapters.payments.provider import stripe_client
from adapters.settings import Settings
from domain.ledger import EntryKind
from domain.orders import OrderStatus, PaymentStatus
from schemas.payments import CaptureParcel, PaymentResult, VoidAuthorization
from workflows.names import payment_workflow_id
from workflows.payments.payment import PaymentWorkflow

Journal = Callable[[str], list[dict[str, Any]]]


@pytest.fixture
async def held(place: Any, make_product: Any) -> Any:
    """An order whose money is on hold."""
    order = await place({make_product(stock=5): 1})
    await order.first_answer()
    await order.until(OrderStatus.CONFIRMED, OrderStatus.PROCESSING)
    return order


async def both(order: Any, *wanted: str) -> PaymentResult:
    """Ask for both before the provider has answered the first."""
    payment = order.client.get_workflow_handle_for(PaymentWorkflow.run, payment_workflow_id(order.input.order_id))
    for one in wanted:
        if one == "void":
            await payment.signal(PaymentWorkflow.release, VoidAuthorization(reason="the order will not go on"))
        else:
            whole = CaptureParcel(parcel=1, amount=order.view().total.amount, final=True)
            await payment.signal(PaymentWorkflow.capture, whole)
    result: PaymentResult = await payment.result()
    return result


async def test_capture_after_void_takes_nothing(held: Any, provider_journal: Journal, provider_fault: Any) -> None:
    slow = provider_fault("latency", "cancel", seconds=1)
    result = await both(held, "void", "capture", "capture")
    assert slow()
    assert result.payment_status is PaymentStatus.VOIDED
    assert [one["effect"] for one in provider_journal(held.input.order_id)] == ["authorization", "void"]
    total, money = held.view().total.amount, held.money()
    assert (money[EntryKind.AUTHORIZATION], money[EntryKind.VOID], money[EntryKind.CAPTURE]) == (total, total, 0)


async def test_void_after_capture_gives_nothing_back(held: Any, provider_journal: Journal, provider_fault: Any) -> None:
    slow = provider_fault("latency", "capture", seconds=1)
    result = await both(held, "capture", "void", "void")
    assert slow()
    assert result.payment_status is PaymentStatus.CAPTURED
    assert [one["effect"] for one in provider_journal(held.input.order_id)] == ["authorization", "capture"]
    total, money = held.view().total.amount, held.money()
    assert (money[EntryKind.AUTHORIZATION], money[EntryKind.VOID], money[EntryKind.CAPTURE]) == (total, 0, total)


@pytest.mark.parametrize("left", [0, 100], ids=["all of it", "a part of it"])
async def test_what_somebody_else_has_captured_is_not_booked_as_given_back(
    held: Any, left: int, settings: Settings, connections: Connections, provider_journal: Journal
) -> None:
    total = held.view().total.amount
    (hold,) = Ledger(connections.engine).entries(held.input.order_id)
    stripe_client(settings).v1.payment_intents.capture(hold.provider_id, {"amount_to_capture": total - left})
    await both(held, "void")
    given_back = [one["amount"] for one in provider_journal(held.input.order_id) if one["effect"] == "void"]
    assert sum(given_back) == left
    assert held.money()[EntryKind.VOID] == left


async def test_a_hold_of_another_amount_is_given_back_and_waits_for_an_operator(
    place: Any, make_product: Any, provider_fault: Any, provider_journal: Journal
) -> None:
    struck = provider_fault("amount_lowered", "create")
    order = await place({make_product(stock=5): 1})
    while not order.recorded():
        await asyncio.sleep(0.05)
    await order.until(OrderStatus.COMPENSATION_BLOCKED)
    assert struck()
    assert [one["effect"] for one in provider_journal(order.input.order_id)] == ["authorization", "void"]
    assert order.money()[EntryKind.AUTHORIZATION] == 0
