"""Servers that come from the operating system's packages: MariaDB and Redis."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from dev.stack.paths import StackError, is_root

Report = Callable[[str], None]

_PACKAGES = {"mariadb-server": ("mariadbd", "mariadb-install-db"), "redis-server": ("redis-server",)}
_POLICY = Path("/usr/sbin/policy-rc.d")
_SYSTEM_FOLDERS = "/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin:/opt/homebrew/bin"

# Elasticsearch refuses to run as root; where we are root it runs as this one.
SERVER_USER = "order-engine"


def find(program: str) -> str:
    """The path of an installed program; server programs are often not on an ordinary user's PATH."""
    found = shutil.which(program) or shutil.which(program, path=_SYSTEM_FOLDERS)
    if found is None:
        raise StackError(f"{program} is not installed; run `make up` again, its output shows how to install it.")
    return found


def missing_packages() -> list[str]:
    """The Debian packages whose programs are not here."""
    return [package for package, programs in _PACKAGES.items() if not all(_is_here(name) for name in programs)]


def provide(packages: dict[str, tuple[str, ...]], report: Report) -> None:
    """Install those packages of which a program is not here."""
    missing = [name for name, programs in packages.items() if not all(_is_here(program) for program in programs)]
    if missing:
        install(missing, report)


def _is_here(program: str) -> bool:
    return bool(shutil.which(program) or shutil.which(program, path=_SYSTEM_FOLDERS))


def install(packages: list[str], report: Report) -> None:
    """Install Debian packages as root without letting them start services of their own."""
    missing = " ".join(packages)
    by_hand = f"sudo apt-get update && sudo apt-get install -y --no-install-recommends {missing}"
    if shutil.which("apt-get") is None:
        raise StackError(
            f"{missing} missing: install MariaDB and Redis (mariadbd and redis-server on PATH), then try again."
        )
    if not is_root():
        raise StackError(f"{missing} missing and this is not root: run `{by_hand}`, then try again.")
    with _services_stay_down():
        for arguments in (["update"], ["install", "-y", "--no-install-recommends", *packages]):
            report(f"apt-get {arguments[0]}")
            done = subprocess.run(
                # A fresh machine often installs its first updates just now.
                ["apt-get", "-q", "-o", "DPkg::Lock::Timeout=300", *arguments],
                env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode != 0:
                last = (done.stderr.strip().splitlines() or ["no message"])[-1]
                raise StackError(f"apt-get {arguments[0]} failed ({last}); put that right or run `{by_hand}` yourself.")


@contextmanager
def _services_stay_down() -> Iterator[None]:
    """Debian asks policy-rc.d before it starts a freshly installed service; ours would take the usual ports."""
    if _POLICY.exists():
        yield
        return
    _POLICY.write_text("#!/bin/sh\nexit 101\n")
    _POLICY.chmod(0o755)
    try:
        yield
    finally:
        _POLICY.unlink(missing_ok=True)


def ensure_server_user() -> None:
    """Where we are root, the system user for servers that refuse root."""
    if not is_root() or _user_exists(SERVER_USER):
        return
    program = find("useradd")
    done = subprocess.run(
        [program, "--system", "--user-group", "--no-create-home", "--shell", "/usr/sbin/nologin", SERVER_USER],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise StackError(f"Elasticsearch may not run as root and making a user for it failed ({done.stderr.strip()}).")


def _user_exists(name: str) -> bool:
    import pwd

    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True
