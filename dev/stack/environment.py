"""The settings of the stack: `.env`, made from `.env.example` and kept complete as new settings appear."""

import os
import re
from functools import lru_cache
from pathlib import Path

from dotenv import dotenv_values

from dev.stack.paths import ROOT, RUN, STATE, VENV_BIN, StackError
from dev.stack.ports import make_room

ENV_FILE = ROOT / ".env"
EXAMPLE_FILE = ROOT / ".env.example"
# Set in every process of this stack, so that leftovers can be recognised.
STATE_MARK = "ORDERS_STACK_STATE"

_SETTING = re.compile(r"^([A-Z][A-Z0-9_]*)=")


def _lines_by_name(text: str) -> dict[str, str]:
    return {match.group(1): line for line in text.splitlines() if (match := _SETTING.match(line))}


def ensure_env_file(*, beside_others: bool) -> list[str]:
    """Make `.env` when missing, add settings that are new since; returns one sentence per thing done.

    `beside_others` gives a new `.env` other ports where some program, such as another clone's stack, has one of them.
    """
    example = EXAMPLE_FILE.read_text()
    if not ENV_FILE.exists():
        content, raised = make_room(example) if beside_others else (example, 0)
        ENV_FILE.touch(mode=0o600)
        ENV_FILE.write_text(content)
        why = f", every port raised by {raised} because other programs have some of the usual ones" if raised else ""
        return [f"made .env from .env.example{why}"]
    current = ENV_FILE.read_text()
    missing = {name: line for name, line in _lines_by_name(example).items() if name not in _lines_by_name(current)}
    if not missing:
        return []
    addition = "\n# --- new in .env.example, added by `make up`\n" + "\n".join(missing.values()) + "\n"
    ENV_FILE.write_text(current.rstrip("\n") + "\n" + addition)
    return [f"added {', '.join(missing)} to .env (new in .env.example)"]


def settings() -> dict[str, str]:
    """Every setting of `.env`; a variable already in the environment wins, as it does for the applications."""
    file = ENV_FILE if ENV_FILE.exists() else EXAMPLE_FILE
    return {name: os.environ.get(name, value) for name, value in _read(file, file.stat().st_mtime_ns).items()}


@lru_cache(maxsize=1)
def _read(file: Path, _changed: int) -> dict[str, str]:
    return {name: value or "" for name, value in dotenv_values(file).items()}


def port(variable: str) -> int:
    """The port a variable of `.env` names."""
    value = settings().get(variable, "")
    if not value.isdecimal() or not 0 < int(value) < 65536:
        raise StackError(f"{variable} in .env must be a port number, not {value!r}; see .env.example.")
    return int(value)


def process_environment() -> dict[str, str]:
    """What each process of the stack is started with."""
    path = os.pathsep.join([str(VENV_BIN), os.environ.get("PATH", ""), "/usr/sbin", "/usr/bin", "/bin"])
    marks = {"PATH": path, "PYTHONUNBUFFERED": "1", STATE_MARK: str(STATE)}
    return {**os.environ, **settings(), **marks}


def ensure_folders() -> None:
    """The folders that must exist before anything starts."""
    STATE.mkdir(exist_ok=True)
    RUN.mkdir(mode=0o700, exist_ok=True)
    (STATE / "logs").mkdir(exist_ok=True)
