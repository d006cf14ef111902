"""The fast path of the token check: short-lived copies in Redis of what MySQL says about accounts and sessions.

MySQL is the truth. A copy expires `LIFETIME_SECONDS` after the moment MySQL was asked, however late it is written,
and a newer copy is never replaced by an older one. So once a change has been told, or every copy made before it has
expired, nobody acts on the old state: a teller that cannot reach Redis waits that long before it returns.
"""

import time
from collections.abc import Sequence
from typing import cast

import redis
import structlog

from adapters.redis_pipeline import RedisPipeline

_log = structlog.get_logger(__name__)
LIFETIME_SECONDS = 3.0
_PAUSE_SECONDS = 1.0  # how long Redis is not asked again after it failed
_PUT_IF_NEWER = """
local kept = redis.call('GET', KEYS[1])
if kept and tonumber(string.match(kept, '^%d+')) > tonumber(ARGV[1]) then return 0 end
redis.call('SET', KEYS[1], ARGV[1] .. ' ' .. ARGV[2], 'PX', ARGV[3])
return 1
"""


class TokenVersions:
    """Versioned texts by name. Reading never fails: without Redis there are no copies, and MySQL is asked."""

    def __init__(self, client: redis.Redis, line: RedisPipeline | None = None) -> None:
        self._client = client
        self._line = line
        self._put = client.register_script(_PUT_IF_NEWER)
        self._away_until = 0.0

    def read(self, names: Sequence[str]) -> list[str | None]:
        """The copy of each name, None where there is none."""
        if not names or time.monotonic() < self._away_until:
            return [None] * len(names)
        try:
            copies = cast("list[str | None]", self._client.mget(names))
            return [None if copy is None else copy.partition(" ")[2] for copy in copies]
        except redis.RedisError as error:
            self._note_outage("read", error)
            return [None] * len(names)

    async def glance(self, names: Sequence[str]) -> list[str | None]:
        """`read` for the event loop."""
        if self._line is None:
            return [None] * len(names)
        try:
            copies = cast("list[str | None]", await self._line.ask("MGET", *names))
        except redis.RedisError:
            return [None] * len(names)
        return [None if copy is None else copy.partition(" ")[2] for copy in copies]

    def keep(self, name: str, version: int, text: str, asked_at: float) -> None:
        """Keep a copy of what MySQL said when it was asked at `asked_at` (time.monotonic())."""
        left = LIFETIME_SECONDS - (time.monotonic() - asked_at)
        if left <= 0 or time.monotonic() < self._away_until:
            return
        try:
            self._put(keys=[name], args=[version, text, max(1, int(left * 1000))])
        except redis.RedisError as error:
            self._note_outage("keep", error)

    def tell(self, names: Sequence[str], version: int, text: str) -> None:
        """Replace the copies after a change in MySQL; when this returns nobody acts on an older one."""
        try:
            for name in names:
                self._put(keys=[name], args=[version, text, int(LIFETIME_SECONDS * 1000)])
        except redis.RedisError as error:
            self._note_outage("tell", error)
            time.sleep(LIFETIME_SECONDS)

    def _note_outage(self, deed: str, error: redis.RedisError) -> None:
        self._away_until = time.monotonic() + _PAUSE_SECONDS
        _log.warning("the fast path of the token check is away", deed=deed, error=str(error)[:200])
