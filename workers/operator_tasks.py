"""When a workflow ends, however it does, what needed an operator in it is resolved."""

import asyncio
from typing import Any

from temporalio.exceptions import FailureError
from temporalio.worker import (
    ExecuteWorkflowInput,
    Interceptor,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
)

from workflows.operator_tasks import end_operator_tasks


class OperatorTasksEnd(Interceptor):
    """One place for every workflow, so that none can forget it."""

    def workflow_interceptor_class(self, input: WorkflowInterceptorClassInput) -> type[WorkflowInboundInterceptor]:  # noqa: A002, ARG002
        """Stand around the runs of workflows."""
        return _Ending


class _Ending(WorkflowInboundInterceptor):
    async def execute_workflow(self, input: ExecuteWorkflowInput) -> Any:  # noqa: A002
        try:
            result = await super().execute_workflow(input)
        except (FailureError, asyncio.CancelledError):  # any other error fails the task alone, and is retried
            await end_operator_tasks()
            raise
        await end_operator_tasks()
        return result
