"""The history of a refund that succeeds and fails a moment later."""

import asyncio
import uuid

from temporalio.client import Client

from dev.histories.recorded_orders import Keep, RecordedOrders, first_of, sku_in
from domain.actors import staff_actor
from schemas.refunds import RefundInput
from workflows.names import PAYMENTS_QUEUE, refund_workflow_id
from workflows.payments.refunds import RefundWorkflow

FAILED_REFUND = "failed-refund"


class FailedRefundPaths(RecordedOrders):
    """The card is closed after the payment."""

    def paid_by_a_closed_card(self) -> str:
        """The order is delivered; its refunds fail."""
        return self._order({sku_in("BER"): 1}, payment_method="pm_card_refundFail")


async def record_failed_refund(client: Client, paths: FailedRefundPaths, keep: Keep) -> None:
    """Record the workflow that the webhook of its failure starts."""
    order_id = await asyncio.to_thread(paths.paid_by_a_closed_card)
    about = {"order_id": order_id, "reason": "recording histories", "actor": staff_actor("1")}
    refund = RefundInput(refund_id=str(uuid.uuid4()), amount=100, **about)
    workflow_id = refund_workflow_id(refund.refund_id)
    await client.execute_workflow(RefundWorkflow.run, refund, id=workflow_id, task_queue=PAYMENTS_QUEUE)
    await keep(client, await first_of(client, "FailedRefundWorkflow"), FAILED_REFUND)
