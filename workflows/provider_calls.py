"""A deed at the payment provider that is done once, whatever becomes of the provider's answers."""

import itertools
from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.exceptions import ActivityError

from domain.errors import OutcomeUnknown
from schemas.payments import ProviderCommand, ProviderResult
from workflows.options import PROVIDER
from workflows.reasons import reason_of
from workflows.timeline import Timeline

_FIRST_WAIT, _LONGEST_WAIT = timedelta(seconds=1), timedelta(minutes=10)
_PATIENCE = timedelta(minutes=15)
C = TypeVar("C", bound=ProviderCommand)


async def call_provider(
    deed: Callable[[Any, C], ProviderResult], command: C, summary: str, timeline: Timeline
) -> ProviderResult:
    """Have it done and answer what came of it; the business's refusals are results.

    An outage is waited for, under one key. Where the provider will never say what it did under a key, it is asked how
    things stand before anything is sent again, under another key, after a wait that grows. An operator is called when
    that has gone on for a quarter of an hour, and trying goes on.
    """
    began, wait = workflow.now(), _FIRST_WAIT
    for attempt in itertools.count(2):
        try:
            return await workflow.execute_activity_method(deed, command, summary=summary, **PROVIDER)
        except ActivityError as error:
            if reason_of(error).code != OutcomeUnknown.code:
                raise
        timeline.tell(f"{summary}: the provider does not say what it did; it is asked in {wait.total_seconds():.0f} s")
        if workflow.now() - began >= _PATIENCE:
            timeline.owe([f"{summary}: unknown since {began:%H:%M:%S}; look at the provider's dashboard"])
            workflow.logger.error("somebody must look at the payment provider", extra={"step": command.step})
        await workflow.sleep(wait, summary="before the provider is asked")
        wait = min(wait * 2, _LONGEST_WAIT)
        command = command.asking_first(attempt, began)
    raise AssertionError  # it counts for ever
