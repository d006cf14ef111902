"""What the API asks of DisputeWorkflows."""

from typing import ClassVar

from temporalio.client import WorkflowHandle
from temporalio.common import WorkflowIDReusePolicy

from api.temporal import Desk
from schemas.disputes import DisputeEnded, DisputeInput, DisputeView, OperatorDecision
from schemas.provider_events import ProviderEvent
from workflows.names import PAYMENTS_QUEUE, dispute_workflow_id
from workflows.payments.disputes import DisputeWorkflow

Handle = WorkflowHandle[DisputeWorkflow, DisputeEnded]


class DisputeDesk(Desk):
    """Wakes the workflow of a dispute, and has it do what operators want."""

    over: ClassVar = ("dispute_closed", "The dispute is decided.")

    async def tell(self, dispute_id: str, event: ProviderEvent, reminder_hours: int) -> None:
        """Have it looked at: by the workflow that follows it, or by a new one.

        A webhook that comes after the end starts one that asks the provider, finds nothing new and ends; so one that
        was decided and is opened again is followed as well.
        """
        await self._client.start_workflow(
            DisputeWorkflow.run,
            DisputeInput(dispute_id=dispute_id, reminder_hours=reminder_hours),
            id=dispute_workflow_id(dispute_id),
            task_queue=PAYMENTS_QUEUE,
            id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
            start_signal="provider_event",
            start_signal_args=[event],
            static_summary=f"dispute {dispute_id}",
        )

    async def submit_evidence(self, dispute_id: str, update_id: str, decision: OperatorDecision) -> DisputeView:
        """Send evidence; same id, same answer. Raises a 409 with the workflow's code, StillWorking."""
        handle = self._handle(dispute_id)
        earlier = handle.get_update_handle_for(DisputeWorkflow.submit_evidence, update_id)
        return await self._once(handle.execute_update(DisputeWorkflow.submit_evidence, decision, id=update_id), earlier)

    async def accept(self, dispute_id: str, update_id: str, decision: OperatorDecision) -> DisputeView:
        """Give in; as above."""
        handle = self._handle(dispute_id)
        earlier = handle.get_update_handle_for(DisputeWorkflow.accept, update_id)
        return await self._once(handle.execute_update(DisputeWorkflow.accept, decision, id=update_id), earlier)

    async def release(self, dispute_id: str, update_id: str, decision: OperatorDecision) -> DisputeView:
        """Let the order's parcels go; as above."""
        handle = self._handle(dispute_id)
        earlier = handle.get_update_handle_for(DisputeWorkflow.release, update_id)
        return await self._once(handle.execute_update(DisputeWorkflow.release, decision, id=update_id), earlier)

    def _handle(self, dispute_id: str) -> Handle:
        return self._client.get_workflow_handle_for(DisputeWorkflow.run, dispute_workflow_id(dispute_id))
