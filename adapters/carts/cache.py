"""Cached carts in Redis. They may be lost, flushed or restored from an old dump, and a stale one is never used.

What keeps a cached cart from being older than a change that has been reported as done:

- A writer first *fences* the cart: the cached cart is deleted, and nobody reads or caches one until the writer lifts
  its fence. A writer that never does holds the fence for `FENCE_SECONDS`.
- A reader that finds nothing cached takes a *lease* and may cache what MongoDB has only if nothing has happened to the
  cart since: a fence, another reader or a flush ends the lease.
- Every cached cart names the run of the server it was made in: one that a restarted server read from its disk, or a
  replica has received too late, is of another run.
- Every cached cart names the cache *epoch* it was made in. A writer that cannot reach Redis begins a new epoch and
  waits until every process has noticed it (`adapters/carts/epoch.py`).

The scripts run one at a time, so each of these is one step.
"""

import time
from dataclasses import dataclass
from secrets import token_hex
from typing import cast

import redis
import structlog

from adapters.carts.documents import unless_expired
from schemas.carts import Cart

_log = structlog.get_logger(__name__)

FENCE_SECONDS = 15  # longer than MongoDB is ever waited for in one change
_CACHED_MS = 600_000
_LEASE_MS = 10_000
_PAUSE_SECONDS = 1.0  # how long Redis is not called again after it failed

_NOW = """
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%w+)')
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
"""
# Deletes what is of another run or an earlier epoch, or behind a fence that was never lifted.
_KEPT = """
local kept = redis.call('HMGET', KEYS[1], 'run', 'epoch', 'open', 'until', 'cart')
local open = tonumber(kept[3] or '0')
if kept[1] and (kept[1] ~= run or tonumber(kept[2]) < tonumber(ARGV[2]) or (open > 0 and now >= tonumber(kept[4]))) then
  redis.call('DEL', KEYS[1])
  kept, open = {}, 0
end
"""
# Arguments: lease, epoch. Answers the cached cart and the lease, either of them perhaps missing.
READ = f"""{_NOW}{_KEPT}
if open > 0 then return {{false, false}} end
if kept[5] then return {{kept[5], false}} end
redis.call('HSET', KEYS[1], 'run', run, 'epoch', ARGV[2], 'lease', ARGV[1])
redis.call('PEXPIRE', KEYS[1], {_LEASE_MS})
return {{false, ARGV[1]}}
"""
# Arguments: lease, epoch, cart.
FILL = f"""{_NOW}
local kept = redis.call('HMGET', KEYS[1], 'run', 'epoch', 'lease')
if kept[1] ~= run or kept[2] ~= ARGV[2] or kept[3] ~= ARGV[1] then return 0 end
redis.call('HDEL', KEYS[1], 'lease')
redis.call('HSET', KEYS[1], 'cart', ARGV[3])
redis.call('PEXPIRE', KEYS[1], {_CACHED_MS})
return 1
"""
# Arguments: fence, epoch. Answers the cart that was cached, to change it.
_FENCE = f"""{_NOW}{_KEPT}
redis.call('HDEL', KEYS[1], 'cart', 'lease')
redis.call('HSET', KEYS[1], 'run', run, 'epoch', ARGV[2], 'until', now + {FENCE_SECONDS * 1000}, ARGV[1], 1)
redis.call('HINCRBY', KEYS[1], 'open', 1)
redis.call('PEXPIRE', KEYS[1], {_CACHED_MS})
return open == 0 and kept[5] or false
"""
# Arguments: fence, epoch, version, cart or nothing, channel. Of several writers the newest version stays; it is read
# once the last of them is done. A writer without its fence does not know what was cached meanwhile.
_UNFENCE = f"""{_NOW}
local kept = redis.call('HMGET', KEYS[1], 'run', 'epoch', 'version')
if kept[1] ~= run or kept[2] ~= ARGV[2] or redis.call('HDEL', KEYS[1], ARGV[1]) == 0 then
  redis.call('DEL', KEYS[1])
else
  redis.call('HINCRBY', KEYS[1], 'open', -1)
  if tonumber(kept[3] or '-1') <= tonumber(ARGV[3]) then
    redis.call('HSET', KEYS[1], 'version', ARGV[3])
    if ARGV[4] == '' then redis.call('HDEL', KEYS[1], 'cart') else redis.call('HSET', KEYS[1], 'cart', ARGV[4]) end
  end
end
if ARGV[5] ~= '' then redis.call('PUBLISH', ARGV[5], ARGV[3]) end
return 1
"""


@dataclass(frozen=True)
class Fence:
    """Nobody reads the cached cart until its writer lifts the fence; `cached` is what was cached until now."""

    owner: str
    token: str
    epoch: int | None
    cached: Cart | None


class CartCache:
    """The writer's side. Its methods do not raise Redis's errors: they answer whether Redis has taken the change."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self._fence = client.register_script(_FENCE)
        self._unfence = client.register_script(_UNFENCE)
        self._away_until = 0.0

    def fence(self, owner: str, epoch: int | None) -> Fence | None:
        """Fence the cart; None when Redis cannot be reached. Without an epoch nothing is cached."""
        if time.monotonic() < self._away_until:
            return None
        token = f"w:{token_hex(8)}"
        try:
            cached = cast("str | None", self._fence(keys=[key_of(owner)], args=[token, epoch or 0]))
        except redis.RedisError as error:
            self._away_until = time.monotonic() + _PAUSE_SECONDS
            _log.warning("a cart cannot be fenced in Redis", error=str(error)[:200])
            return None
        if epoch is None or cached is None:
            return Fence(owner, token, epoch, None)
        return Fence(owner, token, epoch, unless_expired(Cart.model_validate_json(cached)))

    def unfence(self, fence: Fence, cart: Cart, changed: bool) -> bool:
        """Lift the fence: this is the cart now. A change is published to those who watch the cart."""
        text = "" if fence.epoch is None else cart.model_dump_json()
        channel = channel_of(cart.owner) if changed else ""
        arguments: list[bytes | str | int | float] = [fence.token, fence.epoch or 0, cart.version, text, channel]
        try:
            self._unfence(keys=[key_of(cart.owner)], args=arguments)
        except redis.RedisError as error:
            _log.warning("a cart cannot be cached in Redis", error=str(error)[:200])
            return False
        return True

    def forget(self, owner: str) -> bool:
        """Delete the cached cart."""
        try:
            self._client.delete(key_of(owner))
            self._client.publish(channel_of(owner), 0)
        except redis.RedisError as error:
            _log.warning("a cart cannot be cached in Redis", error=str(error)[:200])
            return False
        return True


def key_of(owner: str) -> str:
    """The key of the cached cart."""
    return f"cart:{owner}"


def channel_of(owner: str) -> str:
    """The channel on which the cart's new version is published."""
    return f"cart-changed:{owner}"
