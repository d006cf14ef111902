"""Carts: one versioned document per owner in MongoDB, which is the truth, behind a copy in Redis."""

from collections.abc import Callable
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any
from urllib.parse import quote, unquote
from uuid import NAMESPACE_URL, uuid5

import redis
from pymongo import ReturnDocument
from pymongo.database import Database
from pymongo.errors import DuplicateKeyError

from adapters.cart_cache import CartCache
from domain.errors import CartChanged, Conflict, InvalidRequest
from schemas.carts import Cart

MAX_LINES = 100
_ATTEMPTS = 100  # each lost race means that somebody else's change of this one cart went through
_NEVER = datetime(1970, 1, 1, tzinfo=UTC)

Items = dict[str, int]
Document = dict[str, Any]


def user_owner(user_id: str) -> str:
    """Whose cart a signed-in user's is."""
    return f"user:{user_id}"


def guest_owner(token: str) -> str:
    """Whose cart a guest's is; the token itself is never stored."""
    return f"guest:{sha256(token.encode()).hexdigest()}"


class CartStore:
    """Every change is a compare-and-set on the version, which grows by one and never starts anew.

    Outages of Redis are not noticed; outages of MongoDB raise pymongo's errors.
    """

    def __init__(self, mongo: Database[Document], cache: redis.Redis) -> None:
        self._carts = mongo["carts"]
        self._cache = CartCache(cache)

    def get(self, owner: str) -> Cart:
        """The cart as last shown; a moment old at worst, and only after Redis was away."""
        return self._cache.get(owner) or self.current(owner)

    def current(self, owner: str) -> Cart:
        """The cart as it is in MongoDB: what to decide by. Version 0 when nothing was ever put into it."""
        cart = _cart(owner, self._carts.find_one({"_id": owner}))
        self._cache.put(cart)
        return cart

    def set_quantity(self, owner: str, sku: str, quantity: int, expected_version: int | None = None) -> Cart:
        """Have so many units of the SKU; raises CartChanged, or InvalidRequest for one line too many."""

        def with_line(items: Items) -> Items:
            if sku not in items and len(items) >= MAX_LINES:
                raise InvalidRequest(f"A cart holds at most {MAX_LINES} different products.", maximum=MAX_LINES)
            return {**items, sku: quantity}

        return self._change(owner, with_line, expected_version)

    def remove(self, owner: str, sku: str, expected_version: int | None = None) -> Cart:
        """Have none of the SKU; raises CartChanged."""
        return self._change(
            owner, lambda items: {other: n for other, n in items.items() if other != sku}, expected_version
        )

    def clear(self, owner: str, expected_version: int | None = None) -> Cart:
        """Have nothing; raises CartChanged."""
        return self._change(owner, lambda _: {}, expected_version)

    def complete(self, owner: str, cart_id: str, version: int, order_id: str) -> None:
        """Empty the cart that became this order; one that has changed since is left as it is. Repeat-safe."""
        if cart_id == cart_id_of(owner):
            self._replace(owner, version, {}, order_id)

    def _change(self, owner: str, change: Callable[[Items], Items], expected_version: int | None) -> Cart:
        for _ in range(_ATTEMPTS):
            cart = self.current(owner)
            if expected_version is not None and expected_version != cart.version:
                raise CartChanged(f"The cart has version {cart.version}, not {expected_version}.", cart=cart)
            items = change(cart.items)
            if items == cart.items:
                return cart
            changed = self._replace(owner, cart.version, items, None)
            if changed is not None:
                return changed
        raise Conflict("The cart is being changed by too many at once.")

    def _replace(self, owner: str, version: int, items: Items, order_id: str | None) -> Cart | None:
        now = datetime.now(UTC)
        values = {
            "version": version + 1,
            "items": {_field(sku): quantity for sku, quantity in items.items()},
            "checked_out_by": order_id,
            # MongoDB keeps milliseconds; what is shown now is what is read later.
            "updated_at": now.replace(microsecond=now.microsecond // 1000 * 1000),
        }
        document: Document | None = {"_id": owner, **values}
        if version == 0:
            try:
                self._carts.insert_one(dict(document or {}))
            except DuplicateKeyError:
                return None
        else:
            document = self._carts.find_one_and_update(
                {"_id": owner, "version": version}, {"$set": values}, return_document=ReturnDocument.AFTER
            )
        if document is None:
            return None
        cart = _cart(owner, document)
        self._cache.put(cart)
        return cart


def cart_id_of(owner: str) -> str:
    """The id of an owner's one cart: the same in every process, before and after it is first written."""
    return str(uuid5(NAMESPACE_URL, f"cart:{owner}"))


def _cart(owner: str, document: Document | None) -> Cart:
    if document is None:
        return Cart(id=cart_id_of(owner), owner=owner, updated_at=_NEVER)
    return Cart(
        id=cart_id_of(owner),
        owner=owner,
        version=document["version"],
        items={unquote(field): quantity for field, quantity in document["items"].items()},
        checked_out_by=document["checked_out_by"],
        updated_at=document["updated_at"],
    )


def _field(sku: str) -> str:
    # A dot in a field's name would be a path, a dollar an operator.
    return quote(sku, safe="").replace(".", "%2E")
