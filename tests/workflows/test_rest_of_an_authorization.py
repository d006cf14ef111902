"""What is left of an authorization is voided with the last capture or on request; every request is answered."""

from datetime import timedelta

import pytest
from temporalio.client import Client

from domain.ledger import EntryKind
from domain.orders import OrderStatus, PaymentStatus
from schemas.payments import CaptureParcel, VoidAuthorization
from tests.fixture_types import MakeProduct
from tests.workflows.orders import Order, Place
from tests.workflows.provider import Journal, MakeFault, effects
from tests.workflows.test_capture_once import agree
from tests.workflows.time_skipping import skip
from tests.workflows.waiting import until, until_details, until_idle
from workflows.payments.payment import PaymentWorkflow

VISA, ONCE, RISKY = "pm_card_visa", "pm_card_captureOnce", "pm_card_riskLevelElevated"
REST = VoidAuthorization(reason="the rest was cancelled")


@pytest.fixture
async def parcels(request: pytest.FixtureRequest, place: Place, make_product: MakeProduct) -> Order:
    """Two parcels from two warehouses, paid with the card that the test names."""
    lines = {make_product(stock={"BER": 3}): 1, make_product(stock={"AMS": 3}, price=2999): 1}
    order = await place(lines, payment_method=getattr(request, "param", VISA))
    await order.first_answer()
    await order.until(OrderStatus.PROCESSING)
    return order


def shares(order: Order) -> tuple[int, int]:
    """What is captured, and the rest: any split of the total."""
    total = order.view().total.amount
    return total // 3, total - total // 3


async def capture(order: Order, parcel: int, amount: int, *, final: bool = False) -> None:
    await order.payment.signal(PaymentWorkflow.capture, CaptureParcel(parcel=parcel, amount=amount, final=final))


@pytest.mark.parametrize("parcels", [VISA, ONCE], indirect=True)
async def test_a_final_capture_voids_the_rest(parcels: Order, provider_journal: Journal) -> None:
    share, rest = shares(parcels)
    await capture(parcels, 1, share, final=True)
    result = await parcels.payment.result()
    assert result.payment_status is PaymentStatus.CAPTURED
    money = parcels.money()
    assert (money[EntryKind.CAPTURE], money[EntryKind.VOID]) == (share, rest)
    agree(provider_journal, parcels)


@pytest.mark.parametrize("parcels", [VISA, ONCE], indirect=True)
async def test_a_void_after_a_capture_voids_exactly_the_rest(parcels: Order, provider_journal: Journal) -> None:
    share, _ = shares(parcels)
    await capture(parcels, 1, share)
    await until(lambda: parcels.money()[EntryKind.CAPTURE] == share)
    await parcels.payment.signal(PaymentWorkflow.void, REST)
    assert (await parcels.payment.result()).payment_status is PaymentStatus.CAPTURED
    assert parcels.money()[EntryKind.CAPTURE] == share
    assert parcels.view().payment.held.amount == 0
    agree(provider_journal, parcels)


@pytest.mark.parametrize("last", [1, 2], ids=["captured before", "costs nothing"])
async def test_a_final_parcel_without_a_capture_voids_the_rest(
    last: int, parcels: Order, provider_journal: Journal
) -> None:
    share, rest = shares(parcels)
    await capture(parcels, 1, share)
    await capture(parcels, 1, share)
    await capture(parcels, last, share if last == 1 else 0, final=True)
    assert (await parcels.payment.result()).payment_status is PaymentStatus.CAPTURED
    money = parcels.money()
    assert (money[EntryKind.CAPTURE], money[EntryKind.VOID]) == (share, rest)
    assert effects(provider_journal, parcels.id) == ["authorization", "capture", "void"]
    agree(provider_journal, parcels)


async def test_what_is_requested_as_it_ends_is_answered(
    parcels: Order, provider_fault: MakeFault, provider_journal: Journal
) -> None:
    share, rest = shares(parcels)
    slow = provider_fault("latency", "cancel", seconds=20)
    await capture(parcels, 1, share)
    await parcels.payment.signal(PaymentWorkflow.void, REST)
    await until(slow.struck)
    await capture(parcels, 2, rest, final=True)
    await parcels.payment.signal(PaymentWorkflow.void, REST)
    await capture(parcels, 1, share, final=True)
    slow.end()
    assert (await parcels.payment.result()).payment_status is PaymentStatus.CAPTURED
    agree(provider_journal, parcels)
    answers = await answered(parcels)
    assert answers[-4:] == [
        ("void", "succeeded"),
        ("capture-2", "declined"),
        ("void", "succeeded"),
        ("capture-1", "succeeded"),
    ]


async def answered(order: Order) -> list[tuple[str, str]]:
    """The signals of the payment to its order: step and outcome."""
    converter = order.client.data_converter.payload_converter
    history = await order.payment.fetch_history()
    sent = [
        converter.from_payloads(event.signal_external_workflow_execution_initiated_event_attributes.input.payloads)[0]
        for event in history.events
        if event.HasField("signal_external_workflow_execution_initiated_event_attributes")
    ]
    return [(update["step"], update["outcome"]) for update in sent]


# --- an order that has ended without its payment


async def test_nothing_is_authorized_again_for_an_order_that_has_ended(
    place: Place, make_product: MakeProduct, skipping: Client, provider_journal: Journal
) -> None:
    order = await place({make_product(stock=3): 1}, payment_method=RISKY, authorization_seconds=7 * 86_400)
    await until(order.recorded)
    await order.until(OrderStatus.ON_HOLD)
    await until_idle(order.handle)
    await order.handle.terminate("by mistake")
    await skip(skipping, timedelta(days=7))
    await until_details(order.payment, "**needs operator:** the order has ended and")
    assert effects(provider_journal, order.id) == ["authorization"]
    await order.payment.signal(PaymentWorkflow.void, REST)
    assert (await order.payment.result()).payment_status is PaymentStatus.VOIDED
    agree(provider_journal, order)


async def test_a_payment_whose_order_has_ended_waits_for_an_operator(parcels: Order, provider_journal: Journal) -> None:
    share, _ = shares(parcels)
    await parcels.handle.terminate("by mistake")
    await capture(parcels, 1, share)
    await until_details(parcels.payment, "**needs operator:** the order has ended and")
    assert effects(provider_journal, parcels.id) == ["authorization", "capture"]
    await parcels.payment.signal(PaymentWorkflow.void, REST)
    assert (await parcels.payment.result()).payment_status is PaymentStatus.CAPTURED
    agree(provider_journal, parcels)
