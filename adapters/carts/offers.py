"""What a SKU is offered for, in Redis for a few seconds: a cart is read far more often than a price changes.

MySQL is the truth, and the checkout asks nothing else. An entry lives `LIFETIME_SECONDS`; when a product's event is
heard it goes at once, and a look into MySQL that began before is not kept.
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
    """Offers by SKU; a SKU the catalog does not have is left out. Without Redis MySQL is asked each time."""

    def __init__(self, line: RedisPipeline, catalog: Catalog, stock: Stock) -> None:
        self._line = line
        self._catalog = catalog
        self._stock = stock
        self._skus_of = OrderedDict[str, set[str]]()
        self._heard_at = OrderedDict[str, float]()

    async def of(self, skus: Collection[str]) -> Offers:
        """What they are offered for, at most `LIFETIME_SECONDS` ago."""
        wanted = list(skus)
        found = await self._copies(wanted)
        missing = [sku for sku in wanted if sku not in found]
        if missing:
            found |= await self.fresh(missing)
        return {sku: found[sku] for sku in wanted if sku in found}

    async def fresh(self, skus: Collection[str]) -> Offers:
        """What they are offered for now."""
        asked_at = time.monotonic()
        found = await asyncio.to_thread(offers_now, self._catalog, self._stock, list(skus))
        for offer in found.values():
            _remember(self._skus_of, offer.product, self._skus_of.get(offer.product, set()) | {offer.sku})
        await self._keep([one for one in found.values() if self._heard_at.get(one.product, 0) < asked_at])
        return found

    async def forget(self, products: Iterable[str]) -> None:
        """These products are no longer as they were."""
        skus = set[str]()
        for product in products:
            _remember(self._heard_at, product, time.monotonic())
            skus |= self._skus_of.get(product, set())
        if not skus:
            return
        try:
            await self._line.ask("DEL", *map(_key, skus))
        except redis.RedisError as error:
            _log.warning("old offers stay for some seconds", error=str(error)[:200])

    async def _copies(self, skus: list[str]) -> Offers:
        if not skus:
            return {}
        try:
            texts = cast("list[str | None]", await self._line.ask("MGET", *map(_key, skus)))
        except redis.RedisError:
            return {}
        return {
            sku: CartOffer.model_validate_json(text) for sku, text in zip(skus, texts, strict=True) if text is not None
        }

    async def _keep(self, offers: Collection[CartOffer]) -> None:
        put = [self._line.ask("SET", _key(one.sku), one.model_dump_json(), "EX", LIFETIME_SECONDS) for one in offers]
        with suppress(redis.RedisError):  # the next reader asks MySQL again
            await asyncio.gather(*put)


def offers_now(catalog: Catalog, stock: Stock, skus: Collection[str]) -> Offers:
    """What the catalog and the warehouses say at this moment."""
    if not skus:
        return {}
    offers, available, unlimited = catalog.offers(skus), stock.available(skus), stock.backorderable(skus)
    return {sku: _offer(one, None if sku in unlimited else available[sku]) for sku, one in offers.items()}


def _offer(offer: Offer, room: int | None) -> CartOffer:
    price = offer.price if offer.for_sale else None
    return CartOffer(sku=offer.sku, product=offer.product, name=offer.name, price=price, room=room)


def _key(sku: str) -> str:
    return f"offer:{sku}"


def _remember(known: "OrderedDict[str, T]", name: str, value: T) -> None:
    """Keep the latest, so that neither grows with the catalog."""
    known[name] = value
    known.move_to_end(name)
    if len(known) > _MOST_REMEMBERED:
        known.popitem(last=False)
