"""Histories of orders whose payment fails to end, and whose authorization is released when staff retry."""

import asyncio

from temporalio.client import Client

from dev.histories.recorded_orders import Keep
from dev.histories.recorded_paths import Recorder
from domain.actors import staff_actor
from schemas.order_requests import SettleCompensation
from workflows.names import authorization_void_workflow_id, order_workflow_id, payment_workflow_id
from workflows.orders.checkout import CheckoutWorkflow

AUTHORIZATION_VOID = ("checkout-retried", "authorization-void", "checkout-payment_terminated")


async def record_authorization_void(client: Client, recorder: Recorder, keep: Keep) -> None:
    """The provider refuses the void once; and somebody terminates a payment workflow in the Web UI."""
    loop = asyncio.get_running_loop()

    def terminate(order_id: str) -> None:
        payment = client.get_workflow_handle(payment_workflow_id(order_id))
        asyncio.run_coroutine_threadsafe(payment.terminate("recording histories"), loop).result()

    order_id = await asyncio.to_thread(recorder.void_refused)
    await _retry(client, order_id)
    await keep(client, order_workflow_id(order_id), "checkout-retried")
    await keep(client, authorization_void_workflow_id(order_id), "authorization-void")
    order_id = await asyncio.to_thread(recorder.interrupted, terminate)
    await _retry(client, order_id)
    await keep(client, order_workflow_id(order_id), "checkout-payment_terminated")


async def _retry(client: Client, order_id: str) -> None:
    order = client.get_workflow_handle(order_workflow_id(order_id))
    decision = SettleCompensation(actor=staff_actor("1"), reason="recording histories", retry=True)
    await order.execute_update(CheckoutWorkflow.settle_compensation, decision)
