"""Signals to workflows that may have ended meanwhile.

Two that are sent together may arrive in either sequence: where that matters, the first is awaited before the second.
"""

from collections.abc import Callable
from typing import Any, TypeAlias

from temporalio import workflow
from temporalio.exceptions import FailureError, is_cancelled_exception
from temporalio.workflow import ChildWorkflowHandle

from schemas.base import Payload
from workflows.running import RunningChild
from workflows.waiting import shielded

Child: TypeAlias = ChildWorkflowHandle[Any, Any] | RunningChild


async def signal_if_open(workflow_id: str, signal: str, message: Payload) -> bool:
    """Whether there was a workflow to signal: that one has ended is no failure of the one that signals it."""
    try:
        await shielded(workflow.get_external_workflow_handle(workflow_id).signal(signal, message))
    except FailureError as error:
        if is_cancelled_exception(error):
            raise
        return False
    return True


async def signal_child(child: Child, signal: Callable[..., None], *arguments: Payload) -> None:
    """Signal a child, unless it has ended."""
    if child.done():
        return
    try:
        await shielded(child.signal(signal, args=arguments))
    except FailureError as error:  # it has ended this very moment
        if is_cancelled_exception(error):
            raise
