"""Carts as they are read: the copy in Redis, without a thread and without MongoDB, whenever it can be believed."""

import asyncio
from itertools import count
from secrets import token_hex

import redis

from adapters.carts.cache import FILL, READ, key_of
from adapters.carts.documents import unless_expired
from adapters.carts.epoch import CacheEpoch
from adapters.carts.store import CartStore
from adapters.redis_pipeline import RedisPipeline, RedisScript
from schemas.carts import Cart

_READ, _FILL = RedisScript(READ), RedisScript(FILL)


class CachedCarts:
    """Never shows a cart older than a change that had returned when it was asked (`adapters/carts/cache.py`)."""

    def __init__(self, line: RedisPipeline, trust: CacheEpoch, store: CartStore) -> None:
        self._line = line
        self._trust = trust
        self._store = store
        self._leases = (f"{prefix}{number}" for prefix in (token_hex(8),) for number in count())

    async def get(self, owner: str) -> Cart:
        """The cart now; raises pymongo's errors when it has to be asked for and cannot be."""
        epoch = self._trust.epoch()
        copy, lease = (None, None) if epoch is None else await self._copy(owner, epoch)
        # Looked at again after the answer: what was believed when it was asked may be outdated by now.
        if copy is not None and self._trust.epoch() is not None:
            return unless_expired(Cart.model_validate_json(copy))
        cart = await asyncio.to_thread(self._store.current, owner)
        if lease is not None and epoch is not None:
            await self._keep(cart, lease, epoch)
        return cart

    async def _copy(self, owner: str, epoch: int) -> tuple[str | None, str | None]:
        try:
            copy, lease = await self._line.run(_READ, key_of(owner), next(self._leases), epoch)
        except redis.RedisError:
            return None, None
        return copy, lease

    async def _keep(self, cart: Cart, lease: str, epoch: int) -> None:
        try:
            await self._line.run(_FILL, key_of(cart.owner), lease, epoch, cart.model_dump_json())
        except redis.RedisError:
            return  # the next reader asks MongoDB as well
