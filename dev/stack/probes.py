"""Whether a part answers in its own protocol, not merely on its port."""

import asyncio
import socket
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any

from dev.stack.environment import port, settings
from dev.stack.parts import Part
from dev.stack.ports import HOST

_SECONDS = 3


def is_ready(part: Part) -> bool:
    """One honest try; any failure to answer means "not yet"."""
    probe = _PROBES.get(part.name)
    if not all(_accepts(port(variable)) for variable in part.ports):
        return False
    if probe is None:
        return True
    with suppress(Exception):  # every client library has errors of its own, and all of them mean the same here
        return probe()
    return False


def _accepts(number: int) -> bool:
    with suppress(OSError), socket.create_connection((HOST, number), timeout=_SECONDS):
        return True
    return False


def _mysql() -> bool:
    return bool(mysql_version())


def mysql_version() -> str:
    """What the running server says it is; MariaDB has its name in it."""
    import pymysql

    connection: Any = pymysql.connect(
        host=HOST,
        port=port("MYSQL_PORT"),
        user="orders",
        password=settings()["MYSQL_PASSWORD"],
        database="orders",
        connect_timeout=_SECONDS,
    )
    connection.close()
    return str(connection.get_server_info())


def _mongo() -> bool:
    import pymongo

    client: pymongo.MongoClient[dict[str, object]] = pymongo.MongoClient(
        HOST, port("MONGO_PORT"), serverSelectionTimeoutMS=_SECONDS * 1000
    )
    try:
        return bool(client.admin.command("ping")["ok"])
    finally:
        client.close()


def _redis() -> bool:
    import redis

    with redis.Redis(host=HOST, port=port("REDIS_PORT"), socket_timeout=_SECONDS) as client:
        return bool(client.ping())


def _elasticsearch() -> bool:
    return _answers(f"http://{HOST}:{port('ELASTICSEARCH_PORT')}/_cluster/health?wait_for_status=yellow&timeout=2s")


def _answers(url: str) -> bool:
    with urllib.request.urlopen(url, timeout=_SECONDS) as answer:
        return bool(answer.status == 200)


def _kafka() -> bool:
    from confluent_kafka.admin import AdminClient

    # Its own log would repeat "connection refused" for as long as the broker starts.
    client = AdminClient({"bootstrap.servers": f"{HOST}:{port('KAFKA_PORT')}", "log_level": 0})
    return bool(client.list_topics(timeout=_SECONDS).brokers)


def _temporal() -> bool:
    return asyncio.run(_temporal_serves_namespace())


async def _temporal_serves_namespace() -> bool:
    from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
    from temporalio.client import Client

    namespace = settings()["TEMPORAL_NAMESPACE"]
    client = await asyncio.wait_for(Client.connect(f"{HOST}:{port('TEMPORAL_PORT')}"), timeout=_SECONDS)
    request = DescribeNamespaceRequest(namespace=namespace)
    await client.workflow_service.describe_namespace(request, timeout=timedelta(seconds=_SECONDS))
    return True


def _stripe_mock() -> bool:
    try:
        return _answers(f"http://{HOST}:{port('STRIPE_MOCK_PORT')}/v1/balance")
    except urllib.error.HTTPError as refusal:
        return refusal.code == 401  # it wants a key, so it works


def _api() -> bool:
    return _answers(f"http://{HOST}:{port('API_PORT')}/healthz")


_PROBES: dict[str, Callable[[], bool]] = {
    "mysql": _mysql,
    "mongo": _mongo,
    "redis": _redis,
    "elasticsearch": _elasticsearch,
    "kafka": _kafka,
    "temporal": _temporal,
    "stripe-mock": _stripe_mock,
    "api": _api,
}
