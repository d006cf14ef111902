"""Reading carts: the cached cart in Redis, without a thread and without MongoDB, whenever it is valid."""

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
    """Never shows a cart older than a change that had returned before it was read (`adapters/carts/cache.py`)."""

    def __init__(self, pipeline: RedisPipeline, epoch: CacheEpoch, store: CartStore) -> None:
        self._pipeline = pipeline
        self._epoch = epoch
        self._store = store
        self._leases = (f"{prefix}{number}" for prefix in (token_hex(8),) for number in count())

    async def get(self, owner: str) -> Cart:
        """The cart now; raises pymongo's errors when it has to be read from MongoDB and cannot be."""
        epoch = self._epoch.current()
        cached, lease = (None, None) if epoch is None else await self._cached(owner, epoch)
        # Checked again after the answer: the epoch that was valid before it may have ended by now.
        if cached is not None and self._epoch.current() is not None:
            return unless_expired(Cart.model_validate_json(cached))
        cart = await asyncio.to_thread(self._store.current, owner)
        if lease is not None and epoch is not None:
            await self._store_in_cache(cart, lease, epoch)
        return cart

    async def _cached(self, owner: str, epoch: int) -> tuple[str | None, str | None]:
        try:
            cached, lease = await self._pipeline.run(_READ, key_of(owner), next(self._leases), epoch)
        except redis.RedisError:
            return None, None
        return cached, lease

    async def _store_in_cache(self, cart: Cart, lease: str, epoch: int) -> None:
        try:
            await self._pipeline.run(_FILL, key_of(cart.owner), lease, epoch, cart.model_dump_json())
        except redis.RedisError:
            return  # the next reader reads MongoDB as well
