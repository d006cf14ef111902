"""Starts the catalog's workflows: announcements after a change of the taxonomy, and reindexing."""

import asyncio
from typing import Literal

import structlog
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.service import RPCError, RPCStatusCode

from schemas.reindex import Reindex, ReindexProgress, ReindexStatus, Subject
from temporal_clients.updates import QUICK
from workflows.catalog import CatalogChangesWorkflow
from workflows.names import CATALOG_QUEUE, REINDEX_PROGRESS, catalog_changes_workflow_id, reindex_workflow_id
from workflows.reindex import ReindexWorkflow

_PATIENCE_SECONDS = 3.0
_log = structlog.get_logger(__name__)


class CatalogClient:
    """Has products published again when the brand or category they belong to has changed."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def publish_products_of(self, subject: str, version: int) -> None:
        """Start it now. Never fails: what is to be published is in the database, and a Schedule finds it later."""
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                await self._client.start_workflow(
                    CatalogChangesWorkflow.run,
                    id=catalog_changes_workflow_id(subject, version),
                    id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                    task_queue=CATALOG_QUEUE,
                    static_summary=f"{subject} has changed",
                )
        except (RPCError, RuntimeError, TimeoutError) as error:
            _log.warning("a change of the catalog is published later", subject=subject, error=str(error)[:300])


State = Literal["running", "completed", "failed", "cancelled"]
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
        rpc_timeout=QUICK,
    )
    found = await reindex_status(client, subject)
    assert found is not None
    return found


async def reindex_status(client: Client, subject: Subject) -> ReindexStatus | None:
    """The current run, or the last one; None when Temporal has none."""
    try:
        seen = await client.get_workflow_handle(reindex_workflow_id(subject)).describe(rpc_timeout=QUICK)
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
        return None
    memo = await seen.memo_value(REINDEX_PROGRESS, None)
    progress = ReindexProgress.model_validate(memo) if memo else ReindexProgress(subject=subject)
    state = _STATES.get(seen.status or WorkflowExecutionStatus.RUNNING, "failed")
    return ReindexStatus(state=state, run_id=seen.run_id or "", progress=progress)
