"""Counts per name and window, in Redis for all processes together; while Redis is away each process counts alone."""

import redis
from limits.storage import MemoryStorage

from adapters.redis_pipeline import RedisPipeline, RedisScript

_HIT = RedisScript("""
local count = redis.call('INCR', KEYS[1])
if count == 1 then redis.call('EXPIRE', KEYS[1], ARGV[1]) end
return count
""")


class RateCounter:
    """A count that is always there."""

    def __init__(self, pipeline: RedisPipeline) -> None:
        self._pipeline = pipeline
        self._own = MemoryStorage()

    async def hit(self, name: str, window_seconds: int) -> int:
        """Count one more in this window; how many there have been with it."""
        try:
            return int(await self._pipeline.run(_HIT, f"rate:{name}", window_seconds))
        except redis.RedisError:
            return self._own.incr(name, window_seconds)
