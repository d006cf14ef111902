"""The saga: note the undo before the deed, run the undos in reverse when the story stops."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from temporalio.exceptions import FailureError

from workflows.reasons import reason_of


@dataclass(frozen=True)
class Blocked:
    """An undo that cannot succeed, and why: what is still owed."""

    name: str
    why: str


@dataclass(frozen=True)
class _Compensation:
    name: str
    run: Callable[[], Awaitable[None]]


class Saga:
    """The undos of the steps so far. Each undo must be repeat-safe and do nothing when its deed never happened."""

    def __init__(self) -> None:
        self._undos: list[_Compensation] = []
        self.compensating = False

    def note(self, name: str, undo: Callable[[], Awaitable[None]]) -> None:
        """Remember how to undo the step that is about to begin."""
        self._undos.append(_Compensation(name, undo))

    async def compensate(self) -> list[Blocked]:
        """Run the undos, last first. One that cannot succeed is kept for another `compensate`; the others still run.

        Outages are retried by each undo's own activity options, so what comes back here is final until a person acts.
        """
        self.compensating = True
        blocked: list[Blocked] = []
        kept: list[_Compensation] = []
        while self._undos:
            undo = self._undos.pop()
            try:
                await undo.run()
            except FailureError as failure:
                blocked.append(Blocked(undo.name, reason_of(failure).message))
                kept.append(undo)
        self._undos = list(reversed(kept))
        return blocked
