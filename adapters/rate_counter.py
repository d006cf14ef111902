"""Counts per name and window, in Redis for all processes together; while Redis is away each process counts alone."""

import time

import redis
import structlog
from limits.storage import MemoryStorage, RedisStorage
from redis.backoff import NoBackoff
from redis.retry import Retry

_log = structlog.get_logger(__name__)
_PAUSE_SECONDS = 1.0  # how long Redis is not asked again after it failed


class RateCounter:
    """The `limits` library's two stores as one that is always there."""

    def __init__(self, redis_url: str) -> None:
        # The stubs take plain values only; the rest goes through to redis-py.
        options = {"socket_timeout": 1.0, "socket_connect_timeout": 1.0, "retry": Retry(NoBackoff(), 1)}
        self._shared = RedisStorage(redis_url, key_prefix="rate", **options)  # type: ignore[arg-type]
        self._own = MemoryStorage()
        self._away_until = 0.0

    def hit(self, name: str, window_seconds: int) -> int:
        """Count one more in this window; how many there have been with it."""
        if time.monotonic() >= self._away_until:
            try:
                return self._shared.incr(name, window_seconds)
            except redis.RedisError as error:
                self._away_until = time.monotonic() + _PAUSE_SECONDS
                _log.warning("rates are counted by each process alone", error=str(error)[:200])
        return self._own.incr(name, window_seconds)
