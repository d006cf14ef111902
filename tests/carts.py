"""What tests of carts share."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

import redis

from adapters.carts.cached import CachedCarts
from adapters.carts.documents import Lifetimes
from adapters.carts.epoch import CacheEpoch
from adapters.carts.store import CartStore
from adapters.connections import Connections
from adapters.redis_pipeline import RedisPipeline
from schemas.base import Money
from schemas.carts import CartOffer


def offer(sku: str, price: int = 100, room: int | None = None, product: str | None = None) -> CartOffer:
    """A SKU for sale, in any quantity unless `room` limits it."""
    return CartOffer(sku=sku, product=product or sku, name=sku, price=Money(amount=price, currency="EUR"), room=room)


@dataclass
class CartProcess:
    """What one process has to do with carts."""

    store: CartStore
    trust: CacheEpoch
    line: RedisPipeline
    warm: CachedCarts


@asynccontextmanager
async def cart_process(
    connections: Connections, redis_url: str | None = None, lifetimes: Lifetimes | None = None
) -> AsyncIterator[CartProcess]:
    """A process of its own as far as carts go, perhaps with another way to Redis."""
    url = redis_url or connections.settings.redis_address
    trust, line = CacheEpoch(connections.mongo), RedisPipeline(url)
    with redis_client(url) as client, trust.watching():
        store = CartStore(connections.mongo, client, trust, lifetimes)
        trust.refresh()
        try:
            yield CartProcess(store, trust, line, CachedCarts(line, trust, store))
        finally:
            await line.close()


@contextmanager
def redis_client(url: str) -> Iterator[redis.Redis]:
    """A client that does not wait for long."""
    with redis.Redis.from_url(
        url, socket_timeout=0.5, socket_connect_timeout=0.5, retry=None, decode_responses=True
    ) as client:
        yield client
