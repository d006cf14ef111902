"""Starts the LateMoneyWorkflow of a payment, or tells the one that runs."""

from datetime import timedelta

from temporalio.client import Client
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy

from schemas.payment_reconciliation import LateMoneyInput
from schemas.provider_events import ProviderEvent
from workflows.late_money import LateMoneyWorkflow
from workflows.names import PAYMENTS_QUEUE, late_money_workflow_id

_QUICK = timedelta(seconds=5)


async def start_late_money(client: Client, order_id: str, news: ProviderEvent) -> None:
    """One for each payment of the provider's at a time; raises RPCError when Temporal is away."""
    await client.start_workflow(
        LateMoneyWorkflow.run,
        LateMoneyInput(order_id=order_id, payment_id=news.provider_id),
        id=late_money_workflow_id(news.provider_id),
        task_queue=PAYMENTS_QUEUE,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
        start_signal=LateMoneyWorkflow.provider_told.__name__,
        start_signal_args=[news],
        static_summary="a payment that succeeded when nobody waited for it any more",
        static_details=f"Of order `{order_id}`",
        rpc_timeout=_QUICK,
    )
