"""Has RefundWorkflows give money back."""

import asyncio
from contextlib import suppress

from temporalio.client import Client, WorkflowHandle
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError

from api.temporal import StillWorking
from schemas.refunds import RefundAnswer, RefundInput
from workflows.names import PAYMENTS_QUEUE, refund_workflow_id
from workflows.refund import RefundWorkflow

Handle = WorkflowHandle[RefundWorkflow, RefundAnswer]


class RefundDesk:
    """Starts a refund and waits for what comes of it, never longer than `patience_seconds`."""

    def __init__(self, client: Client, patience_seconds: float) -> None:
        self._client = client
        self._patience = patience_seconds

    async def give_back(self, refund: RefundInput) -> RefundAnswer:
        """The answer to this refund, started once however often it is asked for. Raises StillWorking."""
        workflow_id = refund_workflow_id(refund.refund_id)
        handle: Handle = self._client.get_workflow_handle_for(RefundWorkflow.run, workflow_id)
        try:
            async with asyncio.timeout(self._patience):
                with suppress(WorkflowAlreadyStartedError):  # and it has ended
                    await self._client.start_workflow(
                        RefundWorkflow.run,
                        refund,
                        id=handle.id,
                        task_queue=PAYMENTS_QUEUE,
                        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                        id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
                        static_summary=f"refund by {refund.actor}",
                        static_details=f"Of order `{refund.order_id}`",
                    )
                return await handle.result()
        except TimeoutError as error:
            raise StillWorking from error
