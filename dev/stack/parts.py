"""The parts of the stack: one for each line of the Procfile, with its ports and its readiness."""

from dataclasses import dataclass
from typing import Literal

from honcho.environ import parse_procfile  # type: ignore[import-untyped]

from dev.stack.paths import ROOT, StackError

PROCFILE = ROOT / "Procfile"

Kind = Literal["server", "simulator", "application"]


@dataclass(frozen=True)
class Part:
    """One process of the stack."""

    name: str
    kind: Kind
    ports: tuple[str, ...] = ()
    # For a machine with much else to do: a part that keeps dying is reported as soon as it has, however long this is.
    patience_seconds: int = 120
    stop_seconds: int = 10

    @property
    def priority(self) -> int:
        """supervisord starts low numbers first and stops them last."""
        return {"server": 100, "simulator": 200, "application": 300}[self.kind]


# The port listed first is the one `status` shows as the part's address.
PARTS = (
    Part("mysql", "server", ("MYSQL_PORT",), stop_seconds=30),
    Part("mongo", "server", ("MONGO_PORT",)),
    Part("redis", "server", ("REDIS_PORT",)),
    Part("elasticsearch", "server", ("ELASTICSEARCH_PORT", "ELASTICSEARCH_TRANSPORT_PORT"), patience_seconds=240),
    Part("kafka", "server", ("KAFKA_PORT", "KAFKA_CONTROLLER_PORT"), patience_seconds=240),
    Part("temporal", "server", ("TEMPORAL_PORT", "TEMPORAL_UI_PORT")),
    Part("stripe-mock", "server", ("STRIPE_MOCK_PORT", "STRIPE_MOCK_HTTPS_PORT")),
    Part("mail", "simulator", ("MAIL_UI_PORT", "SMTP_PORT")),
    Part("payment-simulator", "simulator", ("PAYMENT_SIMULATOR_PORT",)),
    Part("carrier-simulator", "simulator", ("CARRIER_SIMULATOR_PORT",)),
    Part("supplier-simulator", "simulator"),
    Part("api", "application", ("API_PORT",), stop_seconds=40),
    # Longer than ORDERS_GRACEFUL_SHUTDOWN_SECONDS, so that running activities may end.
    Part("order-worker", "application", stop_seconds=40),
    Part("notification-worker", "application", stop_seconds=40),
    Part("relay", "application", stop_seconds=40),
    Part("search-indexer", "application", stop_seconds=40),
)
BY_NAME = {part.name: part for part in PARTS}


def commands() -> dict[str, str]:
    """The Procfile's command of each part."""
    written: dict[str, str] = dict(parse_procfile(PROCFILE.read_text()).processes)
    if set(written) != set(BY_NAME):
        differing = ", ".join(sorted(set(written) ^ set(BY_NAME)))
        raise StackError(f"Procfile and dev/stack/parts.py differ in {differing}; name each part in both.")
    return written


def select(names: list[str], only_servers: bool) -> list[Part]:
    """The parts meant by a command line: those named, or all, or all but the applications."""
    unknown = [name for name in names if name not in BY_NAME]
    if unknown:
        raise StackError(f"There is no part {unknown[0]!r}; choose from {', '.join(BY_NAME)}.")
    chosen = [BY_NAME[name] for name in names] if names else list(PARTS)
    return [part for part in chosen if not (only_servers and part.kind == "application")]
