"""Metrics, for Prometheus: open inside our own network; the gateway serves no such path."""

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from api.deps import MetricsRegistry
from api.permissions import public

router = APIRouter(tags=["health"])


@router.get(
    "/metrics", dependencies=[public], response_class=Response, responses={200: {"content": {"text/plain": {}}}}
)
def read_metrics(registry: MetricsRegistry) -> Response:
    """What needs an operator, money to be moved, and this process, in Prometheus' text format."""
    return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)
