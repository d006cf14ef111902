"""Has RefundWorkflows give money back."""

from api.temporal import Desk
from schemas.refunds import RefundAnswer, RefundInput
from workflows.names import PAYMENTS_QUEUE, refund_workflow_id
from workflows.payments.refunds import RefundWorkflow


class RefundDesk(Desk):
    """Starts a refund and waits for what comes of it."""

    async def give_back(self, refund: RefundInput) -> RefundAnswer:
        """The answer to this refund, started once however often it is asked for. Raises StillWorking."""
        return await self._result_of(
            RefundWorkflow.run,
            refund,
            refund_workflow_id(refund.refund_id),
            PAYMENTS_QUEUE,
            summary=f"refund by {refund.actor}",
            details=f"Of order `{refund.order_id}`",
        )
