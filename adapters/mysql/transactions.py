"""Transactions that are run again after a deadlock, or when their locks came too late for what they had read."""

import random
import time
from collections.abc import Callable
from typing import TypeVar

import sqlalchemy as sa

T = TypeVar("T")

_DEADLOCK, _LOCK_WAIT_TIMEOUT = 1213, 1205
_ATTEMPTS = 8
_LONGEST_PAUSE = 0.1
# With one more wait for a lock it is over before its activity is (`adapters/connections.py` has the whole sequence).
_LAST_BEGINS_WITHIN_SECONDS = 10


class TryAgain(sa.exc.TimeoutError):
    """What was read to know which rows to lock had changed when they were locked; nothing was written.

    A kind of time-out, because that is what it is to callers when it happens `_ATTEMPTS` times in a row.
    """


def in_transaction(engine: sa.Engine, work: Callable[[sa.Connection], T]) -> T:
    """Run the work and commit. After a deadlock it is run again, so it must hold no state of its own.

    The last attempt's failure is raised as it is: an outage to the caller.
    """
    began = time.monotonic()
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            with engine.begin() as connection:
                return work(connection)
        except (TryAgain, sa.exc.OperationalError) as error:
            late = time.monotonic() - began > _LAST_BEGINS_WITHIN_SECONDS
            if attempt == _ATTEMPTS or late or not _worth_another(error):
                raise
        # Spread out, so that the same transactions do not collide again.
        time.sleep(random.uniform(0, _LONGEST_PAUSE * attempt / _ATTEMPTS))  # noqa: S311
    raise AssertionError


def _worth_another(error: Exception) -> bool:
    if isinstance(error, TryAgain):
        return True
    assert isinstance(error, sa.exc.OperationalError)
    original = error.orig
    return original is not None and bool(original.args) and original.args[0] in (_DEADLOCK, _LOCK_WAIT_TIMEOUT)
