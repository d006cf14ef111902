"""Waiting for what a workflow does: for a condition, with a deadline that only a broken run reaches."""

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any, TypeAlias

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import EventType
from temporalio.api.sdk.v1 import WorkflowMetadata
from temporalio.api.workflow.v1 import WorkflowExecutionInfo
from temporalio.api.workflowservice.v1 import DescribeWorkflowExecutionRequest
from temporalio.client import WorkflowExecutionStatus, WorkflowHandle
from temporalio.service import RPCError, RPCStatusCode

Handle: TypeAlias = WorkflowHandle[Any, Any]

DEADLINE_SECONDS = 150
_PAUSE_SECONDS = 0.05
_TRANSIT_SECONDS = 0.2  # in which a signal from one workflow to another arrives
_OPEN = (EventType.EVENT_TYPE_WORKFLOW_TASK_SCHEDULED, EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED)
_CLOSED = (
    EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED,
    EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED,
    EventType.EVENT_TYPE_WORKFLOW_TASK_TIMED_OUT,
    EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED,
    EventType.EVENT_TYPE_ACTIVITY_TASK_FAILED,
    EventType.EVENT_TYPE_ACTIVITY_TASK_TIMED_OUT,
    EventType.EVENT_TYPE_ACTIVITY_TASK_CANCELED,
)


async def until(condition: Callable[[], object]) -> None:
    """Wait until it is true; it may block, as a look into the database does."""
    await until_async(lambda: asyncio.to_thread(condition))


async def until_async(condition: Callable[[], Awaitable[object]]) -> None:
    async with asyncio.timeout(DEADLINE_SECONDS):
        while not await condition():
            await asyncio.sleep(_PAUSE_SECONDS)


async def until_started(handle: Handle) -> None:
    """A child whose parent has just started it may not be there yet; the time-skipping server answers NOT_FOUND."""

    async def started() -> bool:
        try:
            await search_attributes(handle)
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
            return False
        return True

    await until_async(started)


async def until_called(handle: Handle, activity: str) -> None:
    async def called() -> bool:
        events = (await handle.fetch_history()).events
        return activity in [event.activity_task_scheduled_event_attributes.activity_type.name for event in events]

    await until_started(handle)
    await until_async(called)


async def execution_status(handle: Handle) -> WorkflowExecutionStatus:
    """Whether it runs, or how it has ended."""
    return WorkflowExecutionStatus((await _execution(handle)).status)


async def search_attributes(handle: Handle) -> dict[str, object]:
    """Those that are set."""
    fields = (await _execution(handle)).search_attributes.indexed_fields
    found = {name: json.loads(payload.data or b"null") for name, payload in fields.items()}
    return {name: value for name, value in found.items() if value is not None}


async def _execution(handle: Handle) -> WorkflowExecutionInfo:
    """The SDK's own description cannot be read on the time-skipping server once a search attribute was unset."""
    client = handle._client  # the handle offers no other way to ask
    request = DescribeWorkflowExecutionRequest(
        namespace=client.namespace, execution=WorkflowExecution(workflow_id=handle.id)
    )
    described = await client.workflow_service.describe_workflow_execution(request)
    return described.workflow_execution_info


async def until_idle(handle: Handle) -> None:
    """It has handled every message sent to it, and waits for the next one, or for a timer."""

    async def idle() -> bool:
        seen = Counter(event.event_type for event in (await handle.fetch_history()).events)
        return sum(seen[kind] for kind in _OPEN) == sum(seen[kind] for kind in _CLOSED)

    await until_started(handle)
    await until_async(idle)


async def until_quiet(handles: Sequence[Handle]) -> None:
    """None of them has anything to do, and nothing is under way from one to another."""
    before = -1
    while before != (before := await _events_when_idle(handles)):
        await asyncio.sleep(_TRANSIT_SECONDS)


async def _events_when_idle(handles: Sequence[Handle]) -> int:
    """How many events those of them have that were started, as soon as each has handled everything sent to it."""
    events = 0
    for handle in handles:
        with suppress(RPCError):
            if await execution_status(handle) is WorkflowExecutionStatus.RUNNING:
                await until_idle(handle)
            events += len((await handle.fetch_history()).events)
    return events


async def until_timer(handle: Handle) -> None:
    """It has found nothing to do yet, and waits a moment."""

    async def waits() -> bool:
        return EventType.EVENT_TYPE_TIMER_STARTED in [e.event_type for e in (await handle.fetch_history()).events]

    await until_started(handle)
    await until_async(waits)


async def current_details(handle: Handle) -> str:
    """What an operator reads in the Web UI."""
    metadata = await handle.query("__temporal_workflow_metadata", result_type=WorkflowMetadata)
    return str(metadata.current_details)


async def until_details(handle: Handle, text: str) -> None:
    async def shown() -> bool:
        return text in await current_details(handle)

    await until_started(handle)
    await until_async(shown)
