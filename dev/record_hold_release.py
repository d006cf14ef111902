"""Histories of orders whose payments cannot go on, and whose money is given back when staff have that tried again."""

import asyncio

from temporalio.client import Client

from dev.record_late_money import Keep
from dev.recorded_paths import Recorder
from domain.actors import staff_actor
from schemas.orders import SettleCompensation
from workflows.names import authorization_void_workflow_id, order_workflow_id, payment_workflow_id
from workflows.orders.checkout import CheckoutWorkflow

HOLD_RELEASE = ("checkout-tried_again", "hold-release", "checkout-payment_terminated")


async def record_hold_release(client: Client, recorder: Recorder, keep: Keep) -> None:
    """The provider calls the void wrong, once; and somebody terminates a payment in the Web UI."""
    loop = asyncio.get_running_loop()

    def terminate(order_id: str) -> None:
        payment = client.get_workflow_handle(payment_workflow_id(order_id))
        asyncio.run_coroutine_threadsafe(payment.terminate("recording histories"), loop).result()

    order_id = await asyncio.to_thread(recorder.void_called_wrong)
    await _tried_again(client, order_id)
    await keep(client, order_workflow_id(order_id), "checkout-tried_again")
    await keep(client, authorization_void_workflow_id(order_id), "hold-release")
    order_id = await asyncio.to_thread(recorder.interrupted, terminate)
    await _tried_again(client, order_id)
    await keep(client, order_workflow_id(order_id), "checkout-payment_terminated")


async def _tried_again(client: Client, order_id: str) -> None:
    order = client.get_workflow_handle(order_workflow_id(order_id))
    decision = SettleCompensation(actor=staff_actor("1"), reason="recording histories", retry=True)
    await order.execute_update(CheckoutWorkflow.settle_compensation, decision)
