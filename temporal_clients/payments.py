"""Starts and asks the workflows that move or follow money: refunds, disputes, repairs, orphaned payments."""

from collections.abc import Awaitable, Callable
from typing import Any, ClassVar

from temporalio.client import Client, WorkflowHandle
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy

from schemas.disputes import DisputeEnded, DisputeInput, DisputeView, OperatorDecision
from schemas.payment_reconciliation import DecideDifference, DecisionAnswer, OrphanedPaymentInput
from schemas.provider_events import ProviderEvent
from schemas.refunds import FailedRefundInput, RefundAnswer, RefundInput
from temporal_clients.updates import QUICK, WorkflowClient
from workflows.names import (
    PAYMENTS_QUEUE,
    PROVIDER_EVENT,
    dispute_workflow_id,
    failed_refund_workflow_id,
    orphaned_payment_workflow_id,
    payment_repair_workflow_id,
    refund_workflow_id,
)
from workflows.payments.disputes import DisputeWorkflow
from workflows.payments.failed_refunds import FailedRefundWorkflow
from workflows.payments.orphaned_payments import OrphanedPaymentWorkflow
from workflows.payments.refunds import RefundWorkflow
from workflows.payments.repair import PaymentRepairWorkflow


async def start_orphaned_payment(client: Client, order_id: str, event: ProviderEvent) -> None:
    """One for each payment of the provider's at a time; raises RPCError when Temporal is away."""
    orphan = OrphanedPaymentInput(order_id=order_id, payment_id=event.provider_id)
    workflow_id = orphaned_payment_workflow_id(event.provider_id)
    summary = "a payment that succeeded for an order that no longer waits for it"
    await _start_or_signal(client, OrphanedPaymentWorkflow.run, orphan, workflow_id, event, summary)


async def start_failed_refund(client: Client, failed: FailedRefundInput, event: ProviderEvent) -> None:
    """One for each refund of the provider's at a time; raises RPCError when Temporal is away."""
    workflow_id = failed_refund_workflow_id(failed.provider_id)
    summary = "a refund that failed at the provider"
    await _start_or_signal(client, FailedRefundWorkflow.run, failed, workflow_id, event, summary)


async def _start_or_signal(
    client: Client,
    run: Callable[..., Awaitable[Any]],
    subject: OrphanedPaymentInput | FailedRefundInput,
    workflow_id: str,
    event: ProviderEvent,
    summary: str,
) -> None:
    await client.start_workflow(
        run,
        subject,
        id=workflow_id,
        task_queue=PAYMENTS_QUEUE,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
        start_signal=PROVIDER_EVENT,
        start_signal_args=[event],
        static_summary=summary,
        static_details=f"Of order `{subject.order_id}`",
        rpc_timeout=QUICK,
    )


DisputeHandle = WorkflowHandle[DisputeWorkflow, DisputeEnded]


class RefundClient(WorkflowClient):
    """Starts refunds and waits for their result."""

    async def refund(self, refund: RefundInput) -> RefundAnswer:
        """The answer to this refund, started once however often it is asked for. Raises StillWorking."""
        return await self.result_of(
            RefundWorkflow.run,
            refund,
            refund_workflow_id(refund.refund_id),
            PAYMENTS_QUEUE,
            summary=f"refund by {refund.actor}",
            details=f"Of order `{refund.order_id}`",
        )


class PaymentRepairClient(WorkflowClient):
    """Starts repairs of payment differences and waits for their result."""

    async def decide(self, decision: DecideDifference) -> DecisionAnswer:
        """The answer to this decision, carried out once however often it is asked for. Raises StillWorking."""
        return await self.result_of(
            PaymentRepairWorkflow.run,
            decision,
            payment_repair_workflow_id(decision.decision_id),
            PAYMENTS_QUEUE,
            summary=f"{decision.action} difference {decision.difference_id}, by {decision.actor}",
        )


class DisputeClient(WorkflowClient):
    """Starts and signals the workflow of a dispute, and passes operators' decisions to it."""

    ended: ClassVar = ("dispute_closed", "The dispute is already decided.")

    async def follow(self, dispute_id: str, event: ProviderEvent, reminder_hours: int) -> None:
        """Signal the workflow that follows the dispute, or start one.

        A webhook that comes after the end starts one that asks the provider, finds nothing new and ends; so one that
        was decided and is opened again is followed as well.
        """
        await self.client.start_workflow(
            DisputeWorkflow.run,
            DisputeInput(dispute_id=dispute_id, reminder_hours=reminder_hours),
            id=dispute_workflow_id(dispute_id),
            task_queue=PAYMENTS_QUEUE,
            id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
            start_signal=PROVIDER_EVENT,
            start_signal_args=[event],
            static_summary=f"dispute {dispute_id}",
        )

    async def submit_evidence(self, dispute_id: str, update_id: str, decision: OperatorDecision) -> DisputeView:
        """Send evidence; same id, same answer. Raises UpdateRefused with the workflow's code, StillWorking."""
        return await self.update(self._handle(dispute_id), DisputeWorkflow.submit_evidence, decision, update_id)

    async def accept(self, dispute_id: str, update_id: str, decision: OperatorDecision) -> DisputeView:
        """Accept the dispute; as above."""
        return await self.update(self._handle(dispute_id), DisputeWorkflow.accept, decision, update_id)

    async def release(self, dispute_id: str, update_id: str, decision: OperatorDecision) -> DisputeView:
        """Release the order's parcels; as above."""
        return await self.update(self._handle(dispute_id), DisputeWorkflow.release, decision, update_id)

    def _handle(self, dispute_id: str) -> DisputeHandle:
        return self.client.get_workflow_handle_for(DisputeWorkflow.run, dispute_workflow_id(dispute_id))
