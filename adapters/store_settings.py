"""How the stores and servers are reached, be they on this machine or managed by somebody else."""

from typing import Literal, Self
from urllib.parse import quote, urlsplit

from pydantic import AliasChoices, Field, FilePath, SecretStr, model_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings

SaslMechanism = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "AWS_MSK_IAM"]


def vendor_name(name: str) -> AliasChoices:
    """A setting known by its vendor's name, without our prefix."""
    return AliasChoices(name, name.lower())


def variable_of(field: str, info: FieldInfo) -> str:
    """The environment variable of a setting."""
    alias = info.validation_alias
    return str(alias.choices[0]) if isinstance(alias, AliasChoices) else f"ORDERS_{field.upper()}"


def _plain(value: object) -> str:
    return value.get_secret_value() if isinstance(value, SecretStr) else str(value)


class StoreSettings(BaseSettings):
    """Addresses, TLS and credentials. A CA file is needed where the system does not trust the server's authority."""

    mysql_url: SecretStr
    mysql_password: SecretStr | None = None
    """As it is, where the URL has none: there it would have to be percent-encoded."""
    mysql_tls: bool = False
    """Refuse a server without TLS, and one whose certificate is not for its name."""
    mysql_ca_file: FilePath | None = None
    mysql_iam: bool = False
    """Sign in to RDS with a token of this machine's AWS role instead of a password."""

    mongo_url: SecretStr
    mongo_database: str = "orders"
    mongo_ca_file: FilePath | None = None
    mongo_retry_writes: bool = True
    """Off for servers that have no retryable writes, such as DocumentDB and the development stack's."""

    redis_url: SecretStr
    redis_ca_file: FilePath | None = None

    elasticsearch_url: str
    elasticsearch_api_key: SecretStr | None = None
    elasticsearch_ca_file: FilePath | None = None

    kafka_bootstrap: str
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    kafka_sasl_mechanism: SaslMechanism | None = None
    kafka_username: str | None = None
    kafka_password: SecretStr | None = None
    kafka_ca_file: FilePath | None = None

    temporal_address: str = Field(validation_alias=vendor_name("TEMPORAL_ADDRESS"))
    temporal_namespace: str = Field(default="default", validation_alias=vendor_name("TEMPORAL_NAMESPACE"))
    temporal_ui_url: str
    temporal_api_key: SecretStr | None = Field(default=None, validation_alias=vendor_name("TEMPORAL_API_KEY"))
    temporal_tls: bool | None = Field(default=None, validation_alias=vendor_name("TEMPORAL_TLS"))
    """An API key or a certificate ask for TLS by themselves."""
    temporal_tls_client_cert_path: FilePath | None = Field(
        default=None, validation_alias=vendor_name("TEMPORAL_TLS_CLIENT_CERT_PATH")
    )
    temporal_tls_client_key_path: FilePath | None = Field(
        default=None, validation_alias=vendor_name("TEMPORAL_TLS_CLIENT_KEY_PATH")
    )
    temporal_tls_server_ca_cert_path: FilePath | None = Field(
        default=None, validation_alias=vendor_name("TEMPORAL_TLS_SERVER_CA_CERT_PATH")
    )
    temporal_tls_server_name: str | None = Field(default=None, validation_alias=vendor_name("TEMPORAL_TLS_SERVER_NAME"))
    temporal_retention_days: int = Field(default=7, gt=0)
    """For how long closed workflows can be looked at; `order-admin setup` gives it to the namespace."""
    temporal_operator: bool = True
    """Off where namespace and search attributes are made by others, as on Temporal Cloud: `order-admin setup` then only
    checks that they are there."""

    smtp_host: str = Field(validation_alias=vendor_name("SMTP_HOST"))
    smtp_port: int = Field(default=25, validation_alias=vendor_name("SMTP_PORT"))
    smtp_username: str | None = Field(default=None, validation_alias=vendor_name("SMTP_USERNAME"))
    smtp_password: SecretStr | None = Field(default=None, validation_alias=vendor_name("SMTP_PASSWORD"))
    smtp_starttls: bool = Field(default=False, validation_alias=vendor_name("SMTP_STARTTLS"))
    smtp_tls: bool = Field(default=False, validation_alias=vendor_name("SMTP_TLS"))
    """TLS from the first byte, as on port 465."""
    smtp_ca_file: FilePath | None = Field(default=None, validation_alias=vendor_name("SMTP_CA_FILE"))

    aws_region: str | None = Field(default=None, validation_alias=vendor_name("AWS_REGION"))
    """Where RDS and MSK are, when they are signed in to with IAM, and Secrets Manager."""
    aws_secret_id: str | None = None
    """A secret of Secrets Manager with settings by the names of their variables; the environment's own win."""

    @model_validator(mode="before")
    @classmethod
    def _put_password_into_url(cls, values: dict[str, object]) -> dict[str, object]:
        url, password = values.get("mysql_url"), values.get("mysql_password")
        if not password or "://" not in _plain(url):
            return values
        parts = urlsplit(_plain(url))
        user, at, place = parts.netloc.rpartition("@")
        if ":" in user:
            return values
        secret = quote(_plain(password), safe="")
        return {**values, "mysql_url": parts._replace(netloc=f"{user}:{secret}{at}{place}").geturl()}

    @property
    def temporal_has_tls(self) -> bool:
        """True when the connection to Temporal is encrypted."""
        named = (self.temporal_api_key, self.temporal_tls_client_cert_path, self.temporal_tls_server_ca_cert_path)
        return any(named) if self.temporal_tls is None else self.temporal_tls

    @property
    def redis_address(self) -> str:
        """The URL with the CA file in it, as every kind of Redis client reads it."""
        url = self.redis_url.get_secret_value()
        if self.redis_ca_file is None:
            return url
        return f"{url}{'&' if '?' in url else '?'}ssl_ca_certs={quote(str(self.redis_ca_file))}"

    @model_validator(mode="after")
    def _kafka_is_consistent(self) -> Self:
        sasl, mechanism = self.kafka_security_protocol.startswith("SASL"), self.kafka_sasl_mechanism
        if sasl != (mechanism is not None):
            raise ValueError("ORDERS_KAFKA_SASL_MECHANISM must be set with the protocols of SASL, and with no other")
        if mechanism == "AWS_MSK_IAM" and (self.aws_region is None or self.kafka_security_protocol != "SASL_SSL"):
            raise ValueError("ORDERS_KAFKA_SASL_MECHANISM=AWS_MSK_IAM needs AWS_REGION and the protocol SASL_SSL")
        if sasl and mechanism != "AWS_MSK_IAM" and not (self.kafka_username and self.kafka_password):
            raise ValueError(f"{mechanism} needs ORDERS_KAFKA_USERNAME and ORDERS_KAFKA_PASSWORD")
        return self

    @model_validator(mode="after")
    def _tls_is_consistent(self) -> Self:
        if self.mysql_ca_file is not None and not self.mysql_tls:
            raise ValueError("ORDERS_MYSQL_CA_FILE is set, so ORDERS_MYSQL_TLS must be true")
        if self.mysql_iam and not (self.mysql_tls and self.aws_region):
            raise ValueError("ORDERS_MYSQL_IAM needs ORDERS_MYSQL_TLS=true and AWS_REGION")
        if self.redis_ca_file is not None and not self.redis_url.get_secret_value().startswith("rediss://"):
            raise ValueError("ORDERS_REDIS_CA_FILE is set, so ORDERS_REDIS_URL must start with rediss://")
        if self.smtp_tls and self.smtp_starttls:
            raise ValueError("SMTP_TLS and SMTP_STARTTLS exclude each other: port 465 takes the first, 587 the second")
        return self
