"""Temporal's server as its own SDK fetches it: seconds, where that can be reached, instead of a build of minutes.

`python -m dev.stack.temporal_download VERSION FOLDER` is the fetch itself, in a process that can be ended.
"""

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from dev.stack import go_programs
from dev.stack.paths import cache
from dev.stack.versions import GoProgram

Report = Callable[[str], None]

# What a slow line takes; where nothing answers at all, the build starts no later than this.
_SECONDS = 60


def fetch_or_build(program: GoProgram, report: Report) -> None:
    """Fetch the finished program where it can be had, else build it from source."""
    if not fetched(program, report):
        go_programs.build(program, report)


def fetched(program: GoProgram, report: Report, seconds: float = _SECONDS, command: Sequence[str] = ()) -> bool:
    """Try once to fetch the program's version into the cache; false where that cannot be had within `seconds`."""
    report("asking for a finished one")
    with tempfile.TemporaryDirectory(prefix=f".partial-{program.folder}-", dir=cache()) as folder:
        fetch = command or [sys.executable, "-m", "dev.stack.temporal_download", program.version]
        if not _succeeds([*fetch, folder], seconds):
            return False
        found = [file for file in Path(folder).iterdir() if _is_version(file, program.version)]
        if not found:
            return False
        target = Path(tempfile.mkdtemp(prefix=f".partial-{program.folder}-", dir=cache()))
        found[0].rename(target / program.name)
    target.chmod(0o755)
    target.rename(cache() / program.folder)
    return True


def _succeeds(command: Sequence[str], seconds: float) -> bool:
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    ) as process:
        try:
            return process.wait(seconds) == 0
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)  # with the server it may have started
            return False


def _is_version(file: Path, version: str) -> bool:
    """What was fetched is what was asked for, whole and for this machine: it says so itself."""
    try:
        answer = subprocess.run([str(file), "--version"], capture_output=True, text=True, timeout=30, check=False)
    except OSError:
        return False
    return answer.returncode == 0 and version in answer.stdout


async def _fetch(version: str, folder: str) -> None:
    from temporalio.testing import WorkflowEnvironment  # slow to import, and most starts need no download

    # The SDK fetches by starting; the server it starts is ended at once.
    server = await WorkflowEnvironment.start_local(
        ip="127.0.0.1", dev_server_download_version=f"v{version}", download_dest_dir=folder
    )
    await server.shutdown()


if __name__ == "__main__":
    asyncio.run(_fetch(*sys.argv[1:]))
