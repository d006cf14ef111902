"""Carts in Redis: copies that can be lost, flushed or brought back from the past, and are never believed when wrong.

What keeps a copy from being older than a change that somebody was told of:

- Whoever changes a cart first *fences* it: its copy is gone, and nobody reads or makes one until the writer says how it
  ended. A writer that never says holds the fence for `FENCE_SECONDS`.
- Whoever finds no copy takes a *lease* and may keep what MongoDB says only if nothing has happened to the cart since:
  a fence, another reader or a flush ends the lease.
- Every copy names the run of the server it was made in: one that a restarted server read from its disk, or a replica
  has received too late, is of another run.
- Every copy names the *epoch* it was made in. A writer that cannot reach Redis, so that it can neither fence nor tell,
  begins a new one and has everybody notice it (`adapters/carts/epoch.py`).

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
_COPY_MS = 600_000
_LEASE_MS = 10_000
_PAUSE_SECONDS = 1.0  # how long Redis is not asked again after it failed

_NOW = """
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%w+)')
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
"""
# Forgets what is of another run or an earlier epoch, or behind a fence whose writer never came back.
_KEPT = """
local kept = redis.call('HMGET', KEYS[1], 'run', 'epoch', 'open', 'until', 'cart')
local open = tonumber(kept[3] or '0')
if kept[1] and (kept[1] ~= run or tonumber(kept[2]) < tonumber(ARGV[2]) or (open > 0 and now >= tonumber(kept[4]))) then
  redis.call('DEL', KEYS[1])
  kept, open = {}, 0
end
"""
# Arguments: lease, epoch. Answers the copy and the lease, either of them perhaps missing.
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
redis.call('PEXPIRE', KEYS[1], {_COPY_MS})
return 1
"""
# Arguments: fence, epoch. Answers the copy there was, to change it.
_FENCE = f"""{_NOW}{_KEPT}
redis.call('HDEL', KEYS[1], 'cart', 'lease')
redis.call('HSET', KEYS[1], 'run', run, 'epoch', ARGV[2], 'until', now + {FENCE_SECONDS * 1000}, ARGV[1], 1)
redis.call('HINCRBY', KEYS[1], 'open', 1)
redis.call('PEXPIRE', KEYS[1], {_COPY_MS})
return open == 0 and kept[5] or false
"""
# Arguments: fence, epoch, version, cart or nothing, channel. Of several writers the newest version stays; it is read
# once the last of them is done. Without its fence a writer knows nothing of what was kept meanwhile.
_TELL = f"""{_NOW}
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
    """Nobody reads a copy of the cart until its writer has told how it ended; `copy` is what was read until now."""

    owner: str
    token: str
    epoch: int | None
    copy: Cart | None


class CartCache:
    """The writer's side. Its methods do not raise what Redis throws: they answer whether Redis has been told."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self._fence = client.register_script(_FENCE)
        self._tell = client.register_script(_TELL)
        self._away_until = 0.0

    def fence(self, owner: str, epoch: int | None) -> Fence | None:
        """Have nobody read a copy from now on; None when Redis cannot be reached. Without an epoch no copy is made."""
        if time.monotonic() < self._away_until:
            return None
        token = f"w:{token_hex(8)}"
        try:
            copy = cast("str | None", self._fence(keys=[key_of(owner)], args=[token, epoch or 0]))
        except redis.RedisError as error:
            self._away_until = time.monotonic() + _PAUSE_SECONDS
            _log.warning("a cart cannot be fenced in Redis", error=str(error)[:200])
            return None
        if epoch is None or copy is None:
            return Fence(owner, token, epoch, None)
        return Fence(owner, token, epoch, unless_expired(Cart.model_validate_json(copy)))

    def tell(self, fence: Fence, cart: Cart, changed: bool) -> bool:
        """Take the fence down: this is the cart now. Whoever watches the cart hears of a change."""
        text = "" if fence.epoch is None else cart.model_dump_json()
        channel = channel_of(cart.owner) if changed else ""
        arguments: list[bytes | str | int | float] = [fence.token, fence.epoch or 0, cart.version, text, channel]
        try:
            self._tell(keys=[key_of(cart.owner)], args=arguments)
        except redis.RedisError as error:
            _log.warning("Redis cannot be told of a cart", error=str(error)[:200])
            return False
        return True

    def forget(self, owner: str) -> bool:
        """Have no copy, for now."""
        try:
            self._client.delete(key_of(owner))
            self._client.publish(channel_of(owner), 0)
        except redis.RedisError as error:
            _log.warning("Redis cannot be told of a cart", error=str(error)[:200])
            return False
        return True


def key_of(owner: str) -> str:
    """Where the copy is."""
    return f"cart:{owner}"


def channel_of(owner: str) -> str:
    """Where changes of the cart are told: the version that it has now. Pub/sub knows no database, so this is ours."""
    return f"cart-changed:{owner}"
