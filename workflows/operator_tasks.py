"""What needs an operator in one workflow: search attributes find it, MySQL lists it, and both are cleared with it."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime

from temporalio import workflow
from temporalio.exceptions import FailureError

from activities.operator_tasks import OperatorTaskActivities
from schemas.operator_tasks import OperatorTask, OperatorTaskCode, RecordOperatorTasks
from workflows.names import NEEDS_OPERATOR, STUCK_SINCE
from workflows.options import STORE_IN_BACKGROUND, STORE_ONCE
from workflows.waiting import run_to_completion

_KEPT_AS = "_operator_tasks_of_this_run"


class OperatorTasks:
    """The tasks of one workflow, by what they are about.

    MySQL learns of them in the background, all that are open at once: a database that is away delays nothing but the
    workflow's end, and nothing at all where no task was ever open. A change that was resolved before it could be
    recorded is never recorded.
    """

    def __init__(self, order_id: str | None) -> None:
        self.order_id = order_id
        self._open: dict[str, list[OperatorTask]] = {}
        self._shown: tuple[list[str], datetime | None] = ([], None)
        self._revision = self._recorded = 0
        self._writer: asyncio.Task[None] | None = None

    @property
    def open(self) -> list[OperatorTask]:
        """What needs an operator now, the oldest first."""
        return sorted((task for tasks in self._open.values() for task in tasks), key=lambda task: task.since)

    def replace(self, about: str, tasks: Sequence[OperatorTask]) -> bool:
        """What needs an operator about this, whether that is a change; what waited already keeps its beginning."""
        before = self._open.get(about, [])
        by_text = {task.text: task.since for task in before}
        by_place = [task.since for task in before]
        now = [
            task.model_copy(update={"since": by_text.get(task.text, (*by_place[place:], task.since)[0])})
            for place, task in enumerate(tasks)
        ]
        if now == before:
            return False
        self._open[about] = now
        self._show()
        return True

    async def end(self) -> None:
        """The workflow ends: nothing of it waits any more but what outlasts it. Returns once that is recorded."""
        kept = {about: [task for task in tasks if task.outlasts] for about, tasks in self._open.items()}
        if kept != self._open:
            self._open = kept
            self._show()
        if self._writer is not None:
            await self._writer

    def _show(self) -> None:
        # The interceptor of the worker finds it there when the workflow ends, whatever the workflow is made of.
        setattr(workflow.instance(), _KEPT_AS, self)
        self._upsert()
        # Increasing over the runs of one workflow id too, and never so fast that it leaves the clock behind.
        self._revision = max(self._revision + 1, int(workflow.now().timestamp() * 1_000_000))
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._record())

    def _upsert(self) -> None:
        """Set only when they change: each time is an event in the history."""
        waiting = self.open
        shown = (sorted({str(task.code) for task in waiting}), waiting[0].since if waiting else None)
        if shown == self._shown:
            return
        self._shown = (codes, since) = shown
        if since is None:
            workflow.upsert_search_attributes([NEEDS_OPERATOR.value_unset(), STUCK_SINCE.value_unset()])
        else:
            workflow.upsert_search_attributes([NEEDS_OPERATOR.value_set(codes), STUCK_SINCE.value_set(since)])

    async def _record(self) -> None:
        while self._recorded < self._revision:
            revision = self._revision
            command = RecordOperatorTasks(
                workflow_id=workflow.info().workflow_id, revision=revision, order_id=self.order_id, tasks=self.open
            )
            try:
                await _write(command)
            except FailureError:
                # The search attributes say it all the same, and what it is about goes on.
                workflow.logger.exception("what needs an operator could not be recorded")
            self._recorded = revision


async def _write(command: RecordOperatorTasks) -> None:
    """One event in the history where MySQL answers; where it is away, the server's retries write none either."""
    call, summary = OperatorTaskActivities.record_operator_tasks, "what needs an operator"
    if all(task.code is not OperatorTaskCode.STORE_UNANSWERED for task in command.tasks):
        with suppress(FailureError):
            await workflow.execute_local_activity_method(call, command, summary=summary, **STORE_ONCE)
            return
    await workflow.execute_activity_method(call, command, summary=summary, **STORE_IN_BACKGROUND)


async def end_operator_tasks() -> None:
    """End those of the workflow that is about to end, if it ever had any."""
    tasks = getattr(workflow.instance(), _KEPT_AS, None)
    if isinstance(tasks, OperatorTasks):
        await run_to_completion(tasks.end(), workflow.logger.warning)
