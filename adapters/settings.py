"""The one settings class: read from the environment, then from `.env`, and refused when unsafe.

Names of the product start with `ORDERS_`; names a vendor's own tools know (`TEMPORAL_*`, `STRIPE_*`,
`SMTP_*`) stay as the vendor spells them. `.env.example` lists every setting with its development value.
"""

from datetime import timedelta
from ipaddress import ip_network
from typing import Annotated, Literal, Self

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from domain.fulfilment import ParcelStatus
from domain.retention import DataKind, retention_days
from schemas.risk import Verdict

Service = Literal["user", "catalog", "cart", "order", "payment", "notification"]
TaskQueue = Literal["orders", "payments", "fulfilment", "notifications", "catalog"]

_RATE = r"^[1-9][0-9]*/(second|minute|hour|day)$"
_DEVELOPMENT_MARK = "development"
_LEAST_PASSWORD_MEMORY_KIB = 19_456  # OWASP's password storage cheat sheet
_DEVELOPMENT_CARRIER_SECRET = "whsec_ZGV2ZWxvcG1lbnQtY2Fycmllci1zZWNyZXQ="  # noqa: S105 - the value refused below


def _vendor(name: str) -> AliasChoices:
    """A setting known by its vendor's name, without our prefix."""
    return AliasChoices(name, name.lower())


class OidcProvider(BaseModel):
    """An OpenID Connect provider that customers may sign in with; `name` stands in our addresses."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")
    issuer: str = Field(pattern=r"^https?://[^/\s?#]+[^\s?#]*$")
    client_id: str
    client_secret: SecretStr | None = None


class Settings(BaseSettings):
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

    mysql_url: SecretStr
    mongo_url: SecretStr
    mongo_database: str = "orders"
    redis_url: SecretStr
    elasticsearch_url: str
    kafka_bootstrap: str

    temporal_address: str = Field(validation_alias=_vendor("TEMPORAL_ADDRESS"))
    temporal_namespace: str = Field(default="default", validation_alias=_vendor("TEMPORAL_NAMESPACE"))
    temporal_ui_url: str

    stripe_api_base: str = Field(default="https://api.stripe.com", validation_alias=_vendor("STRIPE_API_BASE"))
    stripe_api_version: str | None = Field(
        default=None, pattern=r"^\d{4}-\d{2}-\d{2}(\.[a-z]+)?$", validation_alias=_vendor("STRIPE_API_VERSION")
    )
    """The version of its API that Stripe is asked to speak; the SDK's own unless named."""
    stripe_api_key: SecretStr = Field(validation_alias=_vendor("STRIPE_API_KEY"))
    stripe_webhook_secret: SecretStr = Field(validation_alias=_vendor("STRIPE_WEBHOOK_SECRET"))

    carrier_api_base: str = Field(validation_alias=_vendor("CARRIER_API_BASE"))
    carrier_api_key: SecretStr = Field(validation_alias=_vendor("CARRIER_API_KEY"))
    carrier_webhook_secret: SecretStr = Field(validation_alias=_vendor("CARRIER_WEBHOOK_SECRET"))

    smtp_host: str = Field(validation_alias=_vendor("SMTP_HOST"))
    smtp_port: int = Field(default=25, validation_alias=_vendor("SMTP_PORT"))
    smtp_username: str | None = Field(default=None, validation_alias=_vendor("SMTP_USERNAME"))
    smtp_password: SecretStr | None = Field(default=None, validation_alias=_vendor("SMTP_PASSWORD"))
    smtp_starttls: bool = Field(default=False, validation_alias=_vendor("SMTP_STARTTLS"))
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
    def _refuse_cheap_passwords(self) -> Self:
        if self.environment == "production" and self.password_memory_kib < _LEAST_PASSWORD_MEMORY_KIB:
            raise ValueError(
                f"ORDERS_PASSWORD_MEMORY_KIB: production needs {_LEAST_PASSWORD_MEMORY_KIB} at least, or stolen hashes "
                "are guessed too cheaply"
            )
        return self

    @model_validator(mode="after")
    def _refuse_development_secrets(self) -> Self:
        if self.environment != "production":
            return self
        secrets = {name: value for name, value in self if isinstance(value, SecretStr)}
        unsafe = sorted(
            name
            for name, value in secrets.items()
            if _DEVELOPMENT_MARK in value.get_secret_value() or value.get_secret_value() == _DEVELOPMENT_CARRIER_SECRET
        )
        if unsafe:
            raise ValueError(
                f"{', '.join(unsafe)}: a development secret is set, but ORDERS_ENVIRONMENT is production; "
                "give each its own secret (see .env.example)"
            )
        return self


def load_settings() -> Settings:
    """Read the settings of this process; raises pydantic.ValidationError naming every one missing or unsafe."""
    return Settings()
