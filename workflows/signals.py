"""Signals to workflows that may have ended meanwhile."""

from temporalio import workflow
from temporalio.exceptions import FailureError, is_cancelled_exception

from schemas.base import Payload
from workflows.waiting import shielded


async def signal_if_open(workflow_id: str, signal: str, message: Payload) -> bool:
    """Whether there was a workflow to signal: that one has ended is no failure of the one that signals it."""
    try:
        await shielded(workflow.get_external_workflow_handle(workflow_id).signal(signal, message))
    except FailureError as error:
        if is_cancelled_exception(error):
            raise
        return False
    return True
