"""Where the carrier simulator listens, where it sends webhooks and how fast its parcels move."""

import os
from dataclasses import dataclass

from dev.service import load_environment, state_path


@dataclass(frozen=True)
class Settings:
    """The simulator's settings."""

    api_key: str
    webhook_secret: str
    webhook_url: str
    database: str
    port: int = 18102
    public_url: str = "http://127.0.0.1:18102"
    step_seconds: float = 1.5
    # Parcels then move only by /_control/shipments/{id}/advance.
    manual: bool = False

    @classmethod
    def from_environment(cls) -> "Settings":
        """Read the process environment, which .env completes."""
        load_environment()
        port = int(os.environ.get("CARRIER_SIMULATOR_PORT", "18102"))
        api_port = os.environ.get("API_PORT", "18080")
        return cls(
            api_key=os.environ["CARRIER_API_KEY"],
            webhook_secret=os.environ["CARRIER_WEBHOOK_SECRET"],
            webhook_url=os.environ.get("CARRIER_WEBHOOK_URL") or f"http://127.0.0.1:{api_port}/v1/webhooks/carrier",
            database=state_path("CARRIER_SIMULATOR_DB", ".state/simulators/carrier.sqlite3"),
            port=port,
            public_url=os.environ.get("CARRIER_SIMULATOR_URL") or f"http://127.0.0.1:{port}",
            step_seconds=float(os.environ.get("CARRIER_STEP_SECONDS", "1.5")),
            manual=os.environ.get("CARRIER_MANUAL", "0") == "1",
        )
