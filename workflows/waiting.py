"""Waiting for something until a moment, on one durable timer."""

from collections.abc import Callable
from datetime import datetime, timedelta

from temporalio import workflow


async def happens_before(moment: datetime, happened: Callable[[], bool], summary: str) -> bool:
    """Whether it happens in time; needs no timer when it has happened already, or the moment is past."""
    left = moment - workflow.now()
    if happened():
        return True
    if left <= timedelta(0):
        return False
    try:
        await workflow.wait_condition(happened, timeout=left, timeout_summary=summary)
    except TimeoutError:
        return False
    return True
