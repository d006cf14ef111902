"""Records that scheduled work was done."""

from typing import TYPE_CHECKING

from temporalio import activity

from schemas.schedule_runs import ScheduleRun

if TYPE_CHECKING:
    from adapters.mysql.schedule_runs import ScheduleRuns


class ScheduleRunActivities:
    """One short transaction."""

    def __init__(self, runs: "ScheduleRuns") -> None:
        self._runs = runs

    @activity.defn
    def record_schedule_run(self, run: ScheduleRun) -> None:
        """Record it for the metrics; a repeat changes nothing."""
        self._runs.record(run)
