"""What needs an operator and nobody answers: staff are reminded of it, and a rule decides where one may."""

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

from temporalio import activity

from activities.failures import typed_failures
from domain.watchdog import Level
from schemas.operator_tasks import OperatorTaskCode, UnansweredTask
from schemas.watchdog import RULES, OverdueDecided, SafeDecision, StaffReminded

if TYPE_CHECKING:
    from adapters.mail.mailer import Mailer
    from adapters.mysql.orders.unanswered import UnansweredTasks

UNAVAILABLE = "unavailable"
"""What is answered for a decision that could not be carried out now."""
_MAILED_AT_ONCE, _DECIDED_AT_ONCE = 200, 50


class Decisions(Protocol):
    """What may be done to an order by rule."""

    async def decide(self, decision: SafeDecision, task: UnansweredTask) -> str | None:
        """Carry it out, once for each time it is due; the code of the refusal, or None when it is done or under way."""


class StaffMailActivities:
    """Calls to the mail server; without an address for such mails they are logged alone."""

    def __init__(self, tasks: "UnansweredTasks", mailer: "Mailer") -> None:
        self._tasks = tasks
        self._mailer = mailer

    @activity.defn
    def remind_staff(self) -> StaffReminded:
        """Mail what was not answered in time, and escalate what still was not; after a crash in between once more."""
        with typed_failures():
            return StaffReminded(reminded=self._mail(Level.REMINDED), escalated=self._mail(Level.ESCALATED))

    def _mail(self, level: Level) -> int:
        moment = datetime.now(UTC)
        due = self._tasks.due(level, moment, _MAILED_AT_ONCE)
        if due:
            activity.logger.error("needs operator: %d task(s) %s", len(due), level.name.lower())
            self._mailer.send_to_staff(due, escalated=level is Level.ESCALATED)
            self._tasks.mark(level, [task.id for task in due], moment)
        return len(due)


class OverdueDecisionActivities:
    """Decides by the table of what is safe (schemas/watchdog.py)."""

    def __init__(self, tasks: "UnansweredTasks", decisions: Decisions) -> None:
        self._tasks = tasks
        self._decisions = decisions

    @activity.defn
    async def decide_overdue(self) -> OverdueDecided:
        """Decide what nobody has answered and a rule may; what is refused goes on waiting for a person."""
        moment, decided, refused = datetime.now(UTC), 0, 0
        for task in await asyncio.to_thread(self._tasks.to_decide, RULES, moment, _DECIDED_AT_ONCE):
            decision = RULES[OperatorTaskCode(task.code)].decision
            code = await self._decisions.decide(decision, task)
            if code == UNAVAILABLE:
                continue  # the next run decides
            if code is not None:
                refused += 1
                activity.logger.warning("%s of order %s is refused: %s", decision, task.order_id, code)
            decided += 1
            await asyncio.to_thread(self._tasks.mark, Level.DECIDED, [task.id], moment)
            activity.heartbeat()
        return OverdueDecided(decided=decided, refused=refused)
