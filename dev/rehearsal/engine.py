"""The container engine: the one that answers, or one of our own for as long as the rehearsal lasts."""

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from dev.stack import containers, packages
from dev.stack.paths import StackError, is_root, shared_cache

_DEBIAN_CLIENT = Path("/usr/bin/docker")
_START_SECONDS = 60
_STOP_SECONDS = 60


def folder() -> Path:
    """Where everything of the rehearsal is kept; deleting it forgets all."""
    return shared_cache() / "rehearsal"


@contextmanager
def running(plugin: Callable[[], Path]) -> Iterator[dict[str, str]]:
    """Yield what the environment of `docker` needs; an engine that was started here is ended afterwards."""
    if containers.engine_answers():
        yield {}
        return
    if not is_root():
        raise StackError("No container engine answers, and only root may start one; start yours, or run this as root.")
    place = folder() / "engine"
    place.mkdir(parents=True, exist_ok=True)
    socket = place / "docker.sock"
    command = [packages.find("dockerd"), "--host", f"unix://{socket}", "--data-root", str(place / "data")]
    command += ["--exec-root", str(place / "run"), "--pidfile", str(place / "docker.pid")]
    with (place / "dockerd.log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
    try:
        environment = _client(place, socket, plugin())
        _until_it_answers(process, environment, place / "dockerd.log")
        yield environment
    finally:
        process.terminate()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()


def _client(place: Path, socket: Path, plugin: Path) -> dict[str, str]:
    """A client of our own, with the plug-in and no settings of this machine's."""
    plugins, programs = place / "client" / "cli-plugins", place / "client" / "bin"
    for path, target in ((plugins / "docker-compose", plugin), (programs / "docker", _DEBIAN_CLIENT)):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.symlink_to(target)
    on_path = os.pathsep.join([str(programs), os.environ.get("PATH", "")])
    return {"DOCKER_HOST": f"unix://{socket}", "DOCKER_CONFIG": str(place / "client"), "PATH": on_path}


def _until_it_answers(process: "subprocess.Popen[bytes]", environment: dict[str, str], log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        if shutil.which("docker", path=environment["PATH"]) and _answers(environment):
            return
        time.sleep(0.5)
    raise StackError(f"The container engine does not start; see {log}.")


def _answers(environment: dict[str, str]) -> bool:
    done = subprocess.run(["docker", "info"], env={**os.environ, **environment}, capture_output=True, check=False)
    return done.returncode == 0
