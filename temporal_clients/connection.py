"""How this engine's processes reach Temporal: one address, one namespace, one data converter."""

import os

from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.envconfig import ClientConfig, ClientConnectConfig
from temporalio.runtime import PrometheusConfig, Runtime, TelemetryConfig

from adapters.settings import Settings


async def connect_temporal(settings: Settings, *, lazy: bool = False, runtime: Runtime | None = None) -> Client:
    """A client; a lazy one connects when first used.

    Raises RuntimeError when the server does not answer and the client is not lazy.
    """
    options = connect_options(settings)
    return await Client.connect(**options, data_converter=pydantic_data_converter, lazy=lazy, runtime=runtime)


def connect_options(settings: Settings) -> ClientConnectConfig:
    """Address, TLS and API key as Temporal's own rules make them of its TEMPORAL_* variables and configuration file.

    The settings stand for the variables, because they also come from `.env` and from secret files. One that is empty
    is left out: to Temporal an empty API key is a key.
    """
    variables = {name: value for name, value in os.environ.items() if value} | _variables(settings)
    options = ClientConfig.load_client_connect_config(override_env_vars=variables)
    options["target_host"], options["namespace"] = settings.temporal_address, settings.temporal_namespace
    return options


def _variables(settings: Settings) -> dict[str, str]:
    key, tls = settings.temporal_api_key, settings.temporal_tls
    variables = {
        "TEMPORAL_API_KEY": key.get_secret_value() if key else None,
        "TEMPORAL_TLS": None if tls is None else str(tls).lower(),
        "TEMPORAL_TLS_CLIENT_CERT_PATH": settings.temporal_tls_client_cert_path,
        "TEMPORAL_TLS_CLIENT_KEY_PATH": settings.temporal_tls_client_key_path,
        "TEMPORAL_TLS_SERVER_CA_CERT_PATH": settings.temporal_tls_server_ca_cert_path,
        "TEMPORAL_TLS_SERVER_NAME": settings.temporal_tls_server_name,
    }
    return {name: str(value) for name, value in variables.items() if value is not None}


def serving_metrics(address: str) -> Runtime:
    """What a process runs its client and workers on, with Temporal's own metrics at this address for Prometheus.

    Raises RuntimeError when the address is taken.
    """
    return Runtime(telemetry=TelemetryConfig(metrics=PrometheusConfig(bind_address=address)))
