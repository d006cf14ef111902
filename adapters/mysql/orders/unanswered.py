"""What needs an operator and was not answered in time, and what was done about that."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from adapters.mysql.clock import aware, naive
from adapters.mysql.tables.orders import operator_tasks
from domain.watchdog import AnswerTimes, Level
from schemas.operator_tasks import OperatorTaskCode, UnansweredTask
from schemas.watchdog import Rule

_T = operator_tasks.c


_MARKS = {Level.REMINDED: _T.reminded_at, Level.ESCALATED: _T.escalated_at, Level.DECIDED: _T.decided_at}


class UnansweredTasks:
    """A mark counts for as long as the same thing waits: not for what began later."""

    def __init__(self, engine: sa.Engine, times: AnswerTimes) -> None:
        self._engine = engine
        self._times = times

    def due(self, level: Level, moment: datetime, limit: int) -> list[UnansweredTask]:
        """The tasks that have come to this level and are not marked so, the oldest first."""
        mark = _MARKS[level]
        overdue = _T.since <= self._before(moment, level)
        return self._read(sa.and_(overdue, sa.or_(mark.is_(None), mark < _T.since)), limit)

    def to_decide(self, rules: Mapping[OperatorTaskCode, Rule], moment: datetime, limit: int) -> list[UnansweredTask]:
        """The tasks about which a rule is to decide: when they say so themselves, or nobody has answered them for long;
        once more after as long again when that has not ended them.
        """
        when_due = sorted(code for code, rule in rules.items() if rule.when_due)
        once = sorted(code for code, rule in rules.items() if rule.once)
        long_ago = self._before(moment, Level.DECIDED)
        over = sa.case(
            (_T.due_at.is_not(None), _T.due_at <= naive(moment)),
            else_=sa.and_(_T.since <= long_ago, _T.code.not_in(when_due)),
        )
        earlier = sa.or_(_T.decided_at < _T.since, _T.decided_at <= long_ago)
        again = sa.or_(_T.decided_at.is_(None), sa.and_(_T.code.not_in(once), earlier))
        return self._read(sa.and_(_T.code.in_(sorted(rules)), over, again), limit)

    def mark(self, level: Level, ids: Collection[int], moment: datetime) -> None:
        """Note that this was done about them."""
        statement = sa.update(operator_tasks).where(_T.id.in_(ids)).values({_MARKS[level].name: naive(moment)})
        with self._engine.begin() as connection:
            connection.execute(statement)

    def _before(self, moment: datetime, level: Level) -> sa.ColumnElement[Any]:
        """When what has come to this level began at the latest, by its code."""
        latest = {code: sa.literal(naive(moment - level.value * time)) for code, time in self._times.by_code.items()}
        rule = sa.literal(naive(moment - level.value * self._times.rule))
        return sa.case(latest, value=_T.code, else_=rule) if latest else rule

    def _read(self, which: sa.ColumnElement[bool], limit: int) -> list[UnansweredTask]:
        query = sa.select(operator_tasks).where(_T.resolved_at.is_(None), which).order_by(_T.since, _T.id).limit(limit)
        with self._engine.connect() as connection:
            return [
                UnansweredTask(
                    id=row.id,
                    workflow_id=row.workflow_id,
                    order_id=row.order_id,
                    code=row.code,
                    parcel=row.parcel,
                    text=row.text,
                    since=aware(row.since),
                    route=row.route,
                    decided_at=aware(row.decided_at) if row.decided_at else None,
                )
                for row in connection.execute(query)
            ]
