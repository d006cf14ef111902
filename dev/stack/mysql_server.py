"""MySQL itself: with MYSQL=mysql it is the stack's `mysql` part, in place of MariaDB.

Debian's stable suites do not carry it. Its unstable suite does: those packages with all they depend on, down to the C
library, are unpacked into the cache and started by the loader among them. So neither root is needed nor anything of
this system changed. A `mysqld` of the user's own is taken where it is new enough.
"""

import os
import platform
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from dev.stack.environment import settings
from dev.stack.paths import StackError, cache

Report = Callable[[str], None]

CHOICE = "MYSQL"
_OLDEST = (8, 4)
_PACKAGE = "mysql-server-core"
_SUITE = "unstable"
_KEYRINGS = Path("/usr/share/keyrings")
_VERSION = re.compile(r"Ver (\d+)\.(\d+)")
_OWN = "install MySQL 8.4 or newer so that `mysqld` is on PATH, or leave MYSQL out for MariaDB."


def chosen() -> bool:
    """True where MYSQL, in the environment or in `.env`, asks for MySQL and not for MariaDB."""
    choice = settings().get(CHOICE, "") or "mariadb"
    if choice not in {"mariadb", "mysql"}:
        raise StackError(f"{CHOICE} must be mysql or mariadb, not {choice!r}.")
    return choice == "mysql"


def is_there() -> bool:
    """True once there is a program to start."""
    return _installed() is not None or _unpacked() is not None


def server() -> tuple[list[str], str]:
    """How the server is started, before its options, and its version."""
    if own := _installed():
        return [own, "--no-defaults"], ".".join(map(str, _version(own) or ()))
    home = _unpacked()
    if home is None:
        raise StackError("MySQL is not in the cache; run `make up MYSQL=mysql` again, it fetches it.")
    (loader,) = home.glob("usr/lib/*-linux-gnu*/ld-linux-*.so.*")
    program = home / "usr" / "sbin" / "mysqld"
    libraries = f"{loader.parent}:{home / 'usr/lib/mysql/private'}"
    command = [str(loader), "--library-path", libraries, "--argv0", str(program), str(program), "--no-defaults"]
    folders = {
        "basedir": home / "usr",
        "lc-messages-dir": home / "usr/share/mysql",
        "character-sets-dir": home / "usr/share/mysql/charsets",
        "plugin-dir": home / "usr/lib/mysql/plugin",
    }
    return [*command, *(f"--{name}={folder}" for name, folder in folders.items())], home.name.removeprefix("mysql-")


def install(data: Path, user: str) -> None:
    """Make the data folder; it appears by a rename, so that an interrupted run leaves none."""
    command, _ = server()
    partial = data.with_name(f"{data.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    subprocess.run([*command, "--initialize-insecure", f"--user={user}", f"--datadir={partial}"], check=True)
    partial.rename(data)


def start_command() -> list[str]:
    """The server and the options that its MariaDB counterpart does not need."""
    command, _ = server()
    # No files are read or written by statements, no replica reads a log, and the port of the X protocol stays free.
    return [*command, "--secure-file-priv=NULL", "--disable-log-bin", "--mysqlx=OFF"]


def _unpacked() -> Path | None:
    """The newest in the cache: a folder only ever appears there by a rename."""
    return max(cache().glob("mysql-*"), key=lambda folder: folder.stat().st_mtime, default=None)


def _installed() -> str | None:
    """A `mysqld` on PATH that is MySQL's (MariaDB installs one of that name) and new enough."""
    found = shutil.which("mysqld")
    return found if found and (_version(found) or (0, 0)) >= _OLDEST else None


def _version(program: str) -> tuple[int, int] | None:
    answer = subprocess.run([program, "--version"], capture_output=True, text=True, check=False).stdout
    found = _VERSION.search(answer)
    return (int(found.group(1)), int(found.group(2))) if found and "MariaDB" not in answer else None


def fetch(report: Report) -> None:
    """Download and unpack; packages that an interrupted run has downloaded are not downloaded again."""
    archive = _debian_archive()
    work = cache() / "mysql.partial"
    for folder in ("lists/partial", "archives/partial"):
        (work / folder).mkdir(parents=True, exist_ok=True)
    # Nothing counts as installed, so everything comes along; what this system has is neither used nor changed.
    (work / "status").touch()
    (work / "sources.list").write_text(f"deb [signed-by={_keyring()}] {archive} {_SUITE} main\n")
    report("apt-get update")
    _apt(work, "update")
    report("downloading")
    _apt(work, "--download-only", "--yes", "--no-install-recommends", "install", _PACKAGE)
    report("unpacking")
    _unpack(work, report)
    shutil.rmtree(work)


def _unpack(work: Path, report: Report) -> None:
    packages = sorted((work / "archives").glob("*.deb"))
    (core,) = [package for package in packages if package.name.startswith(f"{_PACKAGE}_")]
    version = _output(["dpkg-deb", "--field", str(core), "Version"]).strip()
    target = Path(tempfile.mkdtemp(prefix="unpacked-", dir=work))
    for package in packages:
        report(package.name)
        _output(["dpkg-deb", "--extract", str(package), str(target)])
    target.chmod(0o755)
    target.rename(cache() / f"mysql-{version}")
    report(version)


def _apt(work: Path, *arguments: str) -> None:
    options = {
        "Dir::State": work,
        "Dir::State::status": work / "status",
        "Dir::Cache": work,
        "Dir::Etc::sourcelist": work / "sources.list",
        "Dir::Etc::sourceparts": "-",
        # A mirror may keep a state of the suite that is older than its release file allows; its signature is checked.
        "Acquire::Check-Valid-Until": "false",
        "Acquire::Languages": "none",
        # The user apt would download as cannot look into this cache.
        "APT::Sandbox::User": "",
    }
    named = [f"--option={name}={value}" for name, value in options.items()]
    _output(["apt-get", "--quiet", *named, *arguments])


def _output(command: list[str]) -> str:
    done = subprocess.run(
        command,
        env={**os.environ, "LC_ALL": "C"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise StackError(f"MySQL cannot be had: {command[0]} failed ({last}); put that right, or {_OWN}")
    return done.stdout


def _debian_archive() -> str:
    """The archive that this Debian has its own packages from."""
    try:
        system = platform.freedesktop_os_release()
    except OSError:
        system = {}
    if system.get("ID") != "debian" or shutil.which("apt-get") is None:
        raise StackError(f"MySQL cannot be had: it comes from Debian's packages, and this is no Debian; {_OWN}")
    wanted = "$(RELEASE) $(COMPONENT) $(REPO_URI)"
    targets = _output(["apt-get", "indextargets", "--format", wanted, "Created-By: Packages"])
    for target in targets.splitlines():
        suite, component, address = target.split(" ", 2)
        if (suite, component) == (system.get("VERSION_CODENAME"), "main"):
            return address
    raise StackError(f"MySQL cannot be had: apt knows no archive of {system.get('VERSION_CODENAME')} main; {_OWN}")


def _keyring() -> Path:
    found = sorted(_KEYRINGS.glob("debian-archive-keyring.*"))
    if not found:
        raise StackError("MySQL cannot be had: Debian's keys are missing; install debian-archive-keyring, then again.")
    return found[0]
