"""Calls to systems of other people that may be away for long: they are waited for, and an operator is called."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.exceptions import ActivityError, RetryState

from workflows.options import CallOptions
from workflows.timeline import Timeline

OPERATOR_AFTER = timedelta(minutes=15)
_SHORTEST_ROUND, _LATER_ROUNDS = timedelta(minutes=1), timedelta(hours=2)
C = TypeVar("C")
R = TypeVar("R")


class Outage:
    """One call and how long it has been waited for; what is owed because of it is shown until it is over.

    The attempts of an activity end after a round, so that the workflow hears that nobody answers, and go on in the
    next one. That costs a call that is answered nothing.
    """

    def __init__(self, summary: str, timeline: Timeline) -> None:
        self._summary = summary
        self._timeline = timeline
        self._called = False
        self.began = workflow.now()

    @property
    def lasts(self) -> timedelta:
        """For how long it has been tried."""
        return workflow.now() - self.began

    async def attempt_round(self, deed: Callable[[Any, C], R], command: C, options: CallOptions) -> R:
        """Try for a while; raises ActivityError when nobody has answered by then, see `unanswered`."""
        patience = _LATER_ROUNDS if self._called else max(OPERATOR_AFTER - self.lasts, _SHORTEST_ROUND)
        return await workflow.execute_activity_method(
            deed, command, summary=self._summary, schedule_to_close_timeout=patience, **options
        )

    def need_operator(self, why: str) -> None:
        """Somebody must look at it; trying goes on."""
        self._timeline.owe([f"{self._summary}: {why} since {self.began:%Y-%m-%d %H:%M:%S} UTC"], about=self._summary)
        if not self._called:
            self._called = True
            workflow.logger.error("somebody must look at who does not answer", extra={"deed": self._summary})

    def over(self) -> None:
        """There is an answer."""
        if self._called:
            self._called = False
            self._timeline.owe([], about=self._summary)
            self._timeline.add(f"{self._summary}: answered at last")


def unanswered(error: ActivityError) -> bool:
    """Whether a round has ended without an answer."""
    return error.retry_state is RetryState.TIMEOUT


async def retry_until_answered(
    deed: Callable[[Any, C], R], command: C, summary: str, timeline: Timeline, options: CallOptions
) -> R:
    """Have it done however long that takes, always by the same command."""
    outage = Outage(summary, timeline)
    while True:
        try:
            answer = await outage.attempt_round(deed, command, options)
        except ActivityError as error:
            if not unanswered(error):
                outage.over()
                raise
            outage.need_operator("no answer")
        else:
            outage.over()
            return answer
