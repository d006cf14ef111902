"""A cancellation from the Web UI leaves nothing half done: no compensation, no money, no parcel."""

import pytest
from temporalio.client import Client, WorkflowExecutionStatus

from adapters.connections import Connections
from adapters.mysql.payments.refunds import Refunds
from domain.fulfilment import ParcelStatus
from domain.ledger import EntryKind
from domain.orders import OrderStatus, PaymentStatus
from schemas.order_requests import SettleCompensation
from schemas.provider_events import ProviderEvent
from schemas.refunds import RefundStatus
from tests.fixture_types import MakeProduct
from tests.workflows.orders import UNDELIVERABLE, Order, Place
from tests.workflows.provider import BankActs, MakeFault
from tests.workflows.refunds import refunds_at_provider, start_refund
from tests.workflows.waiting import Handle, current_details, until, until_details
from workflows.orders.checkout import CheckoutWorkflow
from workflows.payments.refunds import RefundWorkflow

IGNORED = "cancellation ignored"


async def cancel(handle: Handle) -> None:
    """Request it, and wait until the workflow has received it."""
    await handle.cancel()
    await until_details(handle, IGNORED)
    assert (await handle.describe()).status is WorkflowExecutionStatus.RUNNING


async def test_of_an_order_that_is_being_compensated(
    place: Place, make_product: MakeProduct, provider_fault: MakeFault
) -> None:
    voiding = provider_fault("latency", "cancel", seconds=20)
    order = await place({make_product(stock=5): 1}, postal_code=UNDELIVERABLE)
    await until(voiding.struck)
    await cancel(order.handle)
    voiding.end()

    result = await order.handle.result()
    assert (result.status, result.reason) == (OrderStatus.FAILED, "shipment_refused")
    view = order.view()
    assert (view.status, view.payment_status) == (OrderStatus.FAILED, PaymentStatus.VOIDED)
    assert (order.reserved(), order.available()) == (0, 5)
    assert order.event_types()[-1] == "order.failed"


@pytest.fixture
async def blocked(place: Place, make_product: MakeProduct, provider_fault: MakeFault) -> Order:
    """An order whose first parcel is paid for, and whose second was dispatched and cannot be captured."""
    order = await place({make_product(stock={"BER": 2}): 1, make_product(stock={"AMS": 3}): 1})
    await order.first_answer()
    await order.carrier_event(ParcelStatus.DISPATCHED, 1)
    await until(lambda: "payment.captured" in order.event_types())
    provider_fault("400", "capture", times=1_000)
    await order.carrier_event(ParcelStatus.DISPATCHED, 2)
    await order.until(OrderStatus.COMPENSATION_BLOCKED)
    return order


async def test_of_an_order_whose_compensation_waits_for_an_operator(blocked: Order) -> None:
    waits = "**needs operator:** cancel the parcels: Parcel 2 was dispatched and its capture was declined"
    assert waits in await current_details(blocked.handle)
    await cancel(blocked.handle)
    assert waits in await current_details(blocked.handle)
    assert blocked.view().status is OrderStatus.COMPENSATION_BLOCKED

    decision = SettleCompensation(actor="staff:test", reason="the customer keeps it", retry=False)
    await blocked.handle.execute_update(CheckoutWorkflow.settle_compensation, decision)
    assert (await blocked.handle.result()).status is OrderStatus.FAILED
    assert "needs operator" not in await current_details(blocked.handle)
    assert blocked.reserved() == 0
    money = blocked.money()
    assert money[EntryKind.CAPTURE] + money[EntryKind.VOID] == money[EntryKind.AUTHORIZATION]
    assert money[EntryKind.CAPTURE] > 0


async def test_of_a_payment_and_a_parcel_whose_order_goes_on(place: Place, make_product: MakeProduct) -> None:
    order = await place({make_product(stock=5): 1})
    await order.first_answer()
    await order.until(OrderStatus.PROCESSING, OrderStatus.CONFIRMED)
    await until(lambda: "parcel.booked" in order.event_types())
    await cancel(order.payment)
    await cancel(order.parcel())

    view = await order.delivered()
    assert (view.status, view.payment_status) == (OrderStatus.DELIVERED, PaymentStatus.CAPTURED)
    assert order.money()[EntryKind.CAPTURE] == view.total.amount


async def test_of_a_payment_whose_order_is_compensated_later(
    place: Place, make_product: MakeProduct, provider_fault: MakeFault
) -> None:
    authorizing = provider_fault("latency", "create", seconds=20)
    order = await place({make_product(stock=5): 1}, postal_code=UNDELIVERABLE)
    await until(authorizing.struck)
    await cancel(order.payment)
    authorizing.end()

    assert (await order.handle.result()).reason == "shipment_refused"
    assert order.view().payment_status is PaymentStatus.VOIDED
    assert order.reserved() == 0


async def test_of_a_refund_that_waits_for_the_bank(
    place: Place,
    make_product: MakeProduct,
    skipping: Client,
    connections: Connections,
    bank_acts: BankActs,
) -> None:
    order = await (await place({make_product(): 1}, payment_method="pm_card_pendingRefund")).delivered()
    handle = await start_refund(skipping, order.id, 300)
    await until_details(handle, "the bank has not accepted it yet")
    await cancel(handle)
    listed = Refunds(connections.engine).of_order(order.id)
    assert [one.status for one in listed.items] == [RefundStatus.PENDING]

    (at_provider,) = refunds_at_provider(connections.settings, order.id)
    bank_acts(at_provider)
    event = ProviderEvent(event_id="evt_1", type="refund.updated", provider_id=at_provider)
    await handle.signal(RefundWorkflow.provider_event, event)
    answer = await handle.result()
    assert answer.refund is not None
    assert answer.refund.status is RefundStatus.SUCCEEDED
    listed = Refunds(connections.engine).of_order(order.id)
    assert listed.refundable.amount == order.total.amount - 300
