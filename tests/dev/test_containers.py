"""Where a container engine answers, the everyday commands do with containers what they do with processes."""

from collections.abc import Callable

import pytest
from rich.console import Console

from dev.stack import containers, control, lifecycle
from dev.stack.containers import services_of
from dev.stack.parts import Part
from dev.stack.paths import StackError

SIX = [f"{service}-service" for service in ("user", "catalog", "cart", "order", "payment", "notification")]

# Each image once, however many containers have it.
BUILT = ["build", "setup", "seed"]


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """An engine that answers, and what compose was asked to do with it."""
    calls: list[list[str]] = []
    monkeypatch.delenv(containers.CHOICE, raising=False)
    monkeypatch.setattr(containers, "engine_answers", lambda: True)
    monkeypatch.setattr(containers, "any_running", lambda: True)
    monkeypatch.setattr(containers, "compose", lambda *arguments: calls.append(list(arguments)))
    monkeypatch.setattr(lifecycle, "ensure_env_file", lambda *, beside_others: [])
    monkeypatch.setattr(control, "is_supervised", lambda: False)
    return calls


@pytest.fixture
def processes(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Native parts that were started; none is in truth."""
    started: list[str] = []
    for name in ("ensure_folders", "ensure_server_user"):
        monkeypatch.setattr(lifecycle, name, lambda: None)
    for name in ("provide", "_ensure_supervision"):
        monkeypatch.setattr(lifecycle, name, lambda console: None)
    monkeypatch.setattr(control, "pid", lambda name: 1)

    def start(console: Console, parts: list[Part]) -> list[str]:
        started.extend(part.name for part in parts)
        return [part.name for part in parts]

    monkeypatch.setattr(lifecycle, "_start_parts", start)
    return started


def test_bringing_everything_up_fills_the_shop(called: list[list[str]]) -> None:
    lifecycle.up(Console(quiet=True), [], only_servers=False)
    assert called[0] == BUILT
    assert called[1][:4] == ["up", "--detach", "--no-build", "--wait"]
    assert {"gateway", "order-worker", "mysql"} <= set(called[1])
    assert not {"setup", "seed", "temporal-schema"} & set(called[1])
    assert called[2:] == [["run", "--rm", "--no-deps", "seed"]]


def test_a_restart_builds_the_code_as_it_is_now(called: list[list[str]]) -> None:
    containers.restart(["catalog-worker"])
    assert called[0] == BUILT
    assert {"--force-recreate", "--no-deps"} <= set(called[1])
    assert called[1][-1] == "catalog-worker"


def test_a_restart_without_names_is_of_all_our_programs_alone(called: list[list[str]]) -> None:
    containers.restart([])
    named = {name for name in called[1] if not name.startswith("--")} - {"up"}
    workers = {"order-worker", "payment-worker", "catalog-worker", "notification-sender", "notification-worker"}
    assert named == {*SIX, *workers, "relay", "search-indexer"}


def test_a_part_that_is_several_containers_is_known_by_its_name() -> None:
    assert services_of(["api", "relay"]) == [*SIX, "relay"]


def test_an_unknown_container_is_refused_with_those_there_are() -> None:
    with pytest.raises(StackError, match="no container 'shop'; choose from api, mysql, "):
        services_of(["shop"])


def test_logs_know_the_containers_by_name(called: list[list[str]]) -> None:
    lifecycle.follow_logs(["payment-worker", "gateway"], follow=False)
    assert called == [["logs", "--tail", "50", "payment-worker", "gateway"]]


def test_keys_are_rotated_in_the_volume_of_the_containers(called: list[list[str]]) -> None:
    containers.admin(["rotate-keys"])
    assert called == [["run", "--rm", "--no-deps", "setup", "order-admin", "rotate-keys"]]


def test_tests_have_native_servers_also_where_an_engine_answers(called: list[list[str]], processes: list[str]) -> None:
    assert {"mysql", "temporal"} <= lifecycle.ensure_servers().keys()
    assert "mysql" in processes
    # They have the same ports.
    assert called == [["stop"]]


def test_servers_alone_are_native_too_as_the_tests_need_them(called: list[list[str]], processes: list[str]) -> None:
    lifecycle.up(Console(quiet=True), [], only_servers=True)
    assert "api" not in processes
    assert "mysql" in processes
    assert called == [["stop"]]


def test_tests_have_containers_where_that_is_asked_for(
    called: list[list[str]], processes: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(containers.CHOICE, "containers")
    assert lifecycle.ensure_servers() == {}
    assert processes == []
    assert called[1][:4] == ["up", "--detach", "--no-build", "--wait"]


def test_containers_make_native_processes_give_way(called: list[list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[object] = []
    monkeypatch.setattr(control, "is_supervised", lambda: True)
    monkeypatch.setattr(control, "shut_down", lambda: order.append("shut down"))
    first: Callable[..., None] = lambda *arguments: order.append(arguments[0])  # noqa: E731
    monkeypatch.setattr(containers, "compose", first)
    lifecycle.up(Console(quiet=True), [], only_servers=False)
    assert order == ["shut down", "build", "up", "run"]
    assert called == []
