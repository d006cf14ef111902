"""The saga: a compensation is noted before its step, and all run in reverse when the order stops."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from temporalio.exceptions import FailureError

from workflows.reasons import reason_of


@dataclass(frozen=True)
class Blocked:
    """A compensation that cannot succeed, and why."""

    name: str
    why: str


@dataclass(frozen=True)
class _Compensation:
    name: str
    run: Callable[[], Awaitable[None]]


class Saga:
    """The compensations of the steps so far. Each must be repeatable, and do nothing when its step never happened."""

    def __init__(self) -> None:
        self._compensations: list[_Compensation] = []
        self.compensating = False

    def add_compensation(self, name: str, action: Callable[[], Awaitable[None]]) -> None:
        """Note how to undo the step that is about to begin."""
        self._compensations.append(_Compensation(name, action))

    async def compensate(self) -> list[Blocked]:
        """Run the compensations, last first. One that cannot succeed is kept for the next call; the others still run.

        Outages are retried by each action's own activity options, so what comes back here is final until a person acts.
        """
        self.compensating = True
        blocked: list[Blocked] = []
        kept: list[_Compensation] = []
        while self._compensations:
            compensation = self._compensations.pop()
            try:
                await compensation.run()
            except FailureError as failure:
                blocked.append(Blocked(compensation.name, reason_of(failure).message))
                kept.append(compensation)
        self._compensations = list(reversed(kept))
        return blocked
