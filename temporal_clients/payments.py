"""Has a webhook start the workflow that follows up its subject, or signal the one that runs."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

from temporalio.client import Client
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy

from schemas.payment_reconciliation import OrphanedPaymentInput
from schemas.provider_events import ProviderEvent
from schemas.refunds import FailedRefundInput
from workflows.names import PAYMENTS_QUEUE, PROVIDER_EVENT, failed_refund_workflow_id, orphaned_payment_workflow_id
from workflows.payments.failed_refunds import FailedRefundWorkflow
from workflows.payments.orphaned_payments import OrphanedPaymentWorkflow

_QUICK = timedelta(seconds=5)


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
        rpc_timeout=_QUICK,
    )
