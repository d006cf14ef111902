"""What each container may use and do, and what its health check costs."""

import re

import pytest
import yaml

from dev.stack.paths import ROOT
from tests.fixture_types import Json

COMPOSE: Json = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, Json] = COMPOSE["services"]
OURS = sorted(name for name, found in SERVICES.items() if found["image"].startswith("order-engine:"))
THEIRS = sorted(set(SERVICES) - set(OURS))


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_every_container_has_a_memory_limit(name: str) -> None:
    assert re.fullmatch(r"\d+[mg]", SERVICES[name]["mem_limit"])


@pytest.mark.parametrize("name", OURS)
def test_our_programs_can_write_nothing_and_gain_no_rights(name: str) -> None:
    found = SERVICES[name]
    assert found["read_only"] is True
    assert found["tmpfs"] == ["/tmp"]
    assert found["cap_drop"] == ["ALL"]
    assert found["security_opt"] == ["no-new-privileges:true"]


@pytest.mark.parametrize("name", THEIRS)
def test_images_of_others_are_pinned_to_an_exact_version(name: str) -> None:
    assert re.fullmatch(r"[^:]+:v?\d+\.\d+\.\d+(-[\w.-]+)?", SERVICES[name]["image"])


def test_the_base_of_our_images_is_pinned_to_an_exact_version() -> None:
    bases = re.findall(r"^FROM (python:\S+)", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE)
    assert len(set(bases)) == 1
    assert re.fullmatch(r"python:3\.\d+\.\d+-slim-\w+", bases[0])


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_no_health_check_starts_java_or_python_or_reads_the_kernels_tables(name: str) -> None:
    test = " ".join(SERVICES[name]["healthcheck"].get("test", []))
    assert not re.search(r"kafka-\w+\.sh|java|python|/proc/", test)


def test_whoever_serves_no_requests_is_asked_at_its_health_address() -> None:
    """Workers, the relay and the search indexer."""
    asked = {name for name, found in SERVICES.items() if "9465" in str(found["healthcheck"].get("test", ""))}
    workers = {"order-worker", "notification-worker", "outbox-relay", "search-indexer"}
    wanted = {name for name, found in SERVICES.items() if found.get("command", [""])[0] in workers}
    assert asked == wanted
    for name in asked:
        assert SERVICES[name]["environment"]["ORDERS_HEALTH_ADDRESS"] == "127.0.0.1:9465"


def test_files_given_in_place_can_be_read_by_the_servers_own_users() -> None:
    """Without a mode some versions of compose make them readable by root alone."""
    given = [config for found in SERVICES.values() for config in found.get("configs", [])]
    assert {config["source"] for config in given} == set(COMPOSE["configs"])
    assert {config["mode"] for config in given} == {0o444}


def test_temporals_own_schema_is_made_by_its_tool_and_the_rest_by_our_setup() -> None:
    """The image that did all of it at once is deprecated, and had a retention of its own."""
    assert "auto-setup" not in str(SERVICES)
    assert not [name for name in SERVICES["temporal"]["environment"] if "NAMESPACE" in name]
    server, tool = (SERVICES[name]["image"].partition(":")[2] for name in ("temporal", "temporal-schema"))
    assert tool.startswith(f"{server}-")


def test_a_password_stands_in_no_url() -> None:
    """There `@`, `/` and `#` would mean something else."""
    urls = [
        value for found in SERVICES.values() for value in found.get("environment", {}).values() if "://" in str(value)
    ]
    assert urls
    assert not [url for url in urls if "PASSWORD" in url or "SECRET" in url]
