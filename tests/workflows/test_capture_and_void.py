"""A capture and a void of one authorization, one after the other: the first counts, there and in the ledger."""

import pytest

from adapters.connections import Connections
from adapters.mysql.payments.ledger import Ledger
from adapters.payments.client import stripe_client
from adapters.settings import Settings
from domain.ledger import EntryKind
from domain.orders import OrderStatus, PaymentStatus
from schemas.payments import CaptureParcel, PaymentResult, VoidAuthorization
from tests.fixture_types import MakeProduct
from tests.workflows.orders import Order, Place
from tests.workflows.provider import Fault, Journal, MakeFault, effects
from tests.workflows.waiting import until
from workflows.payments.payment import PaymentWorkflow


@pytest.fixture
async def authorized(place: Place, make_product: MakeProduct) -> Order:
    order = await place({make_product(stock=5): 1})
    await order.first_answer()
    await order.until(OrderStatus.CONFIRMED, OrderStatus.PROCESSING)
    return order


async def both(order: Order, fault: Fault | None, *signals: str) -> PaymentResult:
    """Signals all of them before the provider has answered the first."""
    for number, signal in enumerate(signals):
        if signal == "void":
            await order.payment.signal(PaymentWorkflow.void, VoidAuthorization(reason="the order will not go on"))
        else:
            whole = CaptureParcel(parcel=1, amount=order.view().total.amount, final=True)
            await order.payment.signal(PaymentWorkflow.capture, whole)
        if fault and not number:
            await until(fault.struck)
    if fault:
        fault.end()
    return await order.payment.result()


async def test_capture_after_void_captures_nothing(
    authorized: Order, provider_journal: Journal, provider_fault: MakeFault
) -> None:
    slow = provider_fault("latency", "cancel", seconds=20)
    result = await both(authorized, slow, "void", "capture", "capture")
    assert result.payment_status is PaymentStatus.VOIDED
    assert effects(provider_journal, authorized.id) == ["authorization", "void"]
    total, money = authorized.view().total.amount, authorized.money()
    assert (money[EntryKind.AUTHORIZATION], money[EntryKind.VOID], money[EntryKind.CAPTURE]) == (total, total, 0)


async def test_void_after_capture_returns_nothing(
    authorized: Order, provider_journal: Journal, provider_fault: MakeFault
) -> None:
    slow = provider_fault("latency", "capture", seconds=20)
    result = await both(authorized, slow, "capture", "void", "void")
    assert result.payment_status is PaymentStatus.CAPTURED
    assert effects(provider_journal, authorized.id) == ["authorization", "capture"]
    total, money = authorized.view().total.amount, authorized.money()
    assert (money[EntryKind.AUTHORIZATION], money[EntryKind.VOID], money[EntryKind.CAPTURE]) == (total, 0, total)


@pytest.mark.parametrize("left", [0, 100], ids=["all of it", "a part of it"])
async def test_what_somebody_else_has_captured_is_not_recorded_as_voided(
    authorized: Order, left: int, settings: Settings, connections: Connections, provider_journal: Journal
) -> None:
    total = authorized.view().total.amount
    (entry,) = Ledger(connections.engine).entries(authorized.id)
    stripe_client(settings).v1.payment_intents.capture(entry.provider_id, {"amount_to_capture": total - left})
    await both(authorized, None, "void")
    voided = [one["amount"] for one in provider_journal(authorized.id) if one["effect"] == "void"]
    assert sum(voided) == left
    assert authorized.money()[EntryKind.VOID] == left


async def test_an_authorization_of_another_amount_is_voided_and_needs_an_operator(
    place: Place, make_product: MakeProduct, provider_fault: MakeFault, provider_journal: Journal
) -> None:
    fault = provider_fault("amount_lowered", "create")
    order = await place({make_product(stock=5): 1})
    await until(order.recorded)
    await order.until(OrderStatus.COMPENSATION_BLOCKED)
    assert fault.struck()
    assert effects(provider_journal, order.id) == ["authorization", "void"]
    assert order.money()[EntryKind.AUTHORIZATION] == 0
