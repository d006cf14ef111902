"""How every Kafka client of ours reaches the brokers: one place for address, TLS and credentials."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from adapters.aws import msk_token
from adapters.settings import Settings


def kafka_config(settings: Settings, options: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration of a producer, consumer or admin client, with its own options."""
    way: dict[str, Any] = {
        "bootstrap.servers": settings.kafka_bootstrap,
        "security.protocol": settings.kafka_security_protocol,
    }
    if settings.kafka_ca_file is not None:
        way["ssl.ca.location"] = str(settings.kafka_ca_file)
    return way | _credentials(settings) | dict(options)


def _credentials(settings: Settings) -> dict[str, Any]:
    if settings.kafka_sasl_mechanism is None:
        return {}
    if settings.kafka_sasl_mechanism == "AWS_MSK_IAM":
        return {"sasl.mechanism": "OAUTHBEARER", "oauth_cb": partial(msk_token, settings.aws_region)}
    password = settings.kafka_password
    return {
        "sasl.mechanism": settings.kafka_sasl_mechanism,
        "sasl.username": settings.kafka_username,
        "sasl.password": password.get_secret_value() if password else None,
    }
