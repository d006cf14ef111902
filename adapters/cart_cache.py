"""Carts in Redis: a copy that can be lost, late or wrong without anybody noticing but the clock."""

import time
from typing import cast

import redis
import structlog

from schemas.carts import Cart

_log = structlog.get_logger(__name__)
_LIFETIME_SECONDS = 60
# Writers of one cart reach Redis in any order; the higher version stays, whoever is last.
_PUT_IF_NEWER = """
local kept = redis.call('HGET', KEYS[1], 'version')
if kept and tonumber(kept) > tonumber(ARGV[1]) then return 0 end
redis.call('HSET', KEYS[1], 'version', ARGV[1], 'cart', ARGV[2], 'put_at', ARGV[3])
redis.call('EXPIRE', KEYS[1], ARGV[4])
return 1
"""


class CartCache:
    """Every method swallows what Redis throws: without it a cart is slower, never wrong.

    A write that Redis missed leaves an old copy behind. So after any error this process takes no copy made
    before it, and the short lifetime bounds what another process, which saw no error, can still show.
    """

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self._put = client.register_script(_PUT_IF_NEWER)
        self._trusted_since = 0.0

    def get(self, owner: str) -> Cart | None:
        """The copy, if there is one that can be trusted."""
        try:
            copy = cast("list[str | None]", self._client.hmget(_name(owner), ["cart", "put_at"]))
        except redis.RedisError as error:
            self._distrust("read", error)
            return None
        text, put_at = copy
        if text is None or put_at is None or float(put_at) <= self._trusted_since:
            return None
        return Cart.model_validate_json(text)

    def put(self, cart: Cart) -> None:
        """Keep a copy, unless a newer one is there."""
        arguments: list[bytes | str | int | float] = [
            cart.version,
            cart.model_dump_json(),
            time.time(),
            _LIFETIME_SECONDS,
        ]
        try:
            self._put(keys=[_name(cart.owner)], args=arguments)
        except redis.RedisError as error:
            self._distrust("write", error)

    def _distrust(self, deed: str, error: redis.RedisError) -> None:
        self._trusted_since = time.time()
        _log.warning("cart cache unavailable", deed=deed, error=str(error))


def _name(owner: str) -> str:
    return f"cart:{owner}"
