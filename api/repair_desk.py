"""Has PaymentRepairWorkflows carry out what operators decide."""

import asyncio
from contextlib import suppress

from temporalio.client import Client, WorkflowHandle
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError

from api.temporal import StillWorking
from schemas.payment_reconciliation import DecideDifference, DecisionAnswer
from workflows.names import PAYMENTS_QUEUE, payment_repair_workflow_id
from workflows.payment_repair import PaymentRepairWorkflow

Handle = WorkflowHandle[PaymentRepairWorkflow, DecisionAnswer]


class RepairDesk:
    """Starts a repair and waits for what comes of it, never longer than `patience_seconds`."""

    def __init__(self, client: Client, patience_seconds: float) -> None:
        self._client = client
        self._patience = patience_seconds

    async def decide(self, decision: DecideDifference) -> DecisionAnswer:
        """The answer to this decision, carried out once however often it is asked for. Raises StillWorking."""
        workflow_id = payment_repair_workflow_id(decision.decision_id)
        handle: Handle = self._client.get_workflow_handle_for(PaymentRepairWorkflow.run, workflow_id)
        try:
            async with asyncio.timeout(self._patience):
                with suppress(WorkflowAlreadyStartedError):  # and it has ended
                    await self._client.start_workflow(
                        PaymentRepairWorkflow.run,
                        decision,
                        id=handle.id,
                        task_queue=PAYMENTS_QUEUE,
                        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                        id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
                        static_summary=f"{decision.action} difference {decision.difference_id}, by {decision.actor}",
                    )
                return await handle.result()
        except TimeoutError as error:
            raise StillWorking from error
