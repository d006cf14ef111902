"""What the engine needs of a Temporal server before its first workflow: a namespace and the search attributes."""

import asyncio
from datetime import timedelta
from typing import Any

from google.protobuf.duration_pb2 import Duration
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.namespace.v1 import NamespaceConfig
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest, ListSearchAttributesRequest
from temporalio.api.workflowservice.v1 import (
    DescribeNamespaceRequest,
    RegisterNamespaceRequest,
    UpdateNamespaceRequest,
)
from temporalio.client import Client
from temporalio.common import SearchAttributeKey
from temporalio.service import RPCError, RPCStatusCode

from adapters.settings import Settings
from temporal_clients.connection import connect_temporal
from workflows.names import SEARCH_ATTRIBUTES

_RPC = timedelta(seconds=5)
_VISIBLE_CHECKS = 120
_PAUSE_SECONDS = 0.5


async def ensure_namespace_and_search_attributes(settings: Settings) -> str:
    """Make what is missing, wait until the server knows it, and answer what was made."""
    client = await _connect(settings)
    if not settings.temporal_operator:
        return await _check_attributes(client)
    made = []
    retention = Duration(seconds=settings.temporal_retention_days * 24 * 3600)
    if await _ensure_namespace(client, retention):
        made.append(f"namespace {client.namespace}")
    missing = await _missing_attributes(client)
    if missing:
        await _add(client, missing)
        made.extend(sorted(missing))
    return f"made {', '.join(made)}" if made else f"namespace {client.namespace} and its search attributes are there"


async def _check_attributes(client: Client) -> str:
    """Without an operator's rights nothing can be listed, but whoever may start workflows may also search for them."""
    missing = [key for key in SEARCH_ATTRIBUTES if not await _can_search_by(client, key.name)]
    if missing:
        wanted = ", ".join(f"{key.name} ({_kind(key)})" for key in missing)
        raise LookupError(f"namespace {client.namespace} lacks the search attributes {wanted}")
    return f"namespace {client.namespace} and its search attributes are there; nothing was made"


def _kind(key: SearchAttributeKey[Any]) -> str:
    """As Temporal's console spells it: Keyword, KeywordList, Int, Datetime."""
    return key.indexed_value_type.name.title().replace("_", "")


async def _can_search_by(client: Client, name: str) -> bool:
    try:
        await client.count_workflows(f"{name} IS NULL", rpc_timeout=_RPC)
    except RPCError as error:
        if error.status != RPCStatusCode.INVALID_ARGUMENT:
            raise
        return False
    return True


async def _connect(settings: Settings) -> Client:
    connecting = connect_temporal(settings)
    return await asyncio.wait_for(connecting, timeout=10)


async def _ensure_namespace(client: Client, retention: Duration) -> bool:
    try:
        found = await client.workflow_service.describe_namespace(
            DescribeNamespaceRequest(namespace=client.namespace), timeout=_RPC
        )
    except RPCError as error:
        if error.status != RPCStatusCode.NOT_FOUND:
            raise
        return await _register(client, retention)
    # A development server makes its namespace itself, and keeps closed workflows for a day.
    if found.config.workflow_execution_retention_ttl != retention:
        config = NamespaceConfig(workflow_execution_retention_ttl=retention)
        await client.workflow_service.update_namespace(
            UpdateNamespaceRequest(namespace=client.namespace, config=config), timeout=_RPC
        )
    return False


async def _register(client: Client, retention: Duration) -> bool:
    request = RegisterNamespaceRequest(namespace=client.namespace, workflow_execution_retention_period=retention)
    try:
        await client.workflow_service.register_namespace(request, timeout=_RPC)
    except RPCError as error:
        if error.status != RPCStatusCode.ALREADY_EXISTS:
            raise
    # Each of the server's services has its own list of namespaces and looks for new ones every few seconds.
    for _ in range(_VISIBLE_CHECKS):
        try:
            await _missing_attributes(client)
        except RPCError as error:
            if error.status != RPCStatusCode.NOT_FOUND:
                raise
        else:
            return True
        await asyncio.sleep(_PAUSE_SECONDS)
    raise TimeoutError(f"the server does not know the namespace {client.namespace} yet")


async def _missing_attributes(client: Client) -> "dict[str, IndexedValueType.ValueType]":
    known = await client.operator_service.list_search_attributes(
        ListSearchAttributesRequest(namespace=client.namespace), timeout=_RPC
    )
    required = {key.name: IndexedValueType.ValueType(key.indexed_value_type) for key in SEARCH_ATTRIBUTES}
    return {name: kind for name, kind in required.items() if name not in known.custom_attributes}


async def _add(client: Client, attributes: "dict[str, IndexedValueType.ValueType]") -> None:
    request = AddSearchAttributesRequest(namespace=client.namespace, search_attributes=attributes)
    try:
        await client.operator_service.add_search_attributes(request, timeout=timedelta(seconds=30))
    except RPCError as error:
        if error.status != RPCStatusCode.ALREADY_EXISTS:
            raise
    for _ in range(_VISIBLE_CHECKS):
        if not await _missing_attributes(client):
            return
        await asyncio.sleep(_PAUSE_SECONDS)
    raise TimeoutError(f"the server does not know {', '.join(sorted(attributes))} yet")
