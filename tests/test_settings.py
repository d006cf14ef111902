"""Settings: complete in the example, safe in production."""

from pathlib import Path

import pytest
from dotenv import dotenv_values
from pydantic import AliasChoices, ValidationError

from adapters.settings import Settings
from domain.retention import DataKind

EXAMPLE = Path(__file__).resolve().parent.parent / ".env.example"
# Read by other programs, not by the settings class.
NOT_OURS = {"MYSQL_PASSWORD"}
SAFE = {
    "ORDERS_ENVIRONMENT": "production",
    "ORDERS_MYSQL_URL": "mysql+pymysql://orders:s3cure@db/orders",
    "STRIPE_API_KEY": "sk_live_x",
    "STRIPE_WEBHOOK_SECRET": "whsec_x",
    "CARRIER_API_KEY": "x",
    "CARRIER_WEBHOOK_SECRET": "whsec_eA==",
    "ORDERS_SESSION_SECRET": "a secret of more than thirty-two characters",
    "ORDERS_ADMIN_CLIENT_SECRET": "another secret of more than thirty-two characters",
    "ORDERS_SUPPLIER_CLIENT_SECRET": "a third secret of more than thirty-two characters",
}


def from_example(monkeypatch: pytest.MonkeyPatch, **changes: str) -> Settings:
    for name, value in {**dotenv_values(EXAMPLE), **changes}.items():
        monkeypatch.setenv(name, value or "")
    return Settings(_env_file=None)


def test_the_example_is_a_complete_development_set_up(monkeypatch: pytest.MonkeyPatch) -> None:
    assert from_example(monkeypatch).environment == "development"


def test_the_example_lists_every_setting_and_no_other() -> None:
    listed = {name for name in dotenv_values(EXAMPLE) if not name.endswith("_PORT") or name == "SMTP_PORT"}
    known = set()
    for name, field in Settings.model_fields.items():
        alias = field.validation_alias
        known.add(alias.choices[0] if isinstance(alias, AliasChoices) else f"ORDERS_{name.upper()}")
    known.add("ORDERS_API_PORT")
    listed |= {"ORDERS_API_PORT"}
    optional = {"SMTP_USERNAME", "SMTP_PASSWORD", "SMTP_STARTTLS"}
    assert listed - NOT_OURS == known - optional


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
    setting = "ORDERS_MYSQL_URL" if secret == "MYSQL_PASSWORD" else secret
    unsafe = dotenv_values(EXAMPLE)[setting] or ""
    with pytest.raises(ValidationError, match="development secret"):
        from_example(monkeypatch, **{**SAFE, setting: unsafe})


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
