"""Health: whether the process answers, and which parts it can reach."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Literal

import sqlalchemy as sa
import structlog
from fastapi import APIRouter, Response

from adapters.connections import Connections
from api.deps import AppConnections, Temporal
from api.permissions import public
from schemas.base import Payload

router = APIRouter(tags=["health"])
_PATIENCE_SECONDS = 2.0
_log = structlog.get_logger(__name__)

State = Literal["ok", "away"]


class Health(Payload):
    """The process answers."""

    status: Literal["ok"] = "ok"


class Readiness(Payload):
    """`degraded` serves what does not need the unavailable parts; without MySQL nothing is served."""

    status: Literal["ready", "degraded", "unavailable"]
    checks: dict[str, State]


@router.get("/healthz", dependencies=[public])
async def read_health() -> Health:
    """Whether the process answers."""
    return Health()


@router.get("/readyz", dependencies=[public], responses={503: {"model": Readiness}})
async def read_readiness(response: Response, connections: AppConnections, temporal: Temporal) -> Readiness:
    """Which parts can be reached; all are checked at once, with a short time-out."""
    probes: dict[str, Callable[[], Awaitable[object]]] = {
        name: lambda check=check: asyncio.to_thread(check, connections)  # type: ignore[misc]
        for name, check in _STORES.items()
    }
    quick = timedelta(seconds=_PATIENCE_SECONDS)
    probes["temporal"] = lambda: temporal.service_client.check_health(timeout=quick)
    states = await asyncio.gather(*(_state(name, ask) for name, ask in probes.items()))
    checks = dict(zip(probes, states, strict=True))
    if checks["mysql"] == "away":
        response.status_code = 503
        return Readiness(status="unavailable", checks=checks)
    return Readiness(status="ready" if set(states) == {"ok"} else "degraded", checks=checks)


def _mysql(connections: Connections) -> object:
    with connections.engine.connect() as connection:
        return connection.scalar(sa.select(1))


_STORES: dict[str, Callable[[Connections], object]] = {
    "mysql": _mysql,
    "mongo": lambda connections: connections.mongo.command("ping"),
    "redis": lambda connections: connections.redis.ping(),
    "elasticsearch": lambda connections: connections.elasticsearch.cluster.health(),
}


async def _state(name: str, ask: Callable[[], Awaitable[object]]) -> State:
    try:
        await asyncio.wait_for(ask(), _PATIENCE_SECONDS)
    except Exception as error:  # noqa: BLE001 - whatever is thrown, the part is not there
        _log.warning("a part is away", part=name, error=str(error)[:200])
        return "away"
    return "ok"
