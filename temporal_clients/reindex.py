"""Starts a reindex, or joins the one that runs, and reads its progress."""

from datetime import timedelta
from typing import Literal

from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.service import RPCError, RPCStatusCode

from schemas.reindex import Reindex, ReindexProgress, ReindexStatus, Subject
from workflows.names import CATALOG_QUEUE, REINDEX_PROGRESS, reindex_workflow_id
from workflows.reindex import ReindexWorkflow

State = Literal["running", "completed", "failed", "cancelled"]
_QUICK = timedelta(seconds=5)
_STATES: dict[WorkflowExecutionStatus, State] = {
    WorkflowExecutionStatus.RUNNING: "running",
    WorkflowExecutionStatus.COMPLETED: "completed",
    WorkflowExecutionStatus.CANCELED: "cancelled",
}


async def start_reindex(client: Client, subject: Subject) -> ReindexStatus:
    """Start it unless it runs; answers its progress."""
    await client.start_workflow(
        ReindexWorkflow.run,
        Reindex(subject=subject),
        id=reindex_workflow_id(subject),
        task_queue=CATALOG_QUEUE,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
        static_summary=f"the search index of {subject}",
        rpc_timeout=_QUICK,
    )
    found = await reindex_status(client, subject)
    assert found is not None
    return found


async def reindex_status(client: Client, subject: Subject) -> ReindexStatus | None:
    """The current run, or the last one; None when Temporal has none."""
    try:
        seen = await client.get_workflow_handle(reindex_workflow_id(subject)).describe(rpc_timeout=_QUICK)
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
        return None
    memo = await seen.memo_value(REINDEX_PROGRESS, None)
    progress = ReindexProgress.model_validate(memo) if memo else ReindexProgress(subject=subject)
    state = _STATES.get(seen.status or WorkflowExecutionStatus.RUNNING, "failed")
    return ReindexStatus(state=state, run_id=seen.run_id or "", progress=progress)
