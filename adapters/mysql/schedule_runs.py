"""When each schedule's work was done last."""

from collections.abc import Mapping
from datetime import timedelta

import sqlalchemy as sa
from sqlalchemy.dialects.mysql import insert as mysql_insert

from adapters.mysql.clock import aware, naive, now
from adapters.mysql.tables.shared import schedule_runs
from schemas.schedule_runs import ScheduleRun, ScheduleState


class ScheduleRuns:
    """One row per schedule."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def ensure(self, every: Mapping[str, timedelta]) -> None:
        """Know these schedules and no others; what is recorded of their runs stays."""
        moment = now()
        rows = [
            {"schedule": name, "every_seconds": int(interval.total_seconds()), "known_since": moment}
            for name, interval in every.items()
        ]
        with self._engine.begin() as connection:
            connection.execute(sa.delete(schedule_runs).where(schedule_runs.c.schedule.not_in(list(every))))
            if rows:
                statement = mysql_insert(schedule_runs).values(rows)
                connection.execute(statement.on_duplicate_key_update(every_seconds=statement.inserted.every_seconds))

    def record(self, run: ScheduleRun) -> None:
        """Record a run that succeeded; an older one changes nothing."""
        moment = naive(run.succeeded_at)
        row = {"schedule": run.schedule, "known_since": moment, "succeeded_at": moment, "seconds": run.seconds}
        statement = mysql_insert(schedule_runs).values(row)
        ended, new = schedule_runs.c.succeeded_at, statement.inserted
        newer = sa.or_(ended.is_(None), ended < new.succeeded_at)
        # In this order: the columns are set one after the other, and the first still compares with the old moment.
        update = [
            ("seconds", sa.case((newer, new.seconds), else_=schedule_runs.c.seconds)),
            ("succeeded_at", sa.case((newer, new.succeeded_at), else_=ended)),
        ]
        with self._engine.begin() as connection:
            connection.execute(statement.on_duplicate_key_update(update))

    def states(self) -> list[ScheduleState]:
        """Every schedule that is known."""
        with self._engine.connect() as connection:
            rows = connection.execute(sa.select(schedule_runs).order_by(schedule_runs.c.schedule)).all()
        return [
            ScheduleState(
                schedule=row.schedule,
                every_seconds=row.every_seconds,
                known_since=aware(row.known_since),
                succeeded_at=aware(row.succeeded_at) if row.succeeded_at else None,
                seconds=row.seconds,
            )
            for row in rows
        ]
