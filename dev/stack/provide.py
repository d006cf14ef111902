"""Makes sure every server's program is on this machine, fetching and building what is missing side by side."""

import fcntl
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from dev.stack import go_programs, jars, mysql_server, packages, temporal_download
from dev.stack.paths import StackError, cache, shared_cache
from dev.stack.versions import ELASTICSEARCH, JAVA_PROGRAMS, STRIPE_MOCK, TEMPORAL

Report = Callable[[str], None]

# Without a terminal, a long build prints its progress this often.
_SILENCE_SECONDS = 30


@dataclass(frozen=True)
class Job:
    """One thing to fetch, build or install."""

    title: str
    run: Callable[[Report], None]


def provide(console: Console) -> None:
    """Fetch, build and install whatever is missing; returns at once when nothing is."""
    for folder in (cache(), shared_cache()):
        folder.mkdir(parents=True, exist_ok=True)
    if not missing_jobs():
        return
    with _only_one_at_a_time(console):
        jobs = missing_jobs()
        if jobs:
            console.print(f"Getting {len(jobs)} servers into {cache()} (once; an interrupted run is taken up again)")
            _run_all(jobs, console)
            go_programs.forget_sources()


def missing_jobs() -> list[Job]:
    """What is not on this machine yet, the slowest first."""
    jobs = [
        Job(f"{program.name} {program.version} ({how})", partial(get, program))
        for program, how, get in (
            (TEMPORAL, "download, else Go build", temporal_download.fetch_or_build),
            (STRIPE_MOCK, "Go build", go_programs.build),
        )
        if not go_programs.is_built(program)
    ]
    if not jars.elasticsearch_home().is_dir():
        jobs.append(Job(f"{ELASTICSEARCH.name} {ELASTICSEARCH.version} (download)", jars.fetch_elasticsearch))
    jobs += [
        Job(f"{program.name} {program.version} (download)", partial(jars.fetch, program))
        for program in JAVA_PROGRAMS
        if not jars.is_fetched(program)
    ]
    if mysql_server.chosen() and not mysql_server.is_there():
        jobs.append(Job("MySQL (Debian packages, unpacked)", mysql_server.fetch))
    missing = packages.missing_packages()
    if missing:
        jobs.append(Job(f"{', '.join(missing)} (Debian packages)", partial(packages.install, missing)))
    return jobs


def _run_all(jobs: list[Job], console: Console) -> None:
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress, ThreadPoolExecutor(len(jobs)) as pool:
        futures = [pool.submit(_run, job, progress, progress.add_task(job.title)) for job in jobs]
        failures = [error for future in futures if (error := future.exception())]
    for error in failures:
        if not isinstance(error, StackError):
            raise error
    if failures:
        raise StackError(" ".join(str(error) for error in failures))


def _run(job: Job, progress: Progress, task: TaskID) -> None:
    started = shown = time.monotonic()
    if not progress.console.is_terminal:
        progress.console.print(f"  … {job.title}")

    def report(step: str) -> None:
        nonlocal shown
        progress.update(task, description=f"{job.title}: {step}")
        if not progress.console.is_terminal and time.monotonic() - shown > _SILENCE_SECONDS:
            shown = time.monotonic()
            progress.console.print(f"  … {job.title}: {step}", markup=False)

    job.run(report)
    progress.update(task, visible=False)
    progress.console.print(f"  [green]✓[/green] {job.title} in {time.monotonic() - started:.1f} s")


@contextmanager
def _only_one_at_a_time(console: Console) -> Iterator[None]:
    """Two clones share the cache; the second waits and then finds everything there."""
    with (cache() / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            console.print("Another run is fetching servers into the same cache; waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
