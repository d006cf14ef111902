"""How this engine's processes reach Temporal: one address, one namespace, one data converter."""

from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.envconfig import ClientConfig
from temporalio.runtime import PrometheusConfig, Runtime, TelemetryConfig


async def connect_temporal(
    address: str, namespace: str, *, lazy: bool = False, runtime: Runtime | None = None
) -> Client:
    """A client; a lazy one connects when first used. TLS and API key come from Temporal's own TEMPORAL_* variables.

    Raises RuntimeError when the server does not answer and the client is not lazy.
    """
    config = ClientConfig.load_client_connect_config()
    config["target_host"], config["namespace"] = address, namespace
    return await Client.connect(**config, data_converter=pydantic_data_converter, lazy=lazy, runtime=runtime)


def serving_metrics(address: str) -> Runtime:
    """What a process runs its client and workers on, with Temporal's own metrics at this address for Prometheus.

    Raises RuntimeError when the address is taken.
    """
    return Runtime(telemetry=TelemetryConfig(metrics=PrometheusConfig(bind_address=address)))
