"""What production refuses: connections that others can read, and secrets that everybody knows."""

from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

from pydantic import SecretStr

from adapters.store_settings import StoreSettings, variable_of

if TYPE_CHECKING:
    from adapters.settings import Settings

_DEVELOPMENT_MARK = "development"
_DEVELOPMENT_CARRIER_SECRET = "whsec_ZGV2ZWxvcG1lbnQtY2Fycmllci1zZWNyZXQ="  # noqa: S105 - the value refused below
_LEAST_PASSWORD_MEMORY_KIB = 19_456  # OWASP's password storage cheat sheet
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_UNCHECKED = ("tlsinsecure", "tlsallowinvalidcertificates", "tlsallowinvalidhostnames")


def refused_in_production(settings: "Settings") -> list[str]:
    """A sentence for each setting that is not safe, with the environment variable to change."""
    refused = [*_plain_stores(settings), *_plain_addresses(settings), *_development_secrets(settings)]
    least = _LEAST_PASSWORD_MEMORY_KIB
    if settings.password_memory_kib < least:
        refused.append(f"ORDERS_PASSWORD_MEMORY_KIB: {least} at least, or stolen hashes are guessed too cheaply")
    return refused


def _plain_stores(settings: StoreSettings) -> Iterator[str]:
    """There is no exception for private networks: a store that cannot do TLS gets a proxy that can."""
    mysql_url, redis_url = settings.mysql_url.get_secret_value(), settings.redis_url.get_secret_value()
    encrypted = {
        "ORDERS_MYSQL_TLS: must be true": settings.mysql_tls and "ssl_disabled" not in mysql_url,
        "ORDERS_MONGO_URL: needs tls=true and certificates that are checked": _mongo_has_tls(settings),
        "ORDERS_REDIS_URL: must start with rediss:// and check certificates": redis_url.startswith("rediss://")
        and _redis_checks_certificates(_options(redis_url)),
        "ORDERS_ELASTICSEARCH_URL: must start with https://": settings.elasticsearch_url.startswith("https://"),
        "ORDERS_KAFKA_SECURITY_PROTOCOL: must be SSL or SASL_SSL": settings.kafka_security_protocol.endswith("SSL"),
        "TEMPORAL_TLS: must be true, unless TEMPORAL_API_KEY or a certificate is set": settings.temporal_has_tls,
        "SMTP_TLS: it or SMTP_STARTTLS must be true": settings.smtp_tls or settings.smtp_starttls,
    }
    return (sentence for sentence, safe in encrypted.items() if not safe)


def _mongo_has_tls(settings: StoreSettings) -> bool:
    url = settings.mongo_url.get_secret_value()
    options = _options(url)
    unless_named = "true" if url.startswith("mongodb+srv://") or settings.mongo_ca_file else "false"
    asked_for = options.get("tls", options.get("ssl", unless_named))
    return asked_for == "true" and not any(options.get(name) == "true" for name in _UNCHECKED)


def _redis_checks_certificates(options: dict[str, str]) -> bool:
    checks_name = options.get("ssl_check_hostname", "true") not in ("false", "0", "no", "n", "f", "off")
    return options.get("ssl_cert_reqs", "required") == "required" and checks_name


def _options(url: str) -> dict[str, str]:
    return {name.lower(): value.lower() for name, value in parse_qsl(urlsplit(url).query)}


def _plain_addresses(settings: "Settings") -> Iterator[str]:
    addresses = [
        ("ORDERS_PUBLIC_URL", settings.public_url),
        ("ORDERS_AUTH_ISSUER", settings.auth_issuer),
        ("STRIPE_API_BASE", settings.stripe_api_base),
        ("CARRIER_API_BASE", settings.carrier_api_base),
        *(("ORDERS_OIDC_PROVIDERS", provider.issuer) for provider in settings.oidc_providers),
    ]
    # Our own commands may reach an API on the same machine past the gateway that does its TLS.
    if settings.api_url and urlsplit(settings.api_url).hostname not in _LOOPBACK:
        addresses.append(("ORDERS_API_URL", settings.api_url))
    return (f"{variable}: {url} must start with https://" for variable, url in addresses if not _is_https(url))


def _is_https(url: str) -> bool:
    return urlsplit(url).scheme == "https"


def _development_secrets(settings: "Settings") -> Iterator[str]:
    fields = type(settings).model_fields
    secrets = [(variable_of(name, fields[name]), value) for name, value in settings if isinstance(value, SecretStr)]
    secrets += [("ORDERS_OIDC_PROVIDERS", p.client_secret) for p in settings.oidc_providers if p.client_secret]
    for variable, secret in sorted(secrets, key=lambda known: known[0]):
        value = secret.get_secret_value()
        if _DEVELOPMENT_MARK in value or value == _DEVELOPMENT_CARRIER_SECRET:
            yield f"{variable}: is a development secret; give it one of its own (see .env.example)"
