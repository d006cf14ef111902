"""`python -m dev.rehearsal`: bring docker-compose.yml up whole, order, kill every container, take it down."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from typing import Annotated

import typer
from dotenv import dotenv_values
from rich.console import Console
from rich.markup import escape

from dev.rehearsal import checks, engine, images, roots
from dev.stack import containers, packages
from dev.stack.environment import EXAMPLE_FILE
from dev.stack.paths import ROOT, StackError
from dev.stack.ports import make_room

_PROJECT = "order-engine-rehearsal"
# With what would end a URL's password, or its host.
_PASSWORD = "re@hearsal/of#containers"  # noqa: S105
_UNPROVEN = """\
- the entry points of the images of MySQL, MongoDB, Redis, Elasticsearch, Kafka, nginx, Temporal and its Web UI, and the
  users, folders and variables they expect: the scripts of dev/rehearsal/entrypoints stand in for them
- a real mongod and its mongosh: mongo-java-server answers instead
- the very release of MySQL, Redis and nginx that the compose file names: those of Debian's unstable suite are newer
- the modules of Elasticsearch beyond its core; the Python that the image python:slim has compiled itself
- the memory limits of images whose processes differ from these
- engines with cgroup v2, Docker Desktop, other processors"""
console = Console(highlight=False, soft_wrap=True)


def report(text: str) -> None:
    """A line below the step that is under way."""
    console.print(f"  {escape(text)}")


@contextmanager
def _step(title: str) -> Iterator[None]:
    console.print(f"… {title}")
    started = time.monotonic()
    yield
    console.print(f"[green]✓[/green] {title} ({time.monotonic() - started:.1f} s)")


def main(
    keep: Annotated[bool, typer.Option(help="Leave the containers up; only where the engine is not ours.")] = False,
) -> None:
    """Rehearse docker-compose.yml. Where no engine answers, root starts one, and images are made from packages."""
    started = time.monotonic()
    try:
        _rehearse(keep)
    except StackError as error:
        console.print(f"[red]✗[/red] {escape(str(error))}")
        raise typer.Exit(1) from error
    console.print(f"All of it took {time.monotonic() - started:.0f} s.")


def _rehearse(keep: bool) -> None:
    engine.folder().mkdir(parents=True, exist_ok=True)
    theirs = containers.engine_answers()
    if not theirs:
        with _step("file systems of Debian"):
            packages.provide({"docker.io": ("dockerd",), "debootstrap": ("debootstrap",)}, report)
            for suite in (roots.PYTHON, roots.SERVERS):
                roots.root(*suite)
            report(", ".join(f"{name} {version}" for name, version in roots.versions().items()))
    with engine.running(roots.compose_plugin) as client:
        os.environ.update(client)
        if not theirs:
            with _step("stand-in images"):
                images.build_all(report)
        os.environ.update(_environment())
        try:
            _prove()
        finally:
            if not (keep and theirs):
                with _step("taking it down"):
                    containers.compose("down", "--volumes", quiet=True)
    if not theirs:
        console.print("What stand-ins cannot prove:")
        console.print(_UNPROVEN)


def _prove() -> None:
    with _step("make up: our images, every container healthy, sample data"):
        checks.run("dev.stack", "up")
    with _step("the gateway"):
        checks.gateway(report)
    with _step("make demo"):
        for line in checks.run("dev.demo").splitlines():
            if line.startswith("✓"):
                report(line)
    with _step("make conformance"):
        report(checks.run("dev.conformance").strip().splitlines()[-1])
    with _step("make rotate-keys, restart, logs"):
        checks.everyday_commands(report)
    with _step("each container killed while a customer orders"):
        customer = checks.kill_each(report)
    with _step("how the orders ended"):
        checks.all_ended_right(customer, report)


def _environment() -> dict[str, str]:
    """A project of its own, with ports beside those of a stack that may run here."""
    text, raised = make_room(EXAMPLE_FILE.read_text())
    report(f"ports raised by {raised}")
    override = engine.folder() / "compose.yml"
    build = "build: {network: host}"
    override.write_text("services:\n" + "".join(f"  {name}: {{{build}}}\n" for name in ("setup", "seed")))
    text = text.replace("MYSQL_PASSWORD=development-mysql\n", f"MYSQL_PASSWORD='{_PASSWORD}'\n")
    return {
        **{name: value or "" for name, value in dotenv_values(stream=StringIO(text)).items()},
        containers.CHOICE: "containers",
        "COMPOSE_PROJECT_NAME": _PROJECT,
        "COMPOSE_FILE": os.pathsep.join([str(ROOT / "docker-compose.yml"), str(override)]),
        # Without the plug-in for builds, compose leaves them to the engine.
        "DOCKER_BUILDKIT": "1",
    }


if __name__ == "__main__":
    typer.run(main)
