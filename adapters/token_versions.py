"""The fast path of the token check: short-lived cached states of accounts and sessions in Redis.

MySQL is the truth. An entry expires `LIFETIME_SECONDS` after MySQL was read, however late it is written, and a newer
entry is never replaced by an older one. So once a change has been published, or every entry made before it has expired,
nobody acts on the old state: a publisher that cannot reach Redis waits that long before it returns.
"""

import time
from collections.abc import Sequence
from typing import cast

import redis
import structlog

from adapters.redis_pipeline import RedisPipeline

_log = structlog.get_logger(__name__)
LIFETIME_SECONDS = 3.0
_PAUSE_SECONDS = 1.0  # how long Redis is not called again after it failed
_PUT_IF_NEWER = """
local kept = redis.call('GET', KEYS[1])
if kept and tonumber(string.match(kept, '^%d+')) > tonumber(ARGV[1]) then return 0 end
redis.call('SET', KEYS[1], ARGV[1] .. ' ' .. ARGV[2], 'PX', ARGV[3])
return 1
"""


class TokenVersions:
    """Versioned texts by name. Reading never fails: without Redis nothing is cached, and MySQL is read."""

    def __init__(self, client: redis.Redis, pipeline: RedisPipeline | None = None) -> None:
        self._client = client
        self._pipeline = pipeline
        self._put = client.register_script(_PUT_IF_NEWER)
        self._away_until = 0.0

    def read(self, names: Sequence[str]) -> list[str | None]:
        """The cached text of each name, None where there is none."""
        if not names or time.monotonic() < self._away_until:
            return [None] * len(names)
        try:
            entries = cast("list[str | None]", self._client.mget(names))
            return [None if entry is None else entry.partition(" ")[2] for entry in entries]
        except redis.RedisError as error:
            self._note_outage("read", error)
            return [None] * len(names)

    async def read_async(self, names: Sequence[str]) -> list[str | None]:
        """`read` for the event loop."""
        if self._pipeline is None:
            return [None] * len(names)
        try:
            entries = cast("list[str | None]", await self._pipeline.execute("MGET", *names))
        except redis.RedisError:
            return [None] * len(names)
        return [None if entry is None else entry.partition(" ")[2] for entry in entries]

    def keep(self, name: str, version: int, text: str, read_at: float) -> None:
        """Cache what MySQL had at `read_at` (time.monotonic())."""
        left = LIFETIME_SECONDS - (time.monotonic() - read_at)
        if left <= 0 or time.monotonic() < self._away_until:
            return
        try:
            self._put(keys=[name], args=[version, text, max(1, int(left * 1000))])
        except redis.RedisError as error:
            self._note_outage("keep", error)

    def publish(self, names: Sequence[str], version: int, text: str) -> None:
        """Replace the entries after a change in MySQL; when this returns nobody acts on older ones."""
        try:
            for name in names:
                self._put(keys=[name], args=[version, text, int(LIFETIME_SECONDS * 1000)])
        except redis.RedisError as error:
            self._note_outage("publish", error)
            time.sleep(LIFETIME_SECONDS)

    def _note_outage(self, operation: str, error: redis.RedisError) -> None:
        self._away_until = time.monotonic() + _PAUSE_SECONDS
        _log.warning("the fast path of the token check is away", operation=operation, error=str(error)[:200])
