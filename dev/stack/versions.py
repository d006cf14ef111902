"""The exact version of every server the native stack runs, in one place.

docker-compose.yml names the same generations as images; `tests/deploy/test_compose.py` compares the parts.
"""

from dataclasses import dataclass

GO_MINIMUM = (1, 26)


@dataclass(frozen=True)
class GoProgram:
    """A server published as a Go module; `go install` checks it against Go's public checksum database."""

    name: str
    version: str
    package: str
    title: str = ""
    """Where the program's own name says too little."""

    @property
    def folder(self) -> str:
        """The cache folder's name: another version never meets this one's files."""
        return f"{self.title or self.name}-{self.version}"


@dataclass(frozen=True)
class JavaProgram:
    """A server published as jars; everything it depends on is fixed by its own POM."""

    name: str
    version: str
    coordinates: tuple[str, ...]

    @property
    def folder(self) -> str:
        """The cache folder's name: another version never meets this one's files."""
        return f"{self.name}-{self.version}"


# Newer CLI tags carry a `replace` directive, which `go install package@version` refuses.
TEMPORAL = GoProgram("temporal", "1.5.1", "github.com/temporalio/cli/cmd/temporal")
# The server itself, on MySQL as containers run it, its schema tool and its Web UI, for `make rehearse-containers`.
TEMPORAL_SERVER = GoProgram("server", "1.29.1", "go.temporal.io/server/cmd/server", "temporal-server")
TEMPORAL_SQL_TOOL = GoProgram("sql", "1.29.1", "go.temporal.io/server/cmd/tools/sql", "temporal-sql-tool")
TEMPORAL_UI = GoProgram("server", "2.42.1", "github.com/temporalio/ui-server/v2/cmd/server", "temporal-ui")
STRIPE_MOCK = GoProgram("stripe-mock", "0.203.0", "github.com/stripe/stripe-mock")

KAFKA = JavaProgram(
    "kafka", "4.1.0", ("org.apache.kafka:kafka_2.13:4.1.0", "org.apache.logging.log4j:log4j-slf4j-impl:2.24.3")
)
MONGO_SERVER = JavaProgram(
    "mongo-java-server",
    "1.47.0",
    ("de.bwaldvogel:mongo-java-server-h2-backend:1.47.0", "org.slf4j:slf4j-simple:2.0.17"),
)
TEMPORAL_TEST_SERVER = JavaProgram(
    "temporal-test-server",
    "1.32.0",
    ("io.temporal:temporal-test-server:1.32.0", "org.slf4j:slf4j-simple:1.7.36"),
)
# The real server with only its core modules, as Elastic publishes it for integration tests.
ELASTICSEARCH = JavaProgram(
    "elasticsearch", "9.2.0", ("org.elasticsearch.distribution.integ-test-zip:elasticsearch:9.2.0",)
)

JAVA_PROGRAMS = (KAFKA, MONGO_SERVER, TEMPORAL_TEST_SERVER)
