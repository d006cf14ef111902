"""The one settings class: read from the environment, then from `.env`, secrets also from files, refused when unsafe.

How stores are reached is in `store_settings.py`, what production refuses in `production.py`. Names of the product start
with `ORDERS_`; names a vendor's own tools know (`TEMPORAL_*`, `STRIPE_*`, `SMTP_*`) stay as the vendor spells them.
`.env.example` lists every setting with its development value.
"""

from datetime import timedelta
from ipaddress import ip_network
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from adapters.production import refused_in_production
from adapters.secret_files import SecretFiles, secrets_manager
from adapters.store_settings import StoreSettings, vendor_name
from domain.fulfilment import ParcelStatus
from domain.retention import DataKind, retention_days
from schemas.risk import Verdict

Service = Literal["user", "catalog", "cart", "order", "payment", "notification"]
TaskQueue = Literal["orders", "payments", "fulfilment", "notifications", "catalog"]

_RATE = r"^[1-9][0-9]*/(second|minute|hour|day)$"


class OidcProvider(BaseModel):
    """An OpenID Connect provider that customers may sign in with; `name` stands in our addresses."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")
    issuer: str = Field(pattern=r"^https?://[^/\s?#]+[^\s?#]*$")
    client_id: str
    client_secret: SecretStr | None = None


class Settings(StoreSettings):
    """Everything a process of the order engine needs to know about the world around it."""

    model_config = SettingsConfigDict(
        env_prefix="ORDERS_", env_file=".env", env_ignore_empty=True, extra="ignore", frozen=True
    )

    environment: Literal["development", "test", "production"] = "production"
    public_url: str
    api_url: str | None = None
    """Where our own processes reach the API, when that is another address than the world's `public_url`."""
    name_prefix: str = Field(default="", pattern=r"^[a-z0-9-]*$")
    """Put before topics, consumer groups and search indices, so that several engines can share servers."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    log_format: Literal["console", "json"] = "json"

    services: Annotated[frozenset[Service], NoDecode] = frozenset(
        {"user", "catalog", "cart", "order", "payment", "notification"}
    )
    task_queues: Annotated[frozenset[TaskQueue], NoDecode] = frozenset(
        {"orders", "payments", "fulfilment", "notifications", "catalog"}
    )
    api_host: str = "127.0.0.1"
    api_port: int = 8080

    stripe_api_base: str = Field(default="https://api.stripe.com", validation_alias=vendor_name("STRIPE_API_BASE"))
    stripe_api_version: str | None = Field(
        default=None, pattern=r"^\d{4}-\d{2}-\d{2}(\.[a-z]+)?$", validation_alias=vendor_name("STRIPE_API_VERSION")
    )
    """The version of its API that Stripe is asked to speak; the SDK's own unless named."""
    stripe_api_key: SecretStr = Field(validation_alias=vendor_name("STRIPE_API_KEY"))
    stripe_webhook_secret: SecretStr = Field(validation_alias=vendor_name("STRIPE_WEBHOOK_SECRET"))

    carrier_api_base: str = Field(validation_alias=vendor_name("CARRIER_API_BASE"))
    carrier_api_key: SecretStr = Field(validation_alias=vendor_name("CARRIER_API_KEY"))
    carrier_webhook_secret: SecretStr = Field(validation_alias=vendor_name("CARRIER_WEBHOOK_SECRET"))

    mail_from: str
    mail_ui_url: str | None = None

    auth_issuer: str
    auth_audience: str = "order-engine"
    auth_keys_dir: str
    access_token_seconds: int = Field(default=600, gt=0, le=3600)
    session_secret: SecretStr = Field(min_length=32)
    """Signs the cookies of the sign-in page; changing it signs every browser out of that page."""
    admin_client_secret: SecretStr | None = Field(default=None, min_length=32)
    """What the service account `order-admin` signs in with; `order-admin setup` makes it so."""
    supplier_client_secret: SecretStr | None = Field(default=None, min_length=32)
    """The same for the service account `supplier-simulator`."""
    oidc_providers: tuple[OidcProvider, ...] = ()
    """External OpenID Connect providers, a JSON list."""

    trusted_proxies: Annotated[tuple[str, ...], NoDecode] = ()
    """Addresses or networks of our own gateways: only their word on a client's address is trusted."""
    cors_origins: Annotated[tuple[str, ...], NoDecode] = ()
    """Origins whose pages may call the API from a browser; none unless named."""
    rate_limit: str = Field(default="1200/minute", pattern=_RATE)
    """For each principal, or each address when nobody is signed in."""
    rate_limit_sensitive: str = Field(default="30/minute", pattern=_RATE)
    """For each address, where passwords, codes and mailed links can be tried out."""
    login_failures_per_account: int = Field(default=5, gt=0)
    """Wrong passwords that cost nothing; after them each pause before the next try doubles, up to 15 minutes."""
    login_failures_per_address: int = Field(default=50, gt=0)
    """The same for all tries from one network address, which an office or a carrier's gateway may share."""
    password_memory_kib: int = Field(default=65_536, ge=64)
    """What a guess at a stolen password's hash costs: Argon2id's memory. Each API process hashes two at once; a hash
    that was made at another cost is replaced when its owner signs in."""
    verification_link_hours: int = Field(default=48, gt=0)
    """How long the mailed link that proves an e-mail address works."""
    reset_link_minutes: int = Field(default=30, gt=0)
    """How long the mailed link that resets a password works."""
    max_body_bytes: int = Field(default=1_048_576, gt=0)
    max_import_bytes: int = Field(default=1_073_741_824, gt=0)
    """The same for a file of products, which is never held as a whole."""
    checkout_answer_seconds: float = Field(default=10, gt=0)
    api_threads: int = Field(default=40, gt=0)
    """How many requests one API process works on at once; each may hold a connection to MySQL, and others wait."""
    checkouts_at_once: int = Field(default=32, gt=0)
    """How many checkouts one API process runs at once; others wait for it, and are refused without a workflow
    once what they order is sold out."""
    guest_cart_days: int = Field(default=30, gt=0)
    """After so many days without a change a guest's cart is empty."""
    user_cart_days: int = Field(default=180, gt=0)
    """The same for the cart of an account."""
    cart_reminder_hours: float = Field(default=24, gt=0)
    """After so long without a change a customer who wants such mails is reminded of the cart."""
    popularity_days: float = Field(default=30, gt=0)
    """How long what was sold counts as popularity of its product."""
    quote_minutes: float = Field(default=15, gt=0)
    """How long a quoted price can be ordered at."""
    payment_retry_minutes: float = Field(default=30, ge=0)
    """How long an order whose payment was declined waits, its stock reserved, for another method; 0 ends it at once."""
    payment_authentication_minutes: float = Field(default=15, gt=0)
    """How long the customer has to confirm a payment with their bank; never longer than the time above, unless 0."""
    authorization_days: float = Field(default=7, ge=0)
    """How long an authorization lasts where the provider does not say; reauthorized a day before its end. 0: never."""
    decision_hours: float = Field(default=24, gt=0)
    """How long the customer of an order that is partly out of stock has to say what they want."""
    risk_review_total: int = Field(default=0, ge=0)
    """Orders of so many minor units and more are put on hold for a review; 0 puts none on hold for its total."""
    risk_review_hours: float = Field(default=24, gt=0)
    """How long the review of an order on hold may take."""
    risk_review_otherwise: Verdict = Verdict.DECLINE
    """The verdict on an order that was not reviewed in time."""
    reconciliation_days: float = Field(default=10, gt=0)
    """How far back payments are compared every hour; an authorization lasts a week."""
    reconciliation_grace_minutes: float = Field(default=60, ge=0)
    """How long a difference of an order whose workflows are running is only watched."""
    refund_lost_days: float = Field(default=3, ge=0)
    """A lost parcel that no operator has answered after so long is refunded by itself; 0: never."""
    refund_returned_days: float = Field(default=7, ge=0)
    """The same for a parcel that was returned, from the day it was back."""
    idempotency_hours: int = Field(default=24, gt=0)
    reservation_hours: float = Field(default=48, gt=0)
    """How long stock stays reserved for an order unless its workflow, which does while it lives, extends it."""
    backorder_days: float = Field(default=30, gt=0)
    """How long a confirmed order waits for backordered goods, unless its customer waits longer."""
    expected_minutes: float = Field(default=15, gt=0)
    """How long an order may be pending or cancelling, or wait past its customer's deadline, before it is overdue."""
    operator_answer_minutes: float = Field(default=60, gt=0)
    """How soon staff are to answer what needs an operator. They are then reminded, after twice as long it is escalated,
    and after four times as long a rule decides where one may."""
    operator_answer_minutes_by_code: dict[str, float] = {}
    """The same for some codes of what needs an operator, a JSON object."""
    operations_mail: str | None = None
    """Where reminders of what needs an operator are mailed to; they are logged in any case."""
    escalation_mail: str | None = None
    """Where escalations are mailed to; the address above unless named."""
    stuck_after_hours: int = Field(default=24, gt=0)
    """An open order in which nothing has happened for so long is shown to staff as stuck."""
    dispute_reminder_hours: int = Field(default=48, gt=0)
    """So long before the evidence for a dispute is due, staff are reminded of it."""
    retention_days: dict[DataKind, int] = {}
    """How long some kinds of data are kept, a JSON object; 0: for ever. The others as in `domain/retention.py`."""

    worker_metrics_address: str | None = Field(default=None, pattern=r"^[^\s:]+:[0-9]{1,5}$")
    """Where an order worker serves Temporal's metrics for Prometheus; not at all unless named."""
    health_address: str | None = Field(default=None, pattern=r"^[^\s:]+:[0-9]{1,5}$")
    """Where workers, relay and search indexer tell that they work; not at all unless named."""
    workflow_slots: int = Field(default=50, gt=1)
    activity_slots: int = Field(default=16, gt=0)
    local_activity_slots: int = Field(default=16, gt=0)
    graceful_shutdown_seconds: int = Field(default=30, gt=0)

    @property
    def reconciliation_grace(self) -> timedelta:
        """The same as a duration."""
        return timedelta(minutes=self.reconciliation_grace_minutes)

    @property
    def refund_undelivered_after(self) -> dict[ParcelStatus, timedelta]:
        """When a parcel that was lost or returned is refunded by itself; without an entry never."""
        days = {ParcelStatus.LOST: self.refund_lost_days, ParcelStatus.RETURNED: self.refund_returned_days}
        return {status: timedelta(days=after) for status, after in days.items() if after}

    @field_validator("services", "task_queues", mode="before")
    @classmethod
    def _split_commas(cls, value: object) -> object:
        if isinstance(value, str):
            return frozenset(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("trusted_proxies", "cors_origins", mode="before")
    @classmethod
    def _list_of_commas(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("trusted_proxies")
    @classmethod
    def _networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(str(ip_network(network, strict=False)) for network in value)

    @field_validator("retention_days")
    @classmethod
    def _refuse_short_retention(cls, value: dict[DataKind, int]) -> dict[DataKind, int]:
        retention_days(value)
        return value

    @model_validator(mode="after")
    def _refuse_what_production_must_not_have(self) -> Self:
        refused = refused_in_production(self) if self.environment == "production" else []
        if refused:
            raise ValueError("ORDERS_ENVIRONMENT is production, so these are refused: " + "; ".join(refused))
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment wins over Secrets Manager, and that over `.env`; both name files for secrets."""
        sources = [init_settings]
        for source in (env_settings, dotenv_settings):
            if isinstance(source, EnvSettingsSource):
                sources += [SecretFiles(settings_cls, source.env_vars), source]
                sources += secrets_manager(settings_cls, source.env_vars)
        return (*sources, file_secret_settings)


def load_settings() -> Settings:
    """Read the settings of this process.

    Raises pydantic.ValidationError naming every one missing or unsafe, SettingsError for a secret file.
    """
    return Settings()
