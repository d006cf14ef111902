"""Stopping, starting and killing single parts through supervisord's own interface; the fault tests use this."""

import os
import signal
import time
import xmlrpc.client
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any

from supervisor.xmlrpc import Faults, SupervisorTransport  # type: ignore[import-untyped]

from dev.stack.parts import BY_NAME
from dev.stack.paths import LOGS, StackError, socket_path
from dev.stack.probes import is_ready

_POLL_SECONDS = 0.2
# supervisord starts a part again that ended; one that ended this often cannot start at all.
_MOST_STARTS = 3
_LOG_LINES = 20


@dataclass(frozen=True)
class Process:
    """A part as supervisord reports it: its state, its process id or 0."""

    name: str
    state: str
    pid: int
    description: str
    started: float  # seconds since the epoch, 0 when it never was


def _call(method: str, *arguments: object) -> Any:
    """One request; supervisord's connection is not shared, because several threads wait for several parts."""
    transport = SupervisorTransport(None, None, f"unix://{socket_path('supervisor')}")
    proxy = xmlrpc.client.ServerProxy("http://127.0.0.1", transport=transport)
    try:
        return getattr(proxy.supervisor, method)(*arguments)
    except (OSError, HTTPException) as error:
        raise StackError(
            "The native stack is not running; start it with `make up`. Servers in containers (ORDERS_STACK=containers) "
            "cannot be stopped and killed here."
        ) from error
    finally:
        transport.close()


def is_supervised() -> bool:
    """True while supervisord answers."""
    if not socket_path("supervisor").exists():
        return False
    try:
        return bool(_call("getState")["statename"] == "RUNNING")
    except StackError:
        return False


def processes() -> dict[str, Process]:
    """Every part that supervisord manages."""
    return {
        found["name"]: Process(found["name"], found["statename"], found["pid"], found["description"], found["start"])
        for found in _call("getAllProcessInfo")
    }


def pid(name: str) -> int | None:
    """The process id of a running part."""
    found = _call("getProcessInfo", name)
    return found["pid"] or None


def start(name: str, *, wait: bool = True) -> None:
    """Start a part; a part that runs already is left alone. `wait` means until it answers."""
    _tolerating(Faults.ALREADY_STARTED, "startProcess", name, False)
    if wait:
        wait_until_ready(name)


def stop(name: str) -> None:
    """Stop a part, kill it when it takes too long, and return once it is gone."""
    _tolerating(Faults.NOT_RUNNING, "stopProcess", name, True)


def restart(name: str) -> None:
    """Stop a part and start it again."""
    stop(name)
    start(name)


def kill(name: str) -> None:
    """End a part and its children as `kill -9` would, and leave it down until `start`.

    The group is frozen first: supervisord stops it (so that it does not restart it), but a frozen process does not
    handle the SIGTERM that comes with this.
    """
    group = pid(name)
    if group is None:
        return
    os.killpg(group, signal.SIGSTOP)
    _tolerating(Faults.NOT_RUNNING, "stopProcess", name, False)
    os.killpg(group, signal.SIGKILL)
    while processes()[name].state not in {"STOPPED", "EXITED", "FATAL"}:
        time.sleep(_POLL_SECONDS)


def _tolerating(code: int, method: str, *arguments: object) -> None:
    try:
        _call(method, *arguments)
    except xmlrpc.client.Fault as fault:
        if fault.faultCode != code:
            raise StackError(f"{arguments[0]}: {fault.faultString}; `make logs` shows why.") from fault


def wait_until_ready(name: str) -> int:
    """Return once the part answers, with how often it was started until then; supervisord starts again what ended.

    Raises:
        StackError: It ended each time, or took too long; with the last lines of its log, because the machine this
            happened on may be gone when somebody asks why.
    """
    part = BY_NAME[name]
    deadline = time.monotonic() + part.patience_seconds
    seen: set[int] = set()
    while time.monotonic() < deadline:
        found = processes()[name]
        seen |= {found.pid} - {0}
        if found.state == "FATAL" or len(seen) > _MOST_STARTS:
            raise StackError(f"{name} ended while starting; {_end_of_log(name)}")
        # STARTING lasts a second or more; a part with a port may answer sooner.
        if (part.ports or found.state == "RUNNING") and found.pid and is_ready(part):
            return len(seen)
        time.sleep(_POLL_SECONDS)
    raise StackError(f"{name} did not answer within {part.patience_seconds} s; {_end_of_log(name)}")


def _end_of_log(name: str) -> str:
    file = LOGS / f"{name}.log"
    lines = file.read_text(errors="replace").splitlines()[-_LOG_LINES:] if file.exists() else []
    return "\n".join([f"{file} ends with:", *(f"  {line}" for line in lines)]) if lines else f"{file} is empty."


def shut_down() -> None:
    """Stop every part, applications first, then supervisord itself."""
    supervisor = int(_call("getPID"))
    _call("shutdown")
    while _alive(supervisor):
        time.sleep(_POLL_SECONDS)


def _alive(number: int) -> bool:
    with suppress(ChildProcessError):
        os.waitpid(number, os.WNOHANG)  # ours when this very process started it
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    return True
