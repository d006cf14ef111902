"""Has PaymentRepairWorkflows carry out what operators decide."""

from api.temporal import Desk
from schemas.payment_reconciliation import DecideDifference, DecisionAnswer
from workflows.names import PAYMENTS_QUEUE, payment_repair_workflow_id
from workflows.payments.repair import PaymentRepairWorkflow


class RepairDesk(Desk):
    """Starts a repair and waits for what comes of it."""

    async def decide(self, decision: DecideDifference) -> DecisionAnswer:
        """The answer to this decision, carried out once however often it is asked for. Raises StillWorking."""
        return await self._result_of(
            PaymentRepairWorkflow.run,
            decision,
            payment_repair_workflow_id(decision.decision_id),
            PAYMENTS_QUEUE,
            summary=f"{decision.action} difference {decision.difference_id}, by {decision.actor}",
        )
