"""The scheduled purge of what is kept for some time only."""

from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, is_cancelled_exception

from activities.retention import RetentionActivities
from domain.retention import DataKind
from schemas.retention import PurgeRows, RetentionApplied, RetentionRule, RowsPurged
from workflows.names import RETENTION_ID
from workflows.options import RETENTION, STORE_IN_BACKGROUND
from workflows.schedule_runs import record_success

LONGEST = timedelta(hours=1)
"""What cannot be purged for so long is left for the next run."""


@workflow.defn
class RetentionWorkflow:
    """Purges one kind of data after the other; a kind that fails holds up no other, but fails the run."""

    @workflow.init
    def __init__(self) -> None:
        self._purged: list[RowsPurged] = []
        self._failed: list[DataKind] = []

    @workflow.run
    async def run(self) -> RetentionApplied:
        kept = await workflow.execute_activity_method(
            RetentionActivities.read_retention, summary="how long each kind of data is kept", **STORE_IN_BACKGROUND
        )
        for rule in kept.rules:
            await self._purge(rule)
            self._show()
        if self._failed:
            raise ApplicationError(f"not purged: {', '.join(self._failed)}", type="RetentionFailed", non_retryable=True)
        await record_success(RETENTION_ID)
        return RetentionApplied(purged=self._purged)

    async def _purge(self, rule: RetentionRule) -> None:
        before = workflow.now() - timedelta(days=rule.days)
        try:
            purged = await workflow.execute_activity_method(
                RetentionActivities.purge_rows,
                PurgeRows(kind=rule.kind, before=before),
                summary=f"{rule.kind}, {rule.days} days",
                schedule_to_close_timeout=LONGEST,
                **RETENTION,
            )
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise
            workflow.logger.error("%s could not be purged: %s", rule.kind, error.cause)
            self._failed.append(rule.kind)
        else:
            self._purged.append(purged)

    def _show(self) -> None:
        rows = sum(purged.rows for purged in self._purged)
        lines = [
            f"\n- `{purged.kind}`: {purged.rows:,}{'' if purged.finished else ', the next run goes on'}"
            for purged in self._purged
        ]
        failed = [f"\n- ⚠ `{kind}` could not be purged" for kind in self._failed]
        workflow.set_current_details(f"**{rows:,} row(s) purged or archived**{''.join(lines + failed)}")
