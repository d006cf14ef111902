"""ReindexWorkflow builds a search index from MySQL beside the one in use, and switches over when it is complete.

Searches never notice, changes made meanwhile are written to both. There is one at a time for each subject, by its
id. When it fails or is cancelled the incomplete index is removed and the one in use stays as it was.
"""

import asyncio
from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import FailureError

from activities.search import SearchActivities
from schemas.reindex import FillIndex, IndexNamed, MakeIndex, Reindex, Reindexed, ReindexProgress
from workflows.names import REINDEX_PROGRESS
from workflows.options import INDEX, INDEX_FILL
from workflows.waiting import shielded

_MOST_CHUNKS = 1000  # a history has room for them
_VERIFICATIONS = 5
# Searches that began on the old index end within it.
_LAST_SEARCHES = timedelta(seconds=3)


@workflow.defn
class ReindexWorkflow:
    """Make → fill in chunks → verify and compact → switch → drop the old."""

    @workflow.init
    def __init__(self, command: Reindex) -> None:
        self._subject = command.subject
        self._progress = ReindexProgress(subject=command.subject)
        self._started = workflow.now()
        self._incomplete: IndexNamed | None = None

    @workflow.run
    async def run(self, command: Reindex) -> Reindexed:
        try:
            return await self._rebuild(command)
        except (asyncio.CancelledError, FailureError):
            if self._incomplete is not None:
                await shielded(self._remove(self._incomplete))
            raise

    async def _rebuild(self, command: Reindex) -> Reindexed:
        suffix = f"{workflow.now():%Y%m%d%H%M%S}-{workflow.info().run_id[:8]}"
        made = await workflow.execute_activity_method(
            SearchActivities.make_index,
            MakeIndex(subject=self._subject, suffix=suffix),
            summary=f"an empty index of {self._subject}",
            **INDEX,
        )
        fresh = IndexNamed(subject=self._subject, index=made.index)
        self._incomplete = fresh
        self._show(phase="filling", index=made.index, total=made.total)
        await self._fill(fresh, max(command.chunk, made.total // _MOST_CHUNKS))
        documents = await self._verify(fresh)
        # From here on it is too late to cancel: searches may ask the new index already, and the old one must go.
        self._incomplete = None
        switching = asyncio.create_task(self._switch(fresh))
        try:
            await asyncio.shield(switching)
        except asyncio.CancelledError:
            await switching
        self._show(phase="done")
        return Reindexed(
            index=fresh.index, documents=documents, seconds=round((workflow.now() - self._started).total_seconds(), 3)
        )

    async def _fill(self, fresh: IndexNamed, chunk: int) -> None:
        after, started = "", workflow.now()
        while True:
            filled = await workflow.execute_activity_method(
                SearchActivities.fill_index,
                FillIndex(subject=self._subject, index=fresh.index, after=after, limit=chunk),
                summary=f"{self._subject} after {after or 'the beginning'}",
                **INDEX_FILL,
            )
            done = self._progress.done + filled.count
            seconds = (workflow.now() - started).total_seconds()
            self._show(done=done, total=max(done, self._progress.total), per_second=int(done / max(seconds, 0.001)))
            after = filled.after
            if not after:
                return

    async def _verify(self, fresh: IndexNamed) -> int:
        self._show(phase="verifying")
        options = INDEX_FILL | {
            "retry_policy": RetryPolicy(maximum_attempts=_VERIFICATIONS, maximum_interval=timedelta(seconds=10))
        }
        verified = await workflow.execute_activity_method(
            SearchActivities.verify_index,
            fresh,
            summary="compare every document with its row",
            **options,
        )
        await workflow.execute_activity_method(
            SearchActivities.compact_index, fresh, summary="merge segments", **INDEX_FILL
        )
        return verified.documents

    async def _switch(self, fresh: IndexNamed) -> None:
        await workflow.execute_activity_method(
            SearchActivities.switch_index, fresh, summary="move the search alias", **INDEX
        )
        self._show(phase="switched")
        await workflow.sleep(_LAST_SEARCHES, summary="let searches of the old index end")
        await workflow.execute_activity_method(
            SearchActivities.drop_leftovers, fresh, summary="drop indices no longer searched", **INDEX
        )

    async def _remove(self, incomplete: IndexNamed) -> None:
        await workflow.execute_activity_method(
            SearchActivities.drop_index, incomplete, summary="drop the incomplete index", **INDEX
        )
        self._show(phase="removed")

    def _show(self, **changes: object) -> None:
        """Show progress in the Web UI, and in the memo, which can be read while no worker runs."""
        self._progress = self._progress.model_copy(update=changes)
        now = self._progress
        share = 100 * now.done // now.total if now.total else 100
        workflow.set_current_details(
            f"**{now.subject}: {now.phase}**\n\n"
            f"{now.done:,} of {now.total:,} written ({share} %), {now.per_second:,} a second, into `{now.index}`"
        )
        workflow.upsert_memo({REINDEX_PROGRESS: now.model_dump(mode="json")})
