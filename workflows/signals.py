"""Signals to workflows that may have ended meanwhile.

Two that are sent together may arrive in either sequence: where that matters, the first is awaited before the second.
"""

from collections.abc import Callable, Coroutine
from typing import Any, TypeAlias

from temporalio import workflow
from temporalio.exceptions import FailureError, is_cancelled_exception
from temporalio.workflow import ChildWorkflowHandle

from schemas.base import Payload
from workflows.running import RunningChild
from workflows.waiting import shielded

Child: TypeAlias = ChildWorkflowHandle[Any, Any] | RunningChild


async def signal_if_open(workflow_id: str, signal: str, *messages: Payload) -> bool:
    """Whether there was a workflow to signal: that one has ended is no failure of the one that signals it."""
    return await _sent(workflow.get_external_workflow_handle(workflow_id).signal(signal, args=messages))


async def signal_child(child: Child, signal: Callable[..., None], *messages: Payload) -> None:
    """Signal a child, unless it has ended."""
    if not child.done():
        await _sent(child.signal(signal, args=messages))


async def _sent(sending: Coroutine[Any, Any, None]) -> bool:
    try:
        await shielded(sending)
    except FailureError as error:  # it has ended, perhaps this very moment
        if is_cancelled_exception(error):
            raise
        return False
    return True
