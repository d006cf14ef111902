"""The same stack as containers, where a container engine answers: thin wrappers of `docker compose`."""

import os
import shutil
import subprocess
from functools import lru_cache
from typing import Any

import yaml

from dev.stack.environment import process_environment
from dev.stack.paths import ROOT, StackError

_ANSWER_SECONDS = 5
CHOICE = "ORDERS_STACK"
# The service in which `order-admin` is run by hand: it has every setting, and the volume of the signing keys.
_ADMIN = "setup"
_APPLICATION_IMAGE = "order-engine:runtime"


def chosen() -> bool:
    """Containers where an engine answers, unless ORDERS_STACK says otherwise."""
    return engine_answers() if not _choice() else asked_for()


def asked_for() -> bool:
    """Containers only where ORDERS_STACK says so: what stops and kills servers needs them as native processes."""
    return _choice() == "containers"


def _choice() -> str:
    choice = os.environ.get(CHOICE, "")
    if choice not in {"", "native", "containers"}:
        raise StackError(f"{CHOICE} must be native or containers, not {choice!r}.")
    return choice


def engine_answers() -> bool:
    """True where Docker with its compose plug-in can be used."""
    return _answers(["docker", "info"]) and _answers(["docker", "compose", "version"])


def _answers(command: list[str]) -> bool:
    if shutil.which(command[0]) is None:
        return False
    try:
        return subprocess.run(command, capture_output=True, timeout=_ANSWER_SECONDS, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def compose(*arguments: str, quiet: bool = False) -> None:
    """Run `docker compose` on our file and show its output, or only that of a failure."""
    command = ["docker", "compose", *arguments]
    shown = subprocess.PIPE if quiet else None
    try:
        done = subprocess.run(
            command, cwd=ROOT, env=process_environment(), stdout=shown, stderr=shown, text=True, check=False
        )
    except FileNotFoundError as error:
        raise StackError("docker is not installed; install it or set ORDERS_STACK=native.") from error
    if done.returncode != 0:
        raise StackError(f"`{' '.join(command)}` failed; see its output above. {done.stderr or ''}".strip())


def any_running() -> bool:
    """True while containers of this project run, and hold the ports of `.env`."""
    if not engine_answers():
        return False
    command = ["docker", "compose", "ps", "--quiet"]
    done = subprocess.run(command, cwd=ROOT, env=process_environment(), capture_output=True, check=False)
    return done.returncode == 0 and bool(done.stdout.strip())


def up(names: list[str]) -> None:
    """Bring up the named services, or all with the sample data, and wait until they are healthy."""
    build()
    # Named one by one: with none named, `--wait` takes the end of the one-shot set-up for a failure.
    compose("up", "--detach", "--no-build", "--wait", *(services_of(names) or lasting_services()))
    if not names:
        compose("run", "--rm", "--no-deps", "seed")


def build() -> None:
    """Make both of our images, each once: compose alone would build one for every service that has it."""
    compose("build", _ADMIN, "seed")


def restart(names: list[str]) -> None:
    """Build the image again and put the named services, or all of our programs, on it."""
    build()
    compose("up", "--detach", "--no-build", "--force-recreate", "--no-deps", "--wait", *services_of(names or ["our"]))


def seed() -> None:
    """Migrate, and fill the stores with sample data."""
    build()
    for name in (_ADMIN, "seed"):
        compose("run", "--rm", "--no-deps", name)


def admin(arguments: list[str]) -> None:
    """Run `order-admin` where the stores have the containers' names and the keys are in their volume."""
    compose("run", "--rm", "--no-deps", _ADMIN, "order-admin", *arguments)


def services_of(names: list[str]) -> list[str]:
    """The compose services meant by names of either stack: natively one process, `api`, serves all six services."""
    services = _services()
    ours = [name for name, found in services.items() if found["image"] == _APPLICATION_IMAGE and _lasts(found)]
    groups = {"api": [name for name in ours if services[name]["command"] == ["order-api"]], "our": ours}
    unknown = [name for name in names if name not in services and name not in groups]
    if unknown:
        raise StackError(f"There is no container {unknown[0]!r}; choose from api, {', '.join(services)}.")
    return [service for name in names for service in groups.get(name, [name])]


def lasting_services() -> list[str]:
    """All but those that run once."""
    return [name for name, found in _services().items() if _lasts(found)]


def _lasts(service: dict[str, Any]) -> bool:
    return bool(service["restart"] != "no")


@lru_cache(maxsize=1)
def _services() -> dict[str, dict[str, Any]]:
    services: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    return services
