"""Bringing the stack up, down and back to nothing."""

import os
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager

from rich.console import Console
from rich.table import Table

from dev.stack import containers, control, mysql_server, supervision
from dev.stack.environment import ensure_env_file, ensure_folders, port, process_environment
from dev.stack.packages import ensure_server_user
from dev.stack.parts import PARTS, Part, select
from dev.stack.paths import ROOT, STATE, VENV_BIN, StackError, is_root, socket_path, unprivileged_state
from dev.stack.ports import is_free
from dev.stack.probes import is_ready, mysql_version
from dev.stack.provide import provide

_SETUP_SECONDS = 600


@contextmanager
def _step(console: Console, title: str) -> Iterator[None]:
    started = time.monotonic()
    with console.status(title):
        yield
    console.print(f"[green]✓[/green] {title} ({time.monotonic() - started:.1f} s)")


def up(console: Console, names: list[str], only_servers: bool) -> None:
    """Bring the named parts up, or all of them; what runs and answers is left alone."""
    in_containers = containers.asked_for() if only_servers else containers.chosen()
    for sentence in ensure_env_file(beside_others=not in_containers and not control.is_supervised()):
        console.print(sentence)
    if in_containers:
        console.print("Using docker-compose.yml (ORDERS_STACK=native would not)")
        _make_way_for_containers(console)
        containers.up(names or (_server_services() if only_servers else []))
        return
    console.print("Using native processes (ORDERS_STACK=containers would not)")
    up_native(console, select(names, only_servers))
    if not only_servers:
        console.print(status_table())


def _server_services() -> list[str]:
    """What `--only-servers` means to compose, where Temporal's Web UI is a container of its own."""
    return [*(part.name for part in select([], only_servers=True)), "temporal-ui"]


def _make_way_for_containers(console: Console) -> None:
    """Both kinds of stack have the ports of `.env`, so one of them runs at a time."""
    if control.is_supervised():
        with _step(console, "the native processes have the ports of .env: stopping them, their data stays"):
            control.shut_down()


def _make_way_for_processes(console: Console) -> None:
    if not control.is_supervised() and containers.any_running():
        console.print("The containers have the ports of .env: stopping them, their data stays (`make up` starts them)")
        containers.compose("stop")


def up_native(console: Console, parts: list[Part]) -> list[str]:
    """The same without containers; returns the names of the parts it started."""
    _make_way_for_processes(console)
    ensure_folders()
    provide(console)
    if mysql_server.chosen():
        console.print(f"MYSQL=mysql: MySQL {mysql_server.server()[1]} in place of MariaDB")
    ensure_server_user()
    _ensure_supervision(console)
    started = _start_parts(console, [part for part in parts if part.kind != "application"])
    applications = [part for part in parts if part.kind == "application"]
    if applications:
        with _step(console, "order-admin setup"):
            _run_setup()
        _stop_outdated(console, applications)
        # While the applications start, because both take a while and neither needs the other.
        seeding = _start_seeding()
        started += _start_parts(console, applications)
        with _step(console, "sample data"):
            _finish_seeding(seeding)
    return started


def _ensure_supervision(console: Console) -> None:
    if control.is_supervised():
        if not supervision.is_outdated():
            return
        with _step(console, ".env or Procfile changed: restarting everything"):
            control.shut_down()
    with _step(console, "supervisord"):
        supervision.start()


def _start_parts(console: Console, parts: list[Part]) -> list[str]:
    """Start those that do not run, all at once, and wait until each answers."""
    known = control.processes()
    stopped = [part for part in parts if known[part.name].state not in {"RUNNING", "STARTING"}]
    _refuse_taken_ports(stopped)
    for part in stopped:
        control.start(part.name, wait=False)
    started = time.monotonic()
    failures: list[str] = []
    with console.status("waiting for an answer") as status, ThreadPoolExecutor(max(1, len(parts))) as pool:
        waiting = {pool.submit(_until_ready, console, part.name, part not in stopped): part.name for part in parts}
        for future in as_completed(waiting):
            name = waiting.pop(future)
            if error := future.exception():
                failures.append(str(error))
            elif name in {part.name for part in stopped}:
                console.print(f"[green]✓[/green] {name} answers ({time.monotonic() - started:.1f} s)")
            status.update(f"waiting for {', '.join(waiting.values())}")
    if failures:
        raise StackError("\n".join(failures))
    return [part.name for part in stopped]


def _until_ready(console: Console, name: str, ran_already: bool) -> None:
    """Wait until it answers. One that ran already and does not hangs, and is started again, once."""
    try:
        starts = control.wait_until_ready(name)
        if starts > 1:
            console.print(f"[yellow]![/yellow] {name} ended while starting and was started again: see `make logs`")
    except StackError:
        if not ran_already:
            raise
        console.print(f"[yellow]![/yellow] {name} runs but does not answer: starting it again")
        control.kill(name)
        control.start(name)


def _stop_outdated(console: Console, parts: list[Part]) -> None:
    """Stop a part that was started before the code last changed, so that it starts with the current code."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    packages = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    changed = max(path.stat().st_mtime for folder in packages for path in (ROOT / folder).rglob("*.py"))
    known = control.processes()
    for part in parts:
        if known[part.name].state == "RUNNING" and known[part.name].started < changed:
            with _step(console, f"the code changed: stopping {part.name} to restart it"):
                control.stop(part.name)


def _refuse_taken_ports(parts: list[Part]) -> None:
    for part in parts:
        for variable in part.ports:
            if not is_free(port(variable)):
                raise StackError(
                    f"Port {port(variable)} for {part.name} is taken by another program; end that program "
                    f"or choose another {variable} in .env."
                )


def _run_setup() -> None:
    program = VENV_BIN / "order-admin"
    if not program.exists():
        raise StackError("order-admin is not installed in this environment; run `make setup`, it installs it.")
    try:
        done = subprocess.run(
            [str(program), "setup"],
            cwd=ROOT,
            env=process_environment(),
            capture_output=True,
            text=True,
            timeout=_SETUP_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise StackError(f"`order-admin setup` took over {_SETUP_SECONDS} s; run it by hand to see why.") from error
    (STATE / "logs" / "setup.log").write_text(done.stdout + done.stderr)
    if done.returncode != 0:
        last = (done.stderr.strip() or done.stdout.strip() or "no message").splitlines()[-1]
        raise StackError(f"`order-admin setup` failed ({last}); see .state/logs/setup.log.")


def _start_seeding() -> subprocess.Popen[bytes]:
    with (STATE / "logs" / "seed.log").open("wb") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "dev.seed"], cwd=ROOT, env=process_environment(), stdout=log, stderr=log
        )


def _finish_seeding(seeding: subprocess.Popen[bytes]) -> None:
    try:
        status = seeding.wait(_SETUP_SECONDS)
    except subprocess.TimeoutExpired as error:
        seeding.kill()
        raise StackError(f"Seeding took over {_SETUP_SECONDS} s; `make seed` does it by hand.") from error
    if status != 0:
        raise StackError("Seeding failed; see .state/logs/seed.log, `make seed` tries again.")


def ensure_servers() -> dict[str, int]:
    """Bring servers and simulators up for tests; answers the process ids of those it started.

    As native processes unless ORDERS_STACK=containers: some tests stop and kill servers, and others need a server's
    own programs.
    """
    console = Console(stderr=True)
    in_containers = containers.asked_for()
    ensure_env_file(beside_others=not in_containers and not control.is_supervised())
    if in_containers:
        _make_way_for_containers(console)
        containers.up(_server_services())
        return {}
    started = up_native(console, select([], only_servers=True))
    return {name: control.pid(name) or 0 for name in started}


def down(console: Console) -> None:
    """Stop everything; data stays."""
    if containers.chosen():
        containers.compose("down")
        if not control.is_supervised():
            return
    if control.is_supervised():
        with _step(console, "stopping applications, then servers"):
            control.shut_down()
    else:
        console.print("Nothing is running")
    if left := supervision.end_leftovers():
        console.print(f"Ended {left} processes an earlier run had left behind")


def reset(console: Console) -> None:
    """Stop everything and forget all data; downloaded and built servers stay in their cache."""
    if containers.chosen():
        containers.compose("down", "--volumes")
    down(console)
    with _step(console, "deleting all data"):
        socket_folder = socket_path("supervisor").parent
        for folder in {STATE, socket_folder, *([unprivileged_state()] if is_root() else [])}:
            shutil.rmtree(folder, ignore_errors=True)


def status_table() -> Table:
    """What runs where."""
    table = Table("part", "address", "pid", "state", box=None, pad_edge=False, title_justify="left")
    known = control.processes() if control.is_supervised() else {}
    for part in PARTS:
        found = known.get(part.name)
        numbers = [str(port(variable)) for variable in part.ports]
        address = f"127.0.0.1:{', '.join(numbers)}" if numbers else ""
        running = found is not None and found.state == "RUNNING"
        color = "green" if running else "yellow"
        state = f"[{color}]{found.state.lower() if found else 'not running'}[/{color}]"
        detail = f" ({found.description.partition(', ')[2]})" if found and running else ""
        name = f"mysql ({mysql_version()})" if part.name == "mysql" and running and is_ready(part) else part.name
        table.add_row(name, address, str(found.pid) if found and found.pid else "", state + detail)
    return table


def follow_logs(names: list[str], follow: bool) -> None:
    """Show the last lines of the named parts' logs, or of all."""
    if containers.chosen():
        followed = ["--follow"] if follow else []
        containers.compose("logs", "--tail", "50", *followed, *containers.services_of(names))
        return
    parts = select(names, only_servers=False)
    files = [file for part in parts if (file := STATE / "logs" / f"{part.name}.log").exists()]
    if not files:
        raise StackError("There is no log yet; start the stack with `make up`.")
    command = ["tail", "-n", "50", *(["-F"] if follow else []), *map(str, files)]
    os.execvp(command[0], command)
