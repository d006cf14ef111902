"""Calls that may stay unanswered for long: retried until answered, visible to an operator."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.exceptions import ActivityError, RetryState

from schemas.operator_tasks import OperatorTaskCode
from workflows.options import CARRIER, MAIL, STORE_AWAY, CallOptions
from workflows.timeline import Timeline

OPERATOR_AFTER = timedelta(minutes=15)
_SHORTEST_ATTEMPT, _LATER_ATTEMPTS = timedelta(minutes=1), timedelta(hours=2)
# What it means that a call is not answered, by the options it is made with; all others are to the payment provider.
_CODES = (
    (CARRIER, OperatorTaskCode.CARRIER_UNANSWERED),
    (MAIL, OperatorTaskCode.MAIL_UNSENT),
    (STORE_AWAY, OperatorTaskCode.STORE_UNANSWERED),
)
C = TypeVar("C")
R = TypeVar("R")


class Outage:
    """One call and for how long it is unanswered; that it needs an operator is shown until it is answered.

    An activity's own retries end after a while, so that the workflow learns that there is no answer, and go on in the
    next activity. That costs an answered call nothing.
    """

    def __init__(self, summary: str, timeline: Timeline, operator_after: timedelta = OPERATOR_AFTER) -> None:
        self._summary = summary
        self._timeline = timeline
        self._operator_after = operator_after
        self._escalated = False
        self._code = OperatorTaskCode.PROVIDER_UNANSWERED
        self.began = workflow.now()

    @property
    def lasts(self) -> timedelta:
        """For how long it has been unanswered."""
        return workflow.now() - self.began

    async def attempt(self, call: Callable[[Any, C], R], command: C, options: CallOptions) -> R:
        """Retry for a while; raises ActivityError when there is no answer by then, see `unanswered`."""
        self._code = next((code for of, code in _CODES if of is options), self._code)
        shortest = min(self._operator_after, _SHORTEST_ATTEMPT)
        limit = _LATER_ATTEMPTS if self._escalated else max(self._operator_after - self.lasts, shortest)
        return await workflow.execute_activity_method(
            call, command, summary=self._summary, schedule_to_close_timeout=limit, **options
        )

    def needs_operator(self, why: str) -> None:
        """An operator has to look at it; retries go on."""
        self._timeline.needs_operator(
            [f"{self._summary}: {why} since {self.began:%Y-%m-%d %H:%M:%S} UTC"],
            about=self._summary,
            code=self._code,
            since=self.began,
        )
        if not self._escalated:
            self._escalated = True
            workflow.logger.error("needs operator: a call is not answered", extra={"call": self._summary})

    def answered(self) -> None:
        """There is an answer; clear what is shown."""
        if self._escalated:
            self._escalated = False
            self._timeline.needs_operator([], about=self._summary)
            self._timeline.add(f"{self._summary}: answered")


def unanswered(error: ActivityError) -> bool:
    """Whether the retries of one activity have ended without an answer."""
    return error.retry_state is RetryState.TIMEOUT


async def retry_until_answered(
    call: Callable[[Any, C], R],
    command: C,
    summary: str,
    timeline: Timeline,
    options: CallOptions,
    *,
    operator_after: timedelta = OPERATOR_AFTER,
    why: str = "no answer",
) -> R:
    """Retry the same command however long it takes; `why` is what an operator reads when it takes long."""
    outage = Outage(summary, timeline, operator_after)
    while True:
        try:
            answer = await outage.attempt(call, command, options)
        except ActivityError as error:
            if not unanswered(error):
                outage.answered()
                raise
            outage.needs_operator(why)
        else:
            outage.answered()
            return answer
