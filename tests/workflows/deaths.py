"""Workers that die: as the server notices it, at a moment that a test chooses."""

from collections import deque
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from temporalio.client import Client
from temporalio.exceptions import ApplicationError
from temporalio.plugin import SimplePlugin
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor, WorkerConfig


class Moment(StrEnum):
    """When a worker dies."""

    BEFORE_IT_ACTS = "before it acts"
    BEFORE_IT_ANSWERS = "before it answers"


@dataclass
class Deaths(Interceptor):
    """Of the worker that runs one of the next activities; another one takes over, which runs it again.

    The server notices a death by a time-out, here by a failure: both are retried, and a test need not wait.
    """

    _due: deque[Moment | None] = field(default_factory=deque)

    def arm(self, moment: Moment, *, after: int) -> None:
        """The worker dies in the next activity but so many."""
        self._due.extend([None] * after)
        self._due.append(moment)

    def end(self) -> None:
        """No worker dies any more."""
        self._due.clear()

    def next_moment(self) -> Moment | None:
        return self._due.popleft() if self._due else None

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002
        return _Mortal(next, self)


class _Mortal(ActivityInboundInterceptor):
    def __init__(self, following: ActivityInboundInterceptor, deaths: Deaths) -> None:
        super().__init__(following)
        self._deaths = deaths

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002
        moment = self._deaths.next_moment()
        if moment is Moment.BEFORE_IT_ACTS:
            raise _died()
        answer = await super().execute_activity(input)
        if moment is Moment.BEFORE_IT_ANSWERS:
            raise _died()
        return answer


def _died() -> ApplicationError:
    return ApplicationError("the worker died", type="WorkerDied")


class _Forgetful(SimplePlugin):
    """Workers that keep no workflow in memory: each task is done by one that reads the whole history first."""

    def configure_worker(self, config: WorkerConfig) -> WorkerConfig:
        config["max_cached_workflows"] = 0
        return super().configure_worker(config)


def with_mortal_workers(client: Client, deaths: Deaths) -> Client:
    """The same client, for workers that die, and are replaced, between any two tasks of a workflow."""
    config = client.config()
    config["plugins"] = [_Forgetful("workers that die", interceptors=[deaths])]
    return Client(**config)
