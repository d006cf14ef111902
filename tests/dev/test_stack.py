"""Two stacks on one machine: the second finds ports of its own, and the tests' engine follows the servers to theirs."""

import socket
from collections.abc import Iterator

import pytest

from dev import testbed
from dev.places import Place
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
    monkeypatch.setenv("MYSQL_PASSWORD", "changed")
    place = Place.take()
    try:
        environment = testbed.testbed_environment(place)
    finally:
        place.lock.close()
    assert environment["ORDERS_KAFKA_BOOTSTRAP"].endswith(":4711")
    assert ":changed@" in environment["ORDERS_MYSQL_URL"]
