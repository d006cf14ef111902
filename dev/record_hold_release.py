"""Histories of an order whose payment has failed, and whose money is given back when staff have that tried again."""

import asyncio

from temporalio.client import Client

from dev.record_late_money import Keep
from dev.recorded_paths import Recorder
from schemas.orders import SettleCompensation
from workflows.checkout import CheckoutWorkflow
from workflows.names import hold_release_workflow_id, order_workflow_id

HOLD_RELEASE = ("checkout-tried_again", "hold-release")


async def record_hold_release(client: Client, recorder: Recorder, keep: Keep) -> None:
    """The provider calls the void wrong, once."""
    order_id = await asyncio.to_thread(recorder.void_called_wrong)
    order = client.get_workflow_handle(order_workflow_id(order_id))
    decision = SettleCompensation(actor="staff:1", reason="recording histories", retry=True)
    await order.execute_update(CheckoutWorkflow.settle_compensation, decision)
    await keep(client, order.id, "checkout-tried_again")
    await keep(client, hold_release_workflow_id(order_id), "hold-release")
