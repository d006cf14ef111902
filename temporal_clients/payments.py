"""Has a webhook start the workflow that minds what it is about, or tell the one that runs."""

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


async def start_orphaned_payment(client: Client, order_id: str, news: ProviderEvent) -> None:
    """One for each payment of the provider's at a time; raises RPCError when Temporal is away."""
    late = OrphanedPaymentInput(order_id=order_id, payment_id=news.provider_id)
    workflow_id = orphaned_payment_workflow_id(news.provider_id)
    summary = "a payment that succeeded when nobody waited for it any more"
    await _start_or_tell(client, OrphanedPaymentWorkflow.run, late, workflow_id, news, summary)


async def start_failed_refund(client: Client, failed: FailedRefundInput, news: ProviderEvent) -> None:
    """One for each refund of the provider's at a time; raises RPCError when Temporal is away."""
    workflow_id = failed_refund_workflow_id(failed.provider_id)
    summary = "a refund that the provider says has failed"
    await _start_or_tell(client, FailedRefundWorkflow.run, failed, workflow_id, news, summary)


async def _start_or_tell(
    client: Client,
    run: Callable[..., Awaitable[Any]],
    subject: OrphanedPaymentInput | FailedRefundInput,
    workflow_id: str,
    news: ProviderEvent,
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
        start_signal_args=[news],
        static_summary=summary,
        static_details=f"Of order `{subject.order_id}`",
        rpc_timeout=_QUICK,
    )
