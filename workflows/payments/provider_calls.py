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
from workflows.outage import OPERATOR_AFTER, Outage, unanswered
from workflows.reasons import reason_of
from workflows.timeline import Timeline

_FIRST_WAIT, _LONGEST_WAIT = timedelta(seconds=1), timedelta(minutes=10)
_KEY_LASTS = timedelta(hours=20)  # the provider keeps one for a day at least
_LAST_ATTEMPT_ENDS = timedelta(minutes=1)
C = TypeVar("C", bound=ProviderCommand)


async def call_provider(
    deed: Callable[[Any, C], ProviderResult], command: C, summary: str, timeline: Timeline
) -> ProviderResult:
    """Have it done and answer what came of it; the business's refusals are results.

    An outage is waited for, under one key. Where the provider will never say what it did under a key, or may have
    forgotten the key, it is asked how things stand before anything is sent again, under another key, after a wait that
    grows. An operator is called when either has gone on for a quarter of an hour, and trying goes on.
    """
    outage, wait = Outage(summary, timeline), _FIRST_WAIT
    for attempt in itertools.count(2):
        try:
            result = await outage.attempt_round(deed, command, PROVIDER)
        except ActivityError as error:
            if unanswered(error):
                outage.need_operator("the provider does not answer")
                if command.unknown_since is not None or outage.lasts < _KEY_LASTS:
                    continue
                wait = max(wait, _LAST_ATTEMPT_ENDS)
            elif reason_of(error).code != OutcomeUnknown.code:
                outage.over()
                raise
            elif outage.lasts >= OPERATOR_AFTER:
                outage.need_operator("the provider does not say what it did; look at its dashboard; unknown")
        else:
            outage.over()
            return result
        timeline.add(f"{summary}: the provider does not say what it did; it is asked in {wait.total_seconds():.0f} s")
        await workflow.sleep(wait, summary="before the provider is asked")
        wait = min(wait * 2, _LONGEST_WAIT)
        command = command.asking_first(attempt, outage.began)
    raise AssertionError  # it counts for ever
