"""How processes reach a Temporal server of somebody else: certificates, API key, set-up without operator rights."""

import asyncio
from collections.abc import Iterator
from datetime import timedelta

import pytest
from google.protobuf.duration_pb2 import Duration
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest, RegisterNamespaceRequest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode, TLSConfig

from adapters.settings import Settings
from dev.stack.environment import port
from temporal_clients.connection import connect_options, connect_temporal
from tests.adapters.conftest import Configure
from tests.adapters.secure_servers import Authority, tls_before
from workers.temporal_setup import ensure_namespace_and_search_attributes
from workflows.names import SEARCH_ATTRIBUTES

pytestmark = pytest.mark.usefixtures("bed")  # the shared servers run
# Kept for the next run: a namespace cannot be removed in an instant, and these two stay as they are.
MADE, BARE = "test-managed", "test-managed-bare"


@pytest.fixture
def server() -> dict[str, object]:
    """The development stack's server, by its variables."""
    return {"TEMPORAL_ADDRESS": f"127.0.0.1:{port('TEMPORAL_PORT')}", "TEMPORAL_NAMESPACE": MADE}


@pytest.fixture
def behind_tls(authority: Authority) -> Iterator[str]:
    """The address of the server behind TLS that asks its clients for a certificate."""
    context = authority.server_context(ask_for_certificate=True)
    context.set_alpn_protocols(["h2"])
    with tls_before(context, port("TEMPORAL_PORT")) as number:
        yield f"127.0.0.1:{number}"


async def test_a_client_certificate_lets_a_process_in(
    authority: Authority, configure: Configure, behind_tls: str
) -> None:
    trusting = {"TEMPORAL_ADDRESS": behind_tls, "TEMPORAL_TLS_SERVER_CA_CERT_PATH": authority.ca_file}
    certificate = {
        "TEMPORAL_TLS_CLIENT_CERT_PATH": authority.certificate,
        "TEMPORAL_TLS_CLIENT_KEY_PATH": authority.key,
    }
    client = await _until_reached(configure(**trusting, **certificate))
    assert await client.service_client.check_health()
    with pytest.raises(RuntimeError):
        await connect_temporal(configure(**trusting))


def test_an_api_key_reaches_the_client_and_means_tls(configure: Configure, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEMPORAL_API_KEY", "")  # as an environment file leaves it
    plain = connect_options(configure())
    assert "api_key" not in plain
    assert not plain.get("tls")
    cloud = connect_options(configure(TEMPORAL_API_KEY="key of the cloud"))
    assert (cloud["api_key"], cloud["tls"]) == ("key of the cloud", True)
    named = configure(TEMPORAL_TLS="true", TEMPORAL_TLS_SERVER_NAME="temporal.shop.example")
    assert connect_options(named)["tls"] == TLSConfig(domain="temporal.shop.example")


async def test_setup_without_operator_rights_names_what_is_missing(
    server: dict[str, object], configure: Configure
) -> None:
    await ensure_namespace_and_search_attributes(configure(**server))
    allowed = {"ORDERS_TEMPORAL_OPERATOR": "false"}
    assert (await _until_known(configure(**server | allowed))).endswith("nothing was made")
    await _register(configure(**server), BARE)
    with pytest.raises(LookupError, match=r"OrderNumber \(Int\)") as missing:
        await _until_known(configure(**server | allowed | {"TEMPORAL_NAMESPACE": BARE}))
    assert all(key.name in str(missing.value) for key in SEARCH_ATTRIBUTES)


@pytest.mark.parametrize("days", [3, 7])
async def test_setup_gives_a_namespace_that_is_there_the_retention_of_the_settings(
    server: dict[str, object], configure: Configure, days: int
) -> None:
    """A development server makes its namespace itself, with a retention of its own."""
    settings = configure(**server, ORDERS_TEMPORAL_RETENTION_DAYS=str(days))
    await _register(settings, MADE)
    await _until_known(settings)
    request = DescribeNamespaceRequest(namespace=MADE)
    found = await (await connect_temporal(settings)).workflow_service.describe_namespace(request)
    assert found.config.workflow_execution_retention_ttl.seconds == days * 24 * 3600


async def _until_reached(settings: Settings) -> Client:
    """Again while a busy machine takes longer for a handshake than the client waits."""
    while True:
        try:
            return await connect_temporal(settings)
        except RuntimeError as error:
            if "imed out" not in str(error):
                raise


async def _register(settings: Settings, name: str) -> None:
    client, day = await connect_temporal(settings), Duration(seconds=86400)
    request = RegisterNamespaceRequest(namespace=name, workflow_execution_retention_period=day)
    try:
        await client.workflow_service.register_namespace(request, timeout=timedelta(seconds=30))
    except RPCError as error:
        if error.status != RPCStatusCode.ALREADY_EXISTS:
            raise


async def _until_known(settings: Settings) -> str:
    """The server's parts hear of a new namespace one after the other, and a busy one answers late."""
    while True:
        try:
            return await ensure_namespace_and_search_attributes(settings)
        except RPCError as error:
            if error.status not in (RPCStatusCode.NOT_FOUND, RPCStatusCode.DEADLINE_EXCEEDED):
                raise
        await asyncio.sleep(0.2)
