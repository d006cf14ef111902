"""What is asked of the workflows that keep the catalog's search index."""

import asyncio

import structlog
from temporalio.client import Client
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.service import RPCError

from workflows.catalog import CatalogChangesWorkflow
from workflows.names import CATALOG_QUEUE, catalog_changes_workflow_id

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
