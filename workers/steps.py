"""Steps of setting up: each waits for its server, says what it did, and on failure says what to do next."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import elastic_transport
import sqlalchemy as sa
from confluent_kafka import KafkaException
from pymongo.errors import ConnectionFailure, PyMongoError
from rich.console import Console
from rich.markup import escape
from temporalio.service import RPCError, RPCStatusCode

# MySQL's own words for "not there": cannot connect, host unknown, gone away, lost, shutting down.
_MYSQL_AWAY = frozenset({2002, 2003, 2005, 2006, 2013, 1053})
_KAFKA_AWAY = frozenset({"_TRANSPORT", "_ALL_BROKERS_DOWN", "_TIMED_OUT", "_RESOLVE"})
_PAUSE_SECONDS = 0.5


@dataclass(frozen=True)
class Step:
    """One thing to do, repeat-safe; `act` answers what it did, `advice` is for when it cannot."""

    title: str
    act: Callable[[], str]
    advice: str


class StepFailed(Exception):
    """A step could not be done; the message is for a person and says what to do next."""


def run_step(step: Step, console: Console, wait_seconds: float) -> None:
    """Do the step, again and again while its server is not there yet; raises StepFailed when that lasts too long."""
    started = time.monotonic()
    with console.status(f"{step.title} …") as status:
        while True:
            try:
                outcome = step.act()
                break
            except Exception as error:
                waited = time.monotonic() - started
                if not is_away(error) or waited >= wait_seconds:
                    raise StepFailed(f"{step.title}: {_short(error)}\n{step.advice}") from error
                status.update(f"{step.title}: not there yet, {waited:.0f} of {wait_seconds:.0f} s")
                time.sleep(_PAUSE_SECONDS)
    console.print(f"[green]✓[/green] {escape(step.title)}: {escape(outcome)}", soft_wrap=True)


def is_away(error: BaseException) -> bool:
    """Whether a server is not there (yet), as opposed to there and refusing."""
    if isinstance(error, sa.exc.DBAPIError):
        return error.connection_invalidated or _mysql_code(error) in _MYSQL_AWAY
    if isinstance(error, KafkaException):
        return bool(error.args) and (error.args[0].retriable() or error.args[0].name() in _KAFKA_AWAY)
    if isinstance(error, RPCError):
        return error.status in (RPCStatusCode.UNAVAILABLE, RPCStatusCode.DEADLINE_EXCEEDED)
    if isinstance(error, PyMongoError):
        return isinstance(error, ConnectionFailure)
    if isinstance(error, RuntimeError):
        return "Failed client connect" in str(error)
    return isinstance(
        error, elastic_transport.ConnectionError | elastic_transport.ConnectionTimeout | ConnectionError | TimeoutError
    )


def _mysql_code(error: sa.exc.DBAPIError) -> object:
    return error.orig.args[0] if error.orig is not None and error.orig.args else None


def _short(error: Exception) -> str:
    original = error.orig if isinstance(error, sa.exc.DBAPIError) else error
    return f"{type(error).__name__}: {original}".splitlines()[0][:300]
