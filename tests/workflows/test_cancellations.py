"""A cancellation from the Web UI leaves nothing half done: no order on its way back, no money, no parcel."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
import stripe
import uuid_utils
from temporalio.api.sdk.v1 import WorkflowMetadata
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowHandle

from adapters.connections import Connections
from adapters.mysql.payments.refunds import Refunds
from dev.testbed import Testbed
from domain.fulfilment import ParcelStatus
from domain.ledger import EntryKind
from domain.orders import OrderStatus, PaymentStatus
from schemas.orders import SettleCompensation
from schemas.provider_events import ProviderEvent
from schemas.refunds import RefundInput, RefundStatus
from tests.workflows.conftest import UNDELIVERABLE
from workflows.names import PAYMENTS_QUEUE, fulfilment_workflow_id, payment_workflow_id, refund_workflow_id
from workflows.orders.checkout import CheckoutWorkflow
from workflows.payments.refunds import RefundWorkflow

NOT_OBEYED = "not obeyed"
Handle = WorkflowHandle[Any, Any]


async def details(handle: Handle) -> str:
    """What an operator reads in the Web UI."""
    told = await handle.query("__temporal_workflow_metadata", result_type=WorkflowMetadata)
    return str(told.current_details)


async def cancel(handle: Handle) -> None:
    """Ask for it, and wait until the workflow has heard of it."""
    await handle.cancel()
    async with asyncio.timeout(20):
        while NOT_OBEYED not in await details(handle):
            await asyncio.sleep(0.05)
    assert (await handle.describe()).status is WorkflowExecutionStatus.RUNNING


async def until(look: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not await asyncio.to_thread(look):
            await asyncio.sleep(0.05)


def refund_at_provider(bed: Testbed, order_id: str) -> str:
    """What the provider calls the one refund of an order."""
    base = {"api": bed.settings.stripe_api_base.rstrip("/")}
    client = stripe.StripeClient(bed.settings.stripe_api_key.get_secret_value(), base_addresses=base)
    listed = client.v1.refunds.list({"limit": 100})
    (found,) = [one.id for one in listed if (one.to_dict().get("metadata") or {}).get("order_id") == order_id]
    return str(found)


async def test_of_an_order_that_is_being_taken_back(place: Any, make_product: Any, provider_fault: Any) -> None:
    voiding = provider_fault("latency", "cancel", seconds=2)
    order = await place({make_product(stock=5): 1}, postal_code=UNDELIVERABLE)
    await until(voiding)
    await cancel(order.handle)

    result = await order.handle.result()
    assert (result.status, result.reason) == (OrderStatus.FAILED, "shipment_refused")
    view = order.view()
    assert (view.status, view.payment_status) == (OrderStatus.FAILED, PaymentStatus.VOIDED)
    assert (order.reserved(), order.available()) == (0, 5)
    assert order.event_types()[-1] == "order.failed"


@pytest.fixture
async def blocked(place: Any, make_product: Any) -> Any:
    """An order one of whose parcels has left while the carrier stopped the other."""
    order = await place({make_product(stock={"BER": 2}): 1, make_product(stock={"AMS": 3}): 1})
    await order.first_answer()
    await order.carrier(ParcelStatus.DISPATCHED, 1)
    await order.until(OrderStatus.PROCESSING)
    await until(lambda: "payment.captured" in order.event_types())
    await order.carrier(ParcelStatus.CANCELLED, 2)
    await order.until(OrderStatus.COMPENSATION_BLOCKED)
    return order


async def test_of_an_order_whose_undoing_waits_for_an_operator(blocked: Any) -> None:
    assert "**owed:** call the parcels back: Parcel 1 has left" in await details(blocked.handle)
    await cancel(blocked.handle)
    assert "**owed:** call the parcels back: Parcel 1 has left" in await details(blocked.handle)
    assert blocked.view().status is OrderStatus.COMPENSATION_BLOCKED

    decision = SettleCompensation(actor="staff:test", reason="the customer keeps it", retry=False)
    await blocked.handle.execute_update(CheckoutWorkflow.settle_compensation, decision)
    assert (await blocked.handle.result()).status is OrderStatus.FAILED
    assert "owed" not in await details(blocked.handle)
    assert blocked.reserved() == 0
    money = blocked.money()
    assert money[EntryKind.CAPTURE] + money[EntryKind.VOID] == money[EntryKind.AUTHORIZATION]
    assert money[EntryKind.CAPTURE] > 0


async def test_of_a_payment_and_a_parcel_whose_order_goes_on(place: Any, make_product: Any) -> None:
    order = await place({make_product(stock=5): 1})
    await order.first_answer()
    await order.until(OrderStatus.PROCESSING, OrderStatus.CONFIRMED)
    await until(lambda: "parcel.booked" in order.event_types())
    await cancel(order.client.get_workflow_handle(payment_workflow_id(order.input.order_id)))
    await cancel(order.client.get_workflow_handle(fulfilment_workflow_id(order.input.order_id, 1)))

    view = await order.delivered()
    assert (view.status, view.payment_status) == (OrderStatus.DELIVERED, PaymentStatus.CAPTURED)
    assert order.money()[EntryKind.CAPTURE] == view.total.amount


async def test_of_a_payment_whose_order_is_taken_back_later(place: Any, make_product: Any, provider_fault: Any) -> None:
    authorizing = provider_fault("latency", "create", seconds=2)
    order = await place({make_product(stock=5): 1}, postal_code=UNDELIVERABLE)
    await until(authorizing)
    await cancel(order.client.get_workflow_handle(payment_workflow_id(order.input.order_id)))

    assert (await order.handle.result()).reason == "shipment_refused"
    assert order.view().payment_status is PaymentStatus.VOIDED
    assert order.reserved() == 0


async def test_of_a_refund_that_waits_for_the_bank(
    place: Any, make_product: Any, skipping: Client, connections: Connections, bed: Testbed, bank_acts: Any
) -> None:
    order = await (await place({make_product(): 1}, payment_method="pm_card_pendingRefund")).delivered()
    refund_id = str(uuid_utils.uuid7())
    wanted = RefundInput(refund_id=refund_id, order_id=order.id, amount=300, reason="scratch", actor="staff:test")
    handle = await skipping.start_workflow(
        RefundWorkflow.run, wanted, id=refund_workflow_id(refund_id), task_queue=PAYMENTS_QUEUE
    )
    async with asyncio.timeout(20):
        while "the bank has yet to accept it" not in await details(handle):
            await asyncio.sleep(0.05)
    await cancel(handle)
    listed = Refunds(connections.engine).of_order(order.id)
    assert [one.status for one in listed.items] == [RefundStatus.PENDING]

    at_provider = refund_at_provider(bed, order.id)
    bank_acts(at_provider)
    news = ProviderEvent(event_id="evt_1", type="refund.updated", provider_id=at_provider)
    await handle.signal(RefundWorkflow.provider_event, news)
    answer = await handle.result()
    assert answer.refund is not None
    assert answer.refund.status is RefundStatus.SUCCEEDED
    listed = Refunds(connections.engine).of_order(order.id)
    assert listed.refundable.amount == order.total.amount - 300
