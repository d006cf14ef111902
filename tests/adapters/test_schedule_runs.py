"""When each schedule's work was done last: what is recorded is the newest success, whatever comes late."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from adapters.connections import Connections
from adapters.mysql.schedule_runs import ScheduleRuns
from schemas.schedule_runs import ScheduleRun, ScheduleState
from workers.schedules import SCHEDULES

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
KNOWN = {row.id: row.every for row in SCHEDULES}


@pytest.fixture
def runs(connections: Connections) -> Iterator[ScheduleRuns]:
    runs = ScheduleRuns(connections.engine)
    yield runs
    runs.ensure(KNOWN)


def state(runs: ScheduleRuns, schedule: str) -> ScheduleState:
    return next(one for one in runs.states() if one.schedule == schedule)


def test_a_schedule_is_known_before_its_first_run(runs: ScheduleRuns) -> None:
    before = datetime.now(UTC)
    runs.ensure(KNOWN | {"a-test": HOUR})
    made = state(runs, "a-test")
    assert (made.every_seconds, made.succeeded_at, made.seconds) == (3600, None, None)
    assert made.known_since >= before
    runs.ensure(KNOWN | {"a-test": 2 * HOUR})
    again = state(runs, "a-test")
    assert (again.every_seconds, again.known_since) == (7200, made.known_since)


def test_a_schedule_that_is_gone_is_forgotten(runs: ScheduleRuns) -> None:
    runs.ensure(KNOWN | {"a-test": HOUR})
    runs.record(ScheduleRun(schedule="a-test", succeeded_at=NOON, seconds=3))
    runs.ensure(KNOWN)
    assert {one.schedule for one in runs.states()} == set(KNOWN)


def test_the_newest_success_stays(runs: ScheduleRuns) -> None:
    runs.ensure(KNOWN | {"a-test": HOUR})
    for moment, seconds in ((NOON, 3.5), (NOON + HOUR, 4.5), (NOON, 3.5), (NOON + HOUR, 4.5)):
        runs.record(ScheduleRun(schedule="a-test", succeeded_at=moment, seconds=seconds))
    last = state(runs, "a-test")
    assert (last.succeeded_at, last.seconds, last.every_seconds) == (NOON + HOUR, 4.5, 3600)


def test_a_run_of_an_unknown_schedule_is_recorded(runs: ScheduleRuns) -> None:
    runs.record(ScheduleRun(schedule="a-test", succeeded_at=NOON, seconds=1))
    last = state(runs, "a-test")
    assert (last.succeeded_at, last.every_seconds) == (NOON, None)
