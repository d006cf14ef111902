"""Counted sign-in attempts in Redis: one script per step, so that concurrent attempts cannot slip through."""

from collections.abc import Mapping

import redis

from domain.login_throttle import FORGOTTEN_AFTER_SECONDS, LONGEST_PAUSE_SECONDS

_PREFIX = "login:"

# Each attempt counts as failed until it has succeeded: a hundred sent at once are a hundred, not one.
_CLAIM = """
for i, key in ipairs(KEYS) do
  local left = redis.call('PTTL', key .. ':pause')
  if left > 0 then return left end
end
for i, key in ipairs(KEYS) do
  local failures = redis.call('INCR', key)
  redis.call('EXPIRE', key, ARGV[1])
  local over = failures - tonumber(ARGV[i + 2])
  if over > 0 then
    local pause = math.min(tonumber(ARGV[2]), 2 ^ math.min(over - 1, 20))
    redis.call('SET', key .. ':pause', failures, 'EX', pause)
  end
end
return 0
"""
_UNCOUNT = """
local left = redis.call('DECR', KEYS[1])
if left <= 0 then redis.call('DEL', KEYS[1], KEYS[1] .. ':pause') else redis.call('EXPIRE', KEYS[1], ARGV[1]) end
return left
"""


class RecentLogins:
    """Attempts by subject (`account:…`, `address:…`); every method raises redis.RedisError when Redis is away."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self._claim = client.register_script(_CLAIM)
        self._uncount = client.register_script(_UNCOUNT)

    def claim(self, free: Mapping[str, int]) -> float:
        """Count an attempt for each subject, of which so many are free; seconds to wait when one of them must."""
        keys = [_PREFIX + subject for subject in free]
        milliseconds = self._claim(keys=keys, args=[FORGOTTEN_AFTER_SECONDS, LONGEST_PAUSE_SECONDS, *free.values()])
        return float(milliseconds) / 1000

    def uncount(self, subject: str) -> None:
        """Take an attempt back that has succeeded."""
        self._uncount(keys=[_PREFIX + subject], args=[FORGOTTEN_AFTER_SECONDS])

    def forget(self, subject: str) -> None:
        """Start counting again."""
        self._client.delete(_PREFIX + subject, f"{_PREFIX}{subject}:pause")
