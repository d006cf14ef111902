"""The same stack as containers, where a container engine answers: thin wrappers of `docker compose`."""

import os
import shutil
import subprocess

import yaml

from dev.stack.environment import process_environment
from dev.stack.paths import ROOT, StackError

_ANSWER_SECONDS = 5
CHOICE = "ORDERS_STACK"


def chosen() -> bool:
    """Containers where an engine answers, unless ORDERS_STACK says otherwise."""
    choice = os.environ.get(CHOICE, "")
    if choice not in {"", "native", "containers"}:
        raise StackError(f"{CHOICE} must be native or containers, not {choice!r}.")
    if choice:
        return choice == "containers"
    return _answers(["docker", "info"]) and _answers(["docker", "compose", "version"])


def _answers(command: list[str]) -> bool:
    if shutil.which(command[0]) is None:
        return False
    try:
        return subprocess.run(command, capture_output=True, timeout=_ANSWER_SECONDS, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def compose(*arguments: str) -> None:
    """Run `docker compose` on our file and show its output."""
    try:
        done = subprocess.run(["docker", "compose", *arguments], cwd=ROOT, env=process_environment(), check=False)
    except FileNotFoundError as error:
        raise StackError("docker is not installed; install it or set ORDERS_STACK=native.") from error
    if done.returncode != 0:
        raise StackError(f"`docker compose {' '.join(arguments)}` failed; see its output above.")


def up(names: list[str]) -> None:
    """Bring up the named services, or all, and wait until they are healthy."""
    # Named one by one: with none named, `--wait` takes the end of the one-shot set-up for a failure.
    compose("up", "--detach", "--build", "--wait", *(names or _lasting_services()))


def _lasting_services() -> list[str]:
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    return [name for name, service in services.items() if service["restart"] != "no"]
