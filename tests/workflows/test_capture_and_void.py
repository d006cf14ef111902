"""A capture and a void of one hold, one right after the other: the first counts, at the provider and in the books."""

from collections.abc import Callable
from typing import Any

import pytest

from domain.ledger import EntryKind
from domain.orders import OrderStatus, PaymentStatus
from schemas.payments import CaptureParcel, PaymentResult, ReleaseHold
from workflows.names import payment_workflow_id
from workflows.payment import PaymentWorkflow

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
            await payment.signal(PaymentWorkflow.release, ReleaseHold(reason="the order will not go on"))
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
