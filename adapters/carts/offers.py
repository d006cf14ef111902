"""Offers of SKUs, cached in Redis for a few seconds: a cart is read far more often than a price changes.

MySQL is the truth, and the checkout reads nothing else. An entry lives `LIFETIME_SECONDS`. An event of its product
deletes it at once, and what was read from MySQL before that event is not cached.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Collection, Iterable
from contextlib import suppress
from typing import TypeVar, cast

import redis
import structlog

from adapters.mysql.catalog.products import Catalog
from adapters.mysql.orders.stock import Stock
from adapters.redis_pipeline import RedisPipeline
from schemas.carts import CartOffer
from schemas.catalog import Offer

_log = structlog.get_logger(__name__)
LIFETIME_SECONDS = 5
_MOST_REMEMBERED = 50_000
Offers = dict[str, CartOffer]
T = TypeVar("T")


class CartOffers:
    """Offers by SKU; a SKU the catalog does not have is left out. Without Redis every call reads MySQL."""

    def __init__(self, pipeline: RedisPipeline, catalog: Catalog, stock: Stock) -> None:
        self._pipeline = pipeline
        self._catalog = catalog
        self._stock = stock
        self._skus_of = OrderedDict[str, set[str]]()
        self._changed_at = OrderedDict[str, float]()

    async def of(self, skus: Collection[str]) -> Offers:
        """The offers, at most `LIFETIME_SECONDS` old."""
        requested = list(skus)
        found = await self._cached(requested)
        missing = [sku for sku in requested if sku not in found]
        if missing:
            found |= await self.fresh(missing)
        return {sku: found[sku] for sku in requested if sku in found}

    async def fresh(self, skus: Collection[str]) -> Offers:
        """The offers as they are now."""
        read_at = time.monotonic()
        found = await asyncio.to_thread(offers_now, self._catalog, self._stock, list(skus))
        for offer in found.values():
            _remember(self._skus_of, offer.product, self._skus_of.get(offer.product, set()) | {offer.sku})
        await self._store([offer for offer in found.values() if self._changed_at.get(offer.product, 0) < read_at])
        return found

    async def forget(self, products: Iterable[str]) -> None:
        """Drop the cached offers of products that have changed."""
        skus = set[str]()
        for product in products:
            _remember(self._changed_at, product, time.monotonic())
            skus |= self._skus_of.get(product, set())
        if not skus:
            return
        try:
            await self._pipeline.execute("DEL", *map(_key, skus))
        except redis.RedisError as error:
            _log.warning("old offers stay for some seconds", error=str(error)[:200])

    async def _cached(self, skus: list[str]) -> Offers:
        if not skus:
            return {}
        try:
            texts = cast("list[str | None]", await self._pipeline.execute("MGET", *map(_key, skus)))
        except redis.RedisError:
            return {}
        return {
            sku: CartOffer.model_validate_json(text) for sku, text in zip(skus, texts, strict=True) if text is not None
        }

    async def _store(self, offers: Collection[CartOffer]) -> None:
        writes = [
            self._pipeline.execute("SET", _key(offer.sku), offer.model_dump_json(), "EX", LIFETIME_SECONDS)
            for offer in offers
        ]
        with suppress(redis.RedisError):  # the next reader reads MySQL again
            await asyncio.gather(*writes)


def offers_now(catalog: Catalog, stock: Stock, skus: Collection[str]) -> Offers:
    """The offers by the catalog and the stock of this moment."""
    if not skus:
        return {}
    offers, available, unlimited = catalog.offers(skus), stock.available(skus), stock.backorderable(skus)
    return {sku: _offer(offer, None if sku in unlimited else available[sku]) for sku, offer in offers.items()}


def _offer(offer: Offer, room: int | None) -> CartOffer:
    price = offer.price if offer.for_sale else None
    return CartOffer(sku=offer.sku, product=offer.product, name=offer.name, price=price, room=room)


def _key(sku: str) -> str:
    return f"offer:{sku}"


def _remember(known: "OrderedDict[str, T]", name: str, value: T) -> None:
    """Keep the latest entries alone, so that the memory does not grow with the catalog."""
    known[name] = value
    known.move_to_end(name)
    if len(known) > _MOST_REMEMBERED:
        known.popitem(last=False)
