"""Stand-ins for the images that docker-compose.yml and the Dockerfile name, under their names."""

import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import IO

import yaml

from dev.rehearsal import roots
from dev.rehearsal.engine import folder
from dev.rehearsal.stand_ins import SERVERS, StandIn, stand_ins
from dev.stack import go_programs, jars
from dev.stack.paths import ROOT, StackError
from dev.stack.versions import (
    KAFKA,
    MONGO_SERVER,
    STRIPE_MOCK,
    TEMPORAL_SERVER,
    TEMPORAL_SQL_TOOL,
    TEMPORAL_UI,
)

_PROGRAMS = (TEMPORAL_SERVER, TEMPORAL_SQL_TOOL, TEMPORAL_UI, STRIPE_MOCK)


def named_images() -> dict[str, str]:
    """The image of each service, and under `python` the base of our own."""
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    images = {
        name: found["image"] for name, found in services.items() if not found["image"].startswith("order-engine:")
    }
    base = re.search(r"^FROM (python:\S+) AS base$", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE)
    if base is None:
        raise StackError("The Dockerfile has no line `FROM python:… AS base`.")
    return images | {"python": base.group(1)}


def build_all(report: Callable[[str], None]) -> None:
    """Make every image that the engine does not have yet."""
    images = named_images()
    _provide(report)
    for name, suite in ((images["python"], roots.PYTHON), (SERVERS, roots.SERVERS)):
        if not _exists(name):
            report(f"{name} from Debian {suite[0]}")
            _import(roots.root(*suite), name)
    for stand_in in stand_ins(images):
        report(stand_in.image)
        _build(stand_in)


def _provide(report: Callable[[str], None]) -> None:
    """The servers' programs, most of which the native stack has in the same cache."""
    for program in _PROGRAMS:
        if not go_programs.is_built(program):
            report(f"{program.folder} (Go build)")
            go_programs.build(program, lambda _: None)
    for java in (KAFKA, MONGO_SERVER):
        if not jars.is_fetched(java):
            report(f"{java.folder} (download)")
            jars.fetch(java, lambda _: None)
    if not jars.elasticsearch_home().is_dir():
        report("Elasticsearch (download)")
        jars.fetch_elasticsearch(lambda _: None)


def _exists(image: str) -> bool:
    command = ["docker", "image", "inspect", image]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def _import(root: Path, image: str) -> None:
    path = "ENV PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    with subprocess.Popen(["tar", "-C", str(root), "-c", "."], stdout=subprocess.PIPE) as archive:
        _run(["docker", "import", "--change", path, "-", image], image, archive.stdout)


def _build(stand_in: StandIn) -> None:
    """Its Dockerfile is beside the context, which is another program's folder. What is unchanged costs nothing."""
    file = folder() / "dockerfiles" / re.sub(r"\W", "-", stand_in.image)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("\n".join(stand_in.lines) + "\n")
    command = ["docker", "build", "--network=host", "--tag", stand_in.image, "--file", str(file), str(stand_in.context)]
    _run(command, stand_in.image)


def _run(command: list[str], what: str, source: IO[bytes] | None = None) -> None:
    log = folder() / f"{re.sub(r'[^a-z0-9]+', '-', what)}.log"
    environment = {**os.environ, "DOCKER_BUILDKIT": "1"}
    with log.open("w") as output:
        done = subprocess.run(command, env=environment, stdin=source, stdout=output, stderr=output, check=False)
    if done.returncode != 0:
        last = (log.read_text().strip().splitlines() or ["no message"])[-1]
        raise StackError(f"Making {what} failed ({last}); see {log}.")
