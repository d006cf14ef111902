"""Where the payment simulator listens, what it accepts and where it sends webhooks."""

import os
from dataclasses import dataclass, field

from dev.payment_simulator.fees import Fees
from dev.service import load_environment, state_path


@dataclass(frozen=True)
class Settings:
    """The simulator's settings, from the same variables the product's own settings use."""

    api_key: str
    webhook_secret: str
    webhook_url: str
    database: str
    port: int = 18101
    public_url: str = "http://127.0.0.1:18101"
    # Stripe's search lags writes by up to a minute; set this to find code that relies on it being current.
    search_lag_seconds: float = 0.0
    webhook_attempts: int = 40
    fees: Fees = field(default_factory=Fees)
    # How long an authorization is valid before it expires.
    authorization_seconds: float = 7 * 86_400
    # How long a refund is pending on the cards whose refunds are.
    refund_seconds: float = 2.0
    # How long a bank takes to decide that does not do so at once.
    processing_seconds: float = 300.0

    @classmethod
    def from_environment(cls) -> "Settings":
        """Read the process environment, which .env completes."""
        load_environment()
        port = int(os.environ.get("PAYMENT_SIMULATOR_PORT", "18101"))
        api_port = os.environ.get("API_PORT", "18080")
        return cls(
            api_key=os.environ["STRIPE_API_KEY"],
            webhook_secret=os.environ["STRIPE_WEBHOOK_SECRET"],
            webhook_url=os.environ.get("STRIPE_WEBHOOK_URL") or f"http://127.0.0.1:{api_port}/v1/webhooks/stripe",
            database=state_path("PAYMENT_SIMULATOR_DB", ".state/simulators/payments.sqlite3"),
            port=port,
            public_url=os.environ.get("PAYMENT_SIMULATOR_URL") or f"http://127.0.0.1:{port}",
            authorization_seconds=float(os.environ.get("PAYMENT_AUTHORIZATION_SECONDS", "604800")),
            refund_seconds=float(os.environ.get("PAYMENT_REFUND_SECONDS", "2")),
            processing_seconds=float(os.environ.get("PAYMENT_PROCESSING_SECONDS", "300")),
            search_lag_seconds=float(os.environ.get("PAYMENT_SEARCH_LAG_SECONDS", "0")),
            fees=Fees(
                basis_points=int(os.environ.get("PAYMENT_FEE_BASIS_POINTS", "150")),
                fixed=int(os.environ.get("PAYMENT_FEE_FIXED", "25")),
                dispute=int(os.environ.get("PAYMENT_DISPUTE_FEE", "2000")),
            ),
        )
