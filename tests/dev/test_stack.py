"""Two stacks on one machine: the second finds ports of its own, and the tests' engine follows the servers to theirs."""

import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dev import testbed
from dev.places import Place
from dev.stack import control
from dev.stack.paths import StackError
from dev.stack.ports import HOST, is_free, make_room


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that another program listens on."""
    number = next(number for number in range(21000, 30000) if is_free(number))
    with socket.create_server((HOST, number)):
        yield number


def test_a_second_stack_raises_every_port_by_the_same_amount(taken: int) -> None:
    text, raised = make_room(f"A_PORT={taken}\nB_PORT=2048\nA_URL=http://{HOST}:${{A_PORT}}\n")
    assert raised > 0
    assert text == f"A_PORT={taken + raised}\nB_PORT={2048 + raised}\nA_URL=http://{HOST}:${{A_PORT}}\n"


def test_nothing_but_port_numbers_changes(taken: int) -> None:
    others = f"SIZE={taken}\nA_PORT=${{B_PORT}}\n"
    assert make_room(others) == (others, 0)


def test_the_tests_engine_uses_the_servers_where_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_PORT", "4711")
    monkeypatch.setenv("MYSQL", "mysql")
    monkeypatch.setenv("MYSQL_PASSWORD", "changed")
    place = Place.take()
    try:
        environment = testbed.testbed_environment(place)
    finally:
        place.lock.close()
    assert environment["ORDERS_KAFKA_BOOTSTRAP"].endswith(":4711")
    assert environment["ORDERS_MYSQL_PASSWORD"] == "changed"
    assert environment["MYSQL"] == "mysql"


@pytest.fixture
def kafka_runs_as(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., None]:
    """Lets supervisord report a Kafka under one process id after another, which answers under the last alone."""

    def arm(*process_ids: int) -> None:
        reported = list(process_ids)

        def processes() -> dict[str, control.Process]:
            return {"kafka": control.Process("kafka", "RUNNING", reported.pop(0), "", 0)}

        monkeypatch.setattr(control, "processes", processes)
        monkeypatch.setattr(control, "is_ready", lambda part: not reported)
        monkeypatch.setattr(control, "_POLL_SECONDS", 0)
        monkeypatch.setattr(control, "LOGS", tmp_path)
        (tmp_path / "kafka.log").write_text("starting\nno space left on device\n")

    return arm


def test_a_server_that_ended_once_while_starting_is_waited_for(kafka_runs_as: Callable[..., None]) -> None:
    kafka_runs_as(0, 11, 11, 0, 12, 12)
    assert control.wait_until_ready("kafka") == 2


def test_a_server_that_cannot_start_is_reported_with_the_end_of_its_log(kafka_runs_as: Callable[..., None]) -> None:
    kafka_runs_as(11, 12, 13, 14, 15)
    with pytest.raises(StackError, match=r"(?s)kafka ended while starting.*no space left on device"):
        control.wait_until_ready("kafka")
