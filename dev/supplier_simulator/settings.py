"""Where the supplier reads stock events, where it delivers, how fast and how much."""

import os
from dataclasses import dataclass
from pathlib import Path

from dev.service import load_environment

_KAFKA_OPTIONS = {
    "ORDERS_KAFKA_BOOTSTRAP": "bootstrap.servers",
    "ORDERS_KAFKA_SECURITY_PROTOCOL": "security.protocol",
    "ORDERS_KAFKA_SASL_MECHANISM": "sasl.mechanism",
    "ORDERS_KAFKA_USERNAME": "sasl.username",
    "ORDERS_KAFKA_PASSWORD": "sasl.password",
    "ORDERS_KAFKA_CA_FILE": "ssl.ca.location",
}


@dataclass(frozen=True)
class Settings:
    """The simulator's settings."""

    kafka: dict[str, str]
    topic: str
    group: str
    api_url: str
    client_id: str
    client_secret: str
    alive_file: Path | None = None
    delivery_seconds: float = 5.0
    units: int = 50

    @classmethod
    def from_environment(cls) -> "Settings":
        """Read the process environment, which .env completes."""
        load_environment()
        prefix = os.environ.get("ORDERS_NAME_PREFIX", "")
        return cls(
            kafka={option: os.environ[name] for name, option in _KAFKA_OPTIONS.items() if os.environ.get(name)},
            topic=f"{prefix}catalog.products.v1",
            group=f"{prefix}supplier-simulator",
            api_url=(os.environ.get("ORDERS_API_URL") or os.environ["ORDERS_PUBLIC_URL"]).rstrip("/"),
            client_id="supplier-simulator",
            client_secret=os.environ["ORDERS_SUPPLIER_CLIENT_SECRET"],
            alive_file=Path(alive) if (alive := os.environ.get("SUPPLIER_ALIVE_FILE")) else None,
            delivery_seconds=float(os.environ.get("SUPPLIER_DELIVERY_SECONDS", "5")),
            units=int(os.environ.get("SUPPLIER_UNITS", "50")),
        )
