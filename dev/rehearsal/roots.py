"""File systems of Debian that stand-in images are made from, and the compose plug-in, which Debian has since 2025."""

import os
import shutil
import subprocess
from pathlib import Path

from dev.rehearsal.engine import folder
from dev.stack.paths import StackError

_MIRROR = "http://deb.debian.org/debian"
# Those of the machine, because a build may reach the package index through a proxy that only this machine trusts.
_FROM_THIS_MACHINE = (Path("/etc/pip.conf"), Path("/etc/ssl/certs/ca-certificates.crt"))
PYTHON = ("bookworm", ("python3", "python3-venv", "python3-pip", "ca-certificates"))
SERVERS = (
    "sid",
    (
        *("ca-certificates", "curl", "wget", "netcat-openbsd", "redis-server", "nginx"),
        *("mysql-server-core", "mysql-client-core", "docker-compose"),
    ),
)


def root(suite: str, packages: tuple[str, ...]) -> Path:
    """The file system of a suite with these packages; made once."""
    made = folder() / suite
    if made.is_dir():
        return made
    partial = folder() / f"{suite}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    command = ["debootstrap", "--variant=minbase", f"--include={','.join(packages)}", suite, str(partial), _MIRROR]
    log = folder() / f"{suite}.log"
    with log.open("w") as output:
        # A maintainer's script must find the system's programs, whatever PATH this was started with.
        path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin", "/usr/bin", "/bin"])
        status = subprocess.run(
            command, env={**os.environ, "PATH": path}, stdout=output, stderr=output, check=False
        ).returncode
    if status != 0:
        raise StackError(f"debootstrap of {suite} failed; see {log}.")
    shutil.rmtree(partial / "var/cache/apt/archives", ignore_errors=True)
    for file in _FROM_THIS_MACHINE:
        if file.exists():
            (partial / file.relative_to("/")).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, partial / file.relative_to("/"))
    if suite == PYTHON[0]:
        (partial / "usr/local/bin/python").symlink_to("/usr/bin/python3")
    partial.rename(made)
    return made


def compose_plugin() -> Path:
    """One static program."""
    return root(*SERVERS) / "usr/libexec/docker/cli-plugins/docker-compose"


def versions() -> dict[str, str]:
    """What the unstable suite had of the servers when the file system was made."""
    status = (root(*SERVERS) / "var/lib/dpkg/status").read_text()
    found: dict[str, str] = {}
    for entry in status.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in entry.splitlines() if ": " in line and not line.startswith(" "))
        if fields.get("Package") in {"mysql-server-core", "redis-server", "nginx", "docker-compose"}:
            found[fields["Package"]] = fields["Version"]
    return found
