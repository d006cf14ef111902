"""Provider or carrier is away for 36 hours: a person is asked, each order ends by itself, no history gets long."""

from dataclasses import replace
from datetime import timedelta

import pytest
from temporalio.client import Client, WorkflowUpdateHandle, WorkflowUpdateStage

from adapters.mysql.orders.operator_tasks import open_tasks
from domain.fulfilment import ParcelStatus
from domain.orders import OrderStatus, PaymentStatus
from schemas.checkout import CheckoutOutcome, CheckoutResult
from schemas.operator_tasks import OperatorTaskCode
from schemas.order_requests import CancelOrder
from tests.fixture_types import MakeProduct
from tests.workflows.carrier import CarrierControl
from tests.workflows.orders import Order, Place
from tests.workflows.provider import Journal, MakeFault, effects
from tests.workflows.time_skipping import skip
from tests.workflows.waiting import Handle, until, until_called
from workflows.options import CARRIER, PROVIDER
from workflows.orders.checkout import CheckoutWorkflow
from workflows.payments.provider_calls import LONGEST_WAIT

AWAY, RETRIED_EVERY = timedelta(hours=36), timedelta(minutes=30)
MOST_EVENTS = 400
DISPATCHED, DELIVERED = ParcelStatus.DISPATCHED, ParcelStatus.DELIVERED
EVERY = 1_000_000  # times: more often than anything is tried


@pytest.fixture
def retried_seldom(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server's retries write no history, however many there are; thousands of them would take minutes here."""
    for options in (PROVIDER, CARRIER):
        policy = replace(options["retry_policy"], initial_interval=RETRIED_EVERY, maximum_interval=RETRIED_EVERY)
        monkeypatch.setitem(options, "retry_policy", policy)


async def regret(order: Order) -> WorkflowUpdateHandle[CheckoutResult]:
    """Accepted before time passes: what a workflow is sent meanwhile may get lost."""
    request = CancelOrder(actor="customer:test", reason="takes too long")
    return await order.handle.start_update(
        CheckoutWorkflow.cancel, request, wait_for_stage=WorkflowUpdateStage.ACCEPTED
    )


def asked(order: Order) -> set[str]:
    """What persons are asked about it, as MySQL lists it."""
    with order.connections.engine.connect() as connection:
        return {str(task.code) for task in open_tasks(connection, [order.id]).get(order.id, [])}


async def until_asked(order: Order, code: OperatorTaskCode) -> None:
    await until(lambda: code in asked(order))


async def until_nobody_is_asked(order: Order) -> None:
    """That it is over is recorded in the background."""
    await until(lambda: not asked(order))


async def check_short(*handles: Handle) -> None:
    lengths = {handle.id: len((await handle.fetch_history()).events) for handle in handles}
    assert all(length < MOST_EVENTS for length in lengths.values()), lengths


async def check_paid_once(order: Order, journal: Journal) -> None:
    view = order.view()
    assert (view.status, view.payment_status) == (OrderStatus.DELIVERED, PaymentStatus.CAPTURED)
    assert effects(journal, order.id) == ["authorization", "capture"]
    await until_nobody_is_asked(order)
    await check_short(order.handle, order.payment, order.parcel())


@pytest.mark.usefixtures("retried_seldom")
async def test_the_carrier_is_away_and_every_order_ends_right_by_itself(
    place: Place, make_product: MakeProduct, skipping: Client, carrier: CarrierControl, provider_journal: Journal
) -> None:
    sku = make_product(stock=5)
    under_way, regretted = await place({sku: 1}), await place({sku: 1})
    for order in (under_way, regretted):
        await order.first_answer()
        await order.until(OrderStatus.PROCESSING)
    await under_way.carrier_event(DISPATCHED)
    await until(lambda: under_way.view().payment_status is PaymentStatus.CAPTURED)

    carrier.arm("fail_before", match={})
    carrier.advance(under_way.id, "delivered")  # and its events get lost
    new = await place({sku: 1})
    assert (await new.first_answer()).outcome is CheckoutOutcome.AUTHORIZED
    await until_called(new.parcel(), "book_shipment")
    cancelling = await regret(regretted)
    await until_called(regretted.parcel(), "cancel_shipment")
    await skip(skipping, AWAY)
    for order in (under_way, new, regretted):
        await until_asked(order, OperatorTaskCode.CARRIER_UNANSWERED)
    assert new.view().status is OrderStatus.CONFIRMED
    assert regretted.view().payment_status is PaymentStatus.AUTHORIZED

    carrier.end_faults()
    await skip(skipping, RETRIED_EVERY)
    await until(lambda: "parcel.booked" in new.event_types())
    await new.delivered()
    assert (await under_way.handle.result()).status is OrderStatus.DELIVERED
    for order in (under_way, new):
        await check_paid_once(order, provider_journal)
    await cancelling.result()
    assert (await regretted.handle.result()).status is OrderStatus.CANCELLED
    assert effects(provider_journal, regretted.id) == ["authorization", "void"]
    assert carrier.statuses(regretted.id) == ["cancelled"]
    await until_nobody_is_asked(regretted)
    await check_short(regretted.handle, regretted.payment, regretted.parcel())
    assert (new.reserved(), new.available()) == (0, 3)


@pytest.mark.usefixtures("retried_seldom")
@pytest.mark.parametrize("kind", ["fail_before", "timeout_before"])
async def test_the_provider_is_away_and_every_order_ends_right_by_itself(
    kind: str,
    place: Place,
    make_product: MakeProduct,
    skipping: Client,
    provider_fault: MakeFault,
    provider_journal: Journal,
) -> None:
    sku = make_product(stock=5)
    under_way = await place({sku: 1})
    await under_way.first_answer()
    await under_way.until(OrderStatus.PROCESSING)

    away = provider_fault(kind, None, times=EVERY)
    new, regretted = await place({sku: 1}), await place({sku: 1})
    await under_way.carrier_event(DISPATCHED)
    await until_called(under_way.payment, "capture_payment")
    for order in (new, regretted):
        await until_called(order.payment, "authorize_payment")
    cancelling = await regret(regretted)
    await skip(skipping, AWAY)
    for order in (under_way, new, regretted):
        await until_asked(order, OperatorTaskCode.PROVIDER_UNANSWERED)
    assert new.view().status is OrderStatus.PENDING
    assert under_way.view().payment_status is PaymentStatus.AUTHORIZED

    away.end()
    await skip(skipping, RETRIED_EVERY)
    await under_way.carrier_event(DELIVERED)
    assert (await under_way.handle.result()).status is OrderStatus.DELIVERED
    assert (await new.first_answer()).outcome is CheckoutOutcome.AUTHORIZED
    await new.delivered()
    for order in (under_way, new):
        await check_paid_once(order, provider_journal)
    await cancelling.result()
    assert (await regretted.handle.result()).status is OrderStatus.CANCELLED
    assert effects(provider_journal, regretted.id) in ([], ["authorization", "void"])
    await until_nobody_is_asked(regretted)
    await check_short(regretted.handle, regretted.payment)
    assert (new.reserved(), new.available()) == (0, 3)


async def test_a_provider_that_fails_under_every_key_is_asked_ever_more_seldom(
    place: Place, make_product: MakeProduct, skipping: Client, provider_fault: MakeFault, provider_journal: Journal
) -> None:
    sku = make_product(stock=5)
    under_way = await place({sku: 1})
    await under_way.first_answer()
    await under_way.until(OrderStatus.PROCESSING)

    faults = [provider_fault("500", operation, times=EVERY) for operation in ("create", "capture")]
    new = await place({sku: 1})
    await under_way.carrier_event(DISPATCHED)
    await until_called(under_way.payment, "capture_payment")
    await until_called(new.payment, "authorize_payment")
    await skip(skipping, AWAY)
    for order in (under_way, new):
        await until_asked(order, OperatorTaskCode.PROVIDER_UNANSWERED)

    faults[0].end()
    await skip(skipping, LONGEST_WAIT)
    await under_way.carrier_event(DELIVERED)
    assert (await under_way.handle.result()).status is OrderStatus.DELIVERED
    assert (await new.first_answer()).outcome is CheckoutOutcome.AUTHORIZED
    await new.delivered()
    for order in (under_way, new):
        await check_paid_once(order, provider_journal)
