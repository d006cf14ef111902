"""Failed sign-ins that outlive Redis: written with every failure, read when Redis is away."""

from collections.abc import Iterable, Mapping
from datetime import timedelta

import sqlalchemy as sa
from sqlalchemy.dialects.mysql import insert as mysql_insert

from adapters.mysql.clock import now
from adapters.mysql.tables.identity import login_failures
from domain.login_throttle import FORGOTTEN_AFTER_SECONDS, pause_seconds

_C = login_failures.c


class LoginFailures:
    """Failures by subject (`account:…`, `address:…`)."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def pause(self, subjects: Iterable[str]) -> float:
        """Seconds until the last of the subjects may try again; 0 when all may."""
        moment = now()
        query = sa.select(sa.func.max(_C.blocked_until)).where(_C.subject.in_(list(subjects)))
        with self._engine.connect() as connection:
            until = connection.scalar(query)
        return max(0.0, (until - moment).total_seconds()) if until is not None else 0.0

    def record(self, free: Mapping[str, int]) -> None:
        """Count a failure for each subject, of which so many are free, and set the pause that follows from it."""
        moment = now()
        stale = moment - timedelta(seconds=FORGOTTEN_AFTER_SECONDS)
        for subject, costless in free.items():
            statement = mysql_insert(login_failures).values(subject=subject, failures=1, last_at=moment)
            counted = sa.case((_C.last_at < stale, 1), else_=_C.failures + 1)
            with self._engine.begin() as connection:
                connection.execute(statement.on_duplicate_key_update({"failures": counted, "last_at": moment}))
                # The row is ours until the commit, so the count read is the one just written.
                failures = connection.scalar(sa.select(_C.failures).where(_C.subject == subject)) or 0
                pause = pause_seconds(failures, costless)
                until = moment + timedelta(seconds=pause) if pause else None
                connection.execute(sa.update(login_failures).where(_C.subject == subject).values(blocked_until=until))

    def forget(self, subject: str) -> None:
        """Start counting again."""
        with self._engine.begin() as connection:
            # Most sign-ins have nothing to forget: a look takes no lock, a delete that finds nothing would.
            if connection.scalar(sa.select(_C.subject).where(_C.subject == subject)) is not None:
                connection.execute(sa.delete(login_failures).where(_C.subject == subject))
