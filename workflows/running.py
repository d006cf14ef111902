"""A child that an earlier workflow has started and that runs on: signalled from outside, followed by its signals."""

import asyncio
from collections.abc import Callable, Generator, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ApplicationError, FailureError

from activities.order_sweep import OrderSweepActivities
from schemas.base import Payload
from schemas.order_sweep import FindWorkflow
from workflows.names import ORDERS_QUEUE
from workflows.options import STORE_IN_BACKGROUND
from workflows.waiting import shielded

_FIRST_LOOK, _LAST_LOOKS = timedelta(minutes=1), timedelta(hours=6)


class RunningChild:
    """As a child's handle; it has failed once its workflow runs no more and has not signalled its end.

    Its signals say when it ends. Should one get lost with it, Temporal is asked, ever more seldom.
    """

    def __init__(self, workflow_id: str, is_over: Callable[[], bool]) -> None:
        self._workflow_id = workflow_id
        self._is_over = is_over
        self._gone = False
        self._end = asyncio.create_task(self._until_end())

    async def signal(self, signal: Callable[..., None], *arguments: Payload, args: Sequence[Payload] = ()) -> None:
        """Signal it; raises FailureError when it is gone."""
        try:
            handle = workflow.get_external_workflow_handle(self._workflow_id)
            await shielded(handle.signal(signal.__name__, args=[*arguments, *args]))
        except FailureError:
            self._gone = True
            raise

    def done(self) -> bool:
        """Whether it has ended."""
        return self._end.done()

    def exception(self) -> BaseException | None:
        """Why it has failed, of one that has ended."""
        return self._end.exception()

    def __await__(self) -> Generator[Any, None, None]:
        return asyncio.shield(self._end).__await__()

    async def _until_end(self) -> None:
        pause = _FIRST_LOOK
        while not (self._gone or self._is_over()):
            with suppress(TimeoutError):
                await workflow.wait_condition(
                    lambda: self._gone or self._is_over(), timeout=pause, timeout_summary=f"look at {self._workflow_id}"
                )
                break
            self._gone = not await self._runs()
            pause = min(2 * pause, _LAST_LOOKS)
        if not self._is_over():
            raise ApplicationError(f"{self._workflow_id} runs no more.", type="workflow_gone", non_retryable=True)

    async def _runs(self) -> bool:
        return await workflow.execute_activity_method(
            OrderSweepActivities.is_running,
            FindWorkflow(workflow_id=self._workflow_id),
            task_queue=ORDERS_QUEUE,
            summary=f"look at {self._workflow_id}",
            **STORE_IN_BACKGROUND,
        )
