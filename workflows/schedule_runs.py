"""How a scheduled workflow ends: its success is recorded, and `/metrics` shows when each schedule had its last."""

from temporalio import workflow

from activities.schedule_runs import ScheduleRunActivities
from schemas.schedule_runs import ScheduleRun
from workflows.options import STORE_IN_BACKGROUND


async def record_success(schedule: str) -> None:
    """The last step of every scheduled workflow, by whoever it was started."""
    moment = workflow.now()
    seconds = (moment - workflow.info().start_time).total_seconds()
    await workflow.execute_activity_method(
        ScheduleRunActivities.record_schedule_run,
        ScheduleRun(schedule=schedule, succeeded_at=moment, seconds=seconds),
        summary="record the success",
        **STORE_IN_BACKGROUND,
    )
