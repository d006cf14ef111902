"""What a failed step on our own stores means: one rule for all of them.

The data of an order can be the cause: no retry can help, and only this ends an order. A store can be away: it is back
some time. All else is a mistake in code or schema, as in the middle of a deployment: a later release will do it.
"""

from enum import StrEnum

import elastic_transport
import pymongo.errors
import redis
import sqlalchemy as sa
from pydantic import ValidationError


class Cause(StrEnum):
    """Why a step on our own stores has failed."""

    DATA = "data"
    OUTAGE = "outage"
    MISTAKE = "mistake"


# Codes of MySQL and MariaDB, because the classes of the driver mix causes: a failed check is an OperationalError like a
# lost connection, and a column without a default a DataError like a name that is too long.
_DATA = frozenset(
    {
        1264,  # out of range
        1265,  # truncated
        1267,  # compared across character sets that cannot hold it
        1292,  # no such date or number
        1366,  # characters the column cannot hold
        1367,  # no value of this type
        1406,  # too long
        1441,  # out of a date's range
        1690,  # out of range within an expression
        3140,  # no JSON (MySQL)
        3819,  # a check fails (MySQL)
        4025,  # a check fails (MariaDB)
    }
)
_SCHEMA = frozenset(
    {
        1054,  # no such column
        1048,  # NULL in a column that has no NULL
        1109,  # no such table in the statement
        1136,  # more or fewer values than columns
        1263,  # NULL in a column that has no NULL
        1305,  # no such function
        1364,  # a column without a default
    }
)
OUTAGES: tuple[type[Exception], ...] = (
    sa.exc.OperationalError,
    sa.exc.InterfaceError,
    sa.exc.InternalError,
    sa.exc.TimeoutError,
    pymongo.errors.ConnectionFailure,
    pymongo.errors.ExecutionTimeout,
    pymongo.errors.WTimeoutError,
    redis.ConnectionError,
    redis.TimeoutError,
    elastic_transport.TransportError,
)
"""How the drivers of our stores say that one of them is away."""


def cause_of(error: BaseException) -> Cause:
    """Whether its own data, an outage or a mistake of ours made a step fail."""
    if isinstance(error, sa.exc.StatementError) and (code := _mysql_code(error)) is not None:
        if code in _DATA:
            return Cause.DATA
        if code in _SCHEMA:
            return Cause.MISTAKE
    if _is_data(error.orig if isinstance(error, sa.exc.StatementError) else error):
        return Cause.DATA
    disconnected = isinstance(error, sa.exc.DBAPIError) and error.connection_invalidated
    return Cause.OUTAGE if disconnected or isinstance(error, (*OUTAGES, OSError)) else Cause.MISTAKE


def _mysql_code(error: sa.exc.StatementError) -> object:
    return error.orig.args[0] if error.orig is not None and error.orig.args else None


def _is_data(error: BaseException | None) -> bool:
    if isinstance(error, ValidationError):
        # A wrong type, a missing field or an unknown value of an enum is of another release; a limit is of the data.
        return all(_is_limit(str(fault["type"])) for fault in error.errors(include_url=False))
    return isinstance(error, UnicodeError | OverflowError | pymongo.errors.DocumentTooLarge)


def _is_limit(fault: str) -> bool:
    limits = ("string_too_", "string_pattern_", "string_unicode", "too_", "greater_than", "less_than", "value_error")
    return fault.startswith(limits)
