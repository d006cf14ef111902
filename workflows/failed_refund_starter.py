"""Starts the FailedRefundWorkflow of a refund, or tells the one that runs."""

from datetime import timedelta

from temporalio.client import Client
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy

from schemas.provider_events import ProviderEvent
from schemas.refunds import FailedRefundInput
from workflows.failed_refund import FailedRefundWorkflow
from workflows.names import PAYMENTS_QUEUE, failed_refund_workflow_id

_QUICK = timedelta(seconds=5)


async def start_failed_refund(client: Client, failed: FailedRefundInput, news: ProviderEvent) -> None:
    """One for each refund of the provider's at a time; raises RPCError when Temporal is away."""
    await client.start_workflow(
        FailedRefundWorkflow.run,
        failed,
        id=failed_refund_workflow_id(failed.provider_id),
        task_queue=PAYMENTS_QUEUE,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
        start_signal=FailedRefundWorkflow.provider_told.__name__,
        start_signal_args=[news],
        static_summary="a refund that the provider says has failed",
        static_details=f"Of order `{failed.order_id}`",
        rpc_timeout=_QUICK,
    )
