"""What needs an operator, recorded where it is listed."""

from typing import TYPE_CHECKING

from temporalio import activity

from activities.failures import typed_failures
from schemas.operator_tasks import OperatorTasksRecorded, RecordOperatorTasks

if TYPE_CHECKING:
    from adapters.mysql.orders.operator_tasks import OperatorTaskStore


class OperatorTaskActivities:
    """One short transaction, run beside whatever else the workflow does."""

    def __init__(self, tasks: "OperatorTaskStore") -> None:
        self._tasks = tasks

    @activity.defn
    def record_operator_tasks(self, command: RecordOperatorTasks) -> OperatorTasksRecorded:
        """Record what needs an operator in a workflow, and that nothing else of it does."""
        with typed_failures():
            return self._tasks.record(command)
