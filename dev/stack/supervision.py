"""Renders supervisord's configuration from the Procfile, starts it, and clears away what an earlier one left."""

import hashlib
import os
import subprocess
import sys
import time

import psutil  # type: ignore[import-untyped]

from dev.stack import control
from dev.stack.environment import STATE_MARK, process_environment, settings
from dev.stack.parts import PARTS, Part, commands
from dev.stack.paths import LOGS, ROOT, RUN, STATE, StackError, is_root, socket_path

CONFIGURATION = RUN / "supervisord.conf"
_FINGERPRINT = RUN / "fingerprint"
_START_SECONDS = 10

# supervisord writes the log and starts again what died, and takes the whole group down so that no Java helper stays.
_PROGRAM = """
[program:{name}]
command={command}
directory={root}
priority={priority}
autostart=false
autorestart=true
startsecs={start_seconds}
startretries=5
stopwaitsecs={stop_seconds}
stopasgroup=true
killasgroup=true
redirect_stderr=true
stdout_logfile={log}
stdout_logfile_maxbytes=20MB
stdout_logfile_backups=1
"""

_DAEMON = """
[unix_http_server]
file={socket}
chmod=0700

[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface

[supervisorctl]
serverurl=unix://{socket}

[supervisord]
logfile={run}/supervisord.log
pidfile={run}/supervisord.pid
childlogdir={run}
directory={root}
nocleanup=true
{user}
"""


def render() -> str:
    """The whole configuration; supervisord expands percent signs, so those in a path or command are doubled."""
    values = {"socket": socket_path("supervisor"), "run": RUN, "root": ROOT, "user": "user=root" if is_root() else ""}
    daemon = _DAEMON.format(**{name: str(value).replace("%", "%%") for name, value in values.items()})
    written = commands()
    return daemon + "".join(_program(part, written[part.name]) for part in PARTS)


def _program(part: Part, command: str) -> str:
    values = {
        "name": part.name,
        "command": command,
        "root": ROOT,
        "priority": part.priority,
        # An application that stays up this long has opened its connections.
        "start_seconds": 3 if part.kind == "application" else 1,
        "stop_seconds": part.stop_seconds,
        "log": LOGS / f"{part.name}.log",
    }
    return _PROGRAM.format(**{name: str(value).replace("%", "%%") for name, value in values.items()})


def _fingerprint(configuration: str) -> str:
    values = sorted(settings().items())
    return hashlib.sha256(f"{configuration}{values}{sys.prefix}".encode()).hexdigest()


def is_outdated() -> bool:
    """True when supervisord runs with another `.env` or Procfile than is there now."""
    current = _FINGERPRINT.read_text() if _FINGERPRINT.exists() else ""
    return current != _fingerprint(render())


def start() -> None:
    """Start supervisord with nothing in it running yet."""
    end_leftovers()
    configuration = render()
    CONFIGURATION.write_text(configuration)
    done = subprocess.run(
        [sys.executable, "-m", "supervisor.supervisord", "--configuration", str(CONFIGURATION)],
        env=process_environment(),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    deadline = time.monotonic() + _START_SECONDS
    while done.returncode == 0 and time.monotonic() < deadline:
        if control.is_supervised():
            _FINGERPRINT.write_text(_fingerprint(configuration))
            return
        time.sleep(0.05)
    reason = (done.stderr or done.stdout).strip() or f"see {RUN / 'supervisord.log'}"
    raise StackError(f"supervisord did not start ({reason}); put that right and run `make up` again.")


def end_leftovers() -> int:
    """End what an earlier, killed supervisord of this very folder left behind; returns how many that were."""
    left = [process for process in psutil.process_iter() if _is_leftover(process)]
    for process in left:
        process.terminate()
    _, stubborn = psutil.wait_procs(left, timeout=15)
    for process in stubborn:
        process.kill()
    psutil.wait_procs(stubborn, timeout=5)
    return len(left)


def _is_leftover(process: psutil.Process) -> bool:
    if process.pid == os.getpid():
        return False
    try:
        return bool(process.environ().get(STATE_MARK) == str(STATE))
    except psutil.Error:
        return False
