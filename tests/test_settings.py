"""Settings: complete in the example, safe in production."""

import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from dotenv import dotenv_values
from pydantic import ValidationError
from pydantic_settings import SettingsError
from sqlalchemy import make_url

from adapters.settings import Settings
from adapters.store_settings import variable_of
from domain.retention import DataKind

EXAMPLE = Path(__file__).resolve().parent.parent / ".env.example"
# Read by other programs, not by the settings class.
NOT_OURS = {"MYSQL", "MYSQL_PASSWORD"}
# Read by other programs too, for whom an empty one means something: they stand commented out.
COMMENTED_OUT = {
    "AWS_REGION",
    "SMTP_CA_FILE",
    "SMTP_PASSWORD",
    "SMTP_STARTTLS",
    "SMTP_TLS",
    "SMTP_USERNAME",
    "TEMPORAL_API_KEY",
    "TEMPORAL_TLS",
    "TEMPORAL_TLS_CLIENT_CERT_PATH",
    "TEMPORAL_TLS_CLIENT_KEY_PATH",
    "TEMPORAL_TLS_SERVER_CA_CERT_PATH",
    "TEMPORAL_TLS_SERVER_NAME",
}
SAFE = {
    "ORDERS_ENVIRONMENT": "production",
    "ORDERS_PUBLIC_URL": "https://shop.example",
    "ORDERS_API_URL": "http://127.0.0.1:8080",
    "ORDERS_AUTH_ISSUER": "https://shop.example",
    "ORDERS_MYSQL_URL": "mysql+pymysql://orders@db/orders",
    "ORDERS_MYSQL_PASSWORD": "s3cure",
    "ORDERS_MYSQL_TLS": "true",
    "ORDERS_MONGO_URL": "mongodb://carts:s3cure@one:27017,two:27017/?tls=true&replicaSet=rs",
    "ORDERS_REDIS_URL": "rediss://orders:s3cure@cache:6380/0",
    "ORDERS_ELASTICSEARCH_URL": "https://search:9243",
    "ORDERS_KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
    "ORDERS_KAFKA_SASL_MECHANISM": "SCRAM-SHA-512",
    "ORDERS_KAFKA_USERNAME": "orders",
    "ORDERS_KAFKA_PASSWORD": "s3cure",
    "TEMPORAL_TLS": "true",
    "SMTP_STARTTLS": "true",
    "STRIPE_API_BASE": "https://api.stripe.com",
    "CARRIER_API_BASE": "https://carrier.example",
    "STRIPE_API_KEY": "sk_live_x",
    "STRIPE_WEBHOOK_SECRET": "whsec_x",
    "CARRIER_API_KEY": "x",
    "CARRIER_WEBHOOK_SECRET": "whsec_eA==",
    "ORDERS_SESSION_SECRET": "a secret of more than thirty-two characters",
    "ORDERS_ADMIN_CLIENT_SECRET": "another secret of more than thirty-two characters",
    "ORDERS_SUPPLIER_CLIENT_SECRET": "a third secret of more than thirty-two characters",
}


def set_example(monkeypatch: pytest.MonkeyPatch, **changes: str) -> None:
    for name, value in {**dotenv_values(EXAMPLE), **changes}.items():
        monkeypatch.setenv(name, value or "")


def from_example(monkeypatch: pytest.MonkeyPatch, **changes: str) -> Settings:
    set_example(monkeypatch, **changes)
    return Settings(_env_file=None)


def test_the_example_is_a_complete_development_set_up(monkeypatch: pytest.MonkeyPatch) -> None:
    assert from_example(monkeypatch).environment == "development"


def test_the_example_lists_every_setting_and_no_other() -> None:
    listed = {name for name in dotenv_values(EXAMPLE) if not name.endswith("_PORT") or name == "SMTP_PORT"}
    known = {variable_of(name, field) for name, field in Settings.model_fields.items()}
    listed |= {"ORDERS_API_PORT"}
    commented_out = set(re.findall(r"^# ([A-Z_]+)=", EXAMPLE.read_text(), flags=re.MULTILINE))
    assert commented_out == COMMENTED_OUT
    assert listed - NOT_OURS == known - COMMENTED_OUT


@pytest.mark.parametrize(
    "secret",
    [
        "MYSQL_PASSWORD",
        "STRIPE_API_KEY",
        "STRIPE_WEBHOOK_SECRET",
        "CARRIER_API_KEY",
        "CARRIER_WEBHOOK_SECRET",
        "ORDERS_SESSION_SECRET",
        "ORDERS_ADMIN_CLIENT_SECRET",
        "ORDERS_SUPPLIER_CLIENT_SECRET",
    ],
)
def test_production_refuses_each_development_secret(monkeypatch: pytest.MonkeyPatch, secret: str) -> None:
    assert from_example(monkeypatch, **SAFE).environment == "production"
    setting = "ORDERS_MYSQL_PASSWORD" if secret == "MYSQL_PASSWORD" else secret
    unsafe = dotenv_values(EXAMPLE)[setting] or ""
    with pytest.raises(ValidationError, match=f"{setting}: is a development secret"):
        from_example(monkeypatch, **{**SAFE, setting: unsafe})


@pytest.mark.parametrize("password", ["p@ss/w#rd?", "100% sure: yes", "ключ"])
def test_a_password_of_mysql_may_hold_any_character(monkeypatch: pytest.MonkeyPatch, password: str) -> None:
    url = "mysql+pymysql://orders@db:3306/orders"
    settings = from_example(monkeypatch, ORDERS_MYSQL_URL=url, ORDERS_MYSQL_PASSWORD=password)
    found = make_url(settings.mysql_url.get_secret_value())
    assert (found.username, found.password, found.host, found.port) == ("orders", password, "db", 3306)


def test_a_password_in_the_url_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in an `.env` that was made before there was a setting for it."""
    settings = from_example(monkeypatch, ORDERS_MYSQL_URL="mysql://orders:own@db/orders")
    assert make_url(settings.mysql_url.get_secret_value()).password == "own"


def test_production_refuses_hashes_that_are_guessed_cheaply(monkeypatch: pytest.MonkeyPatch) -> None:
    assert from_example(monkeypatch, **SAFE, ORDERS_PASSWORD_MEMORY_KIB="19456").password_memory_kib == 19_456
    with pytest.raises(ValidationError, match="guessed too cheaply"):
        from_example(monkeypatch, **SAFE, ORDERS_PASSWORD_MEMORY_KIB="19455")


def test_retention_names_what_there_is_and_is_long_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = from_example(monkeypatch, ORDERS_RETENTION_DAYS='{"notifications": 365, "order_events": 0}').retention_days
    assert kept == {DataKind.NOTIFICATIONS: 365, DataKind.ORDER_EVENTS: 0}
    with pytest.raises(ValidationError, match="webhook_receipts: 30 at least"):
        from_example(monkeypatch, ORDERS_RETENTION_DAYS='{"webhook_receipts": 7}')
    with pytest.raises(ValidationError, match="retention_days"):
        from_example(monkeypatch, ORDERS_RETENTION_DAYS='{"orders": 7}')


def test_lists_are_comma_separated_and_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = from_example(monkeypatch, ORDERS_SERVICES="order, payment", ORDERS_TASK_QUEUES="payments")
    assert settings.services == {"order", "payment"}
    with pytest.raises(ValidationError, match="services"):
        from_example(monkeypatch, ORDERS_SERVICES="order,shipping")


@pytest.mark.parametrize(
    ("variable", "plain"),
    [
        ("ORDERS_MYSQL_TLS", "false"),
        ("ORDERS_MONGO_URL", "mongodb://carts:s3cure@one:27017/?tls=false"),
        ("ORDERS_MONGO_URL", "mongodb+srv://carts:s3cure@one.example/?tlsInsecure=true"),
        ("ORDERS_REDIS_URL", "redis://orders:s3cure@cache:6379/0"),
        ("ORDERS_REDIS_URL", "rediss://orders:s3cure@cache:6379/0?ssl_cert_reqs=none"),
        ("ORDERS_ELASTICSEARCH_URL", "http://search:9200"),
        ("ORDERS_KAFKA_SECURITY_PROTOCOL", "SASL_PLAINTEXT"),
        ("TEMPORAL_TLS", "false"),
        ("SMTP_STARTTLS", "false"),
        ("STRIPE_API_BASE", "http://stripe.example"),
        ("CARRIER_API_BASE", "http://carrier.example"),
        ("ORDERS_PUBLIC_URL", "http://shop.example"),
        ("ORDERS_API_URL", "http://gateway:8080"),
        ("ORDERS_AUTH_ISSUER", "http://shop.example"),
        ("ORDERS_OIDC_PROVIDERS", '[{"name": "acme", "issuer": "http://id.example", "client_id": "x"}]'),
        (
            "ORDERS_OIDC_PROVIDERS",
            '[{"name": "acme", "issuer": "https://id.example", "client_id": "x", "client_secret": "development"}]',
        ),
    ],
)
def test_production_refuses_each_plain_connection(monkeypatch: pytest.MonkeyPatch, variable: str, plain: str) -> None:
    with pytest.raises(ValidationError) as refused:
        from_example(monkeypatch, **{**SAFE, variable: plain})
    (named,) = re.findall(r"([A-Z_]+): ", refused.value.errors()[0]["msg"].partition("refused: ")[2])
    assert named == ("SMTP_TLS" if variable == "SMTP_STARTTLS" else variable)


def test_an_api_key_alone_means_tls_to_temporal(monkeypatch: pytest.MonkeyPatch) -> None:
    assert from_example(monkeypatch, **{**SAFE, "TEMPORAL_TLS": "", "TEMPORAL_API_KEY": "key"}).temporal_has_tls


@pytest.mark.parametrize(
    ("missing", "half"),
    [
        ("ORDERS_KAFKA_SASL_MECHANISM", {"ORDERS_KAFKA_SASL_MECHANISM": "PLAIN"}),
        ("ORDERS_KAFKA_SASL_MECHANISM", {"ORDERS_KAFKA_SECURITY_PROTOCOL": "SASL_SSL"}),
        (
            "ORDERS_KAFKA_PASSWORD",
            {"ORDERS_KAFKA_SECURITY_PROTOCOL": "SASL_SSL", "ORDERS_KAFKA_SASL_MECHANISM": "PLAIN"},
        ),
        ("AWS_REGION", {"ORDERS_KAFKA_SECURITY_PROTOCOL": "SASL_SSL", "ORDERS_KAFKA_SASL_MECHANISM": "AWS_MSK_IAM"}),
        ("AWS_REGION", {"ORDERS_MYSQL_IAM": "true", "ORDERS_MYSQL_TLS": "true"}),
        ("ORDERS_MYSQL_TLS", {"ORDERS_MYSQL_CA_FILE": str(EXAMPLE)}),
        ("ORDERS_REDIS_URL", {"ORDERS_REDIS_CA_FILE": str(EXAMPLE)}),
        ("SMTP_STARTTLS", {"SMTP_TLS": "true", "SMTP_STARTTLS": "true"}),
    ],
)
def test_what_is_set_by_halves_is_refused(monkeypatch: pytest.MonkeyPatch, missing: str, half: dict[str, str]) -> None:
    with pytest.raises(ValidationError, match=missing):
        from_example(monkeypatch, **half)


def test_every_secret_can_come_from_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    secrets = [
        (name, variable_of(name, field))
        for name, field in Settings.model_fields.items()
        if "SecretStr" in str(field.annotation)
    ]
    assert len(secrets) > 10
    for name, variable in secrets:
        secret = f"a secret that only {name} has, in a file of its own"
        (tmp_path / name).write_text(f"{secret}\n")
        monkeypatch.setenv(f"{variable}_FILE", str(tmp_path / name))
    settings = from_example(monkeypatch, **{variable: "" for _, variable in secrets})
    for name, _ in secrets:
        assert getattr(settings, name).get_secret_value() == f"a secret that only {name} has, in a file of its own"


def test_external_providers_can_come_from_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "oidc").write_text('[{"name": "acme", "issuer": "https://id.example", "client_id": "x"}]')
    monkeypatch.setenv("ORDERS_OIDC_PROVIDERS_FILE", str(tmp_path / "oidc"))
    assert from_example(monkeypatch, ORDERS_OIDC_PROVIDERS="").oidc_providers[0].name == "acme"


def test_a_secret_in_a_file_that_env_names_is_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("sk_of_the_file")
    (tmp_path / ".env").write_text(f"STRIPE_API_KEY_FILE={tmp_path / 'key'}\nORDERS_SESSION_SECRET=unused\n")
    set_example(monkeypatch, STRIPE_API_KEY="")
    assert Settings(_env_file=tmp_path / ".env").stripe_api_key.get_secret_value() == "sk_of_the_file"


@pytest.mark.parametrize("fault", ["is missing", "is empty", "is a folder", "is not needed"])
def test_a_secret_file_that_cannot_be_used_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, fault: str
) -> None:
    path = tmp_path / "stripe"
    if fault == "is empty":
        path.write_text("\n")
    elif fault == "is a folder":
        path.mkdir()
    monkeypatch.setenv("STRIPE_API_KEY_FILE", str(path))
    with pytest.raises(SettingsError, match="STRIPE_API_KEY_FILE") as refused:
        from_example(monkeypatch, STRIPE_API_KEY="sk_test" if fault == "is not needed" else "")
    assert fault == "is not needed" or str(path) in str(refused.value)


@pytest.fixture
def secret_store(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """AWS Secrets Manager as the SDK speaks to it, with one secret."""
    values = {
        "STRIPE_API_KEY": "sk_of_the_store",
        "ORDERS_SESSION_SECRET": "a secret that the store keeps for this shop",
    }

    class Store(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            known = (self.headers["X-Amz-Target"], request) == (
                "secretsmanager.GetSecretValue",
                {"SecretId": "shop/production"},
            )
            refusal = {"__type": "ResourceNotFoundException", "Message": "no such secret"}
            body = json.dumps({"SecretString": json.dumps(values)} if known else refusal).encode()
            self.send_response(200 if known else 400)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nothing: the test says what went wrong."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Store) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_address[1]}"
        monkeypatch.setenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", address)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s3cure")
        monkeypatch.setenv("AWS_REGION", "eu-central-1")
        yield
        server.shutdown()


@pytest.mark.usefixtures("secret_store")
def test_secrets_come_from_secrets_manager(monkeypatch: pytest.MonkeyPatch) -> None:
    unset = {"STRIPE_API_KEY": "", "ORDERS_AWS_SECRET_ID": "shop/production"}
    settings = from_example(monkeypatch, **unset, ORDERS_SESSION_SECRET="one of the environment, which wins over it")
    assert settings.stripe_api_key.get_secret_value() == "sk_of_the_store"
    assert settings.session_secret.get_secret_value() == "one of the environment, which wins over it"
    with pytest.raises(SettingsError, match="ORDERS_AWS_SECRET_ID: shop/other cannot be read"):
        from_example(monkeypatch, **unset | {"ORDERS_AWS_SECRET_ID": "shop/other"})
