"""Carts: one versioned document per owner in MongoDB, which is the truth, cached in Redis."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from uuid import uuid4

import redis
from pymongo.database import Database
from pymongo.errors import DuplicateKeyError

from adapters.carts import changes
from adapters.carts.cache import CartCache
from adapters.carts.changes import Change, ChangeRequest, Offers
from adapters.carts.documents import Document, Lifetimes, Record, cart_id_of, line_values, moment, notes_values, record
from adapters.carts.epoch import CacheEpoch
from domain.carts import user_owner
from domain.errors import BusinessError, CartChanged, Conflict
from schemas.carts import Cart, CartOffer

__all__ = ["CartStore", "ChangeRequest", "cart_id_of"]

_ATTEMPTS = 100  # each lost race means that somebody else's change of this one cart went through
_UNCONDITIONAL = ChangeRequest()


@dataclass(frozen=True)
class _Outcome:
    """The cart as it is now, whether this changed it, and why not when it was refused."""

    cart: Cart
    changed: bool = False
    refusal: BusinessError | None = None


class CartStore:
    """Every change is a compare-and-set on the version, which grows by one and never restarts in a cart's life.

    Once a change has returned, no process shows the cart as it was before; without Redis it may take two seconds
    longer. Outages of MongoDB raise pymongo's errors: then the outcome of the change is unknown, and no cached cart is
    shown until it is known.
    """

    def __init__(
        self,
        mongo: Database[Document],
        cache: redis.Redis,
        epoch: CacheEpoch | None = None,
        lifetimes: Lifetimes | None = None,
    ) -> None:
        self._carts = mongo["carts"]
        self._epoch = epoch or CacheEpoch(mongo)
        self._lifetimes = lifetimes or Lifetimes()
        self._cache = CartCache(cache)

    def current(self, owner: str) -> Cart:
        """The cart as it is in MongoDB: what to decide by. Version 0 when nothing was ever put into it."""
        return self._read(owner).cart

    def set_quantity(
        self, owner: str, offer: CartOffer, quantity: int, request: ChangeRequest = _UNCONDITIONAL
    ) -> Cart:
        """Set the quantity of what is offered; raises CartChanged, InsufficientStock, or InvalidRequest for a limit.

        A request with a version is refused when the cart has another.
        """
        return self._change(owner, changes.with_quantity(offer, quantity), request)

    def add(self, owner: str, offer: CartOffer, quantity: int, request: ChangeRequest = _UNCONDITIONAL) -> Cart:
        """Add so many units; only once per key. Raises as `set_quantity` does, and IdempotencyMismatch."""
        return self._change(owner, changes.with_more(offer, quantity, request.key), request)

    def remove(self, owner: str, sku: str, request: ChangeRequest = _UNCONDITIONAL) -> Cart:
        """Remove the SKU; raises CartChanged."""
        return self._change(owner, changes.without_line(sku), request)

    def clear(self, owner: str, request: ChangeRequest = _UNCONDITIONAL) -> Cart:
        """Empty the cart; raises CartChanged."""
        return self._change(owner, lambda now: changes.with_units(now, {}), request)

    def acknowledge(self, owner: str, offers: Offers, request: ChangeRequest = _UNCONDITIONAL) -> Cart:
        """Note that the customer has seen these offers; raises CartChanged."""
        return self._change(owner, changes.with_seen(offers), request)

    def complete(
        self, owner: str, cart_id: str, version: int, order_id: str, ordered: Callable[[], Mapping[str, int]]
    ) -> None:
        """Remove what became this order, once. What was added after that version stays for the next order.

        `ordered` answers the ordered units; it is called only if the cart has changed since.
        """
        change = changes.without_order(cart_id, version, order_id, ordered)
        self._change(owner, change, _UNCONDITIONAL, use_cache=False)

    def merge(self, user: str, guest: str, offers: Offers) -> Cart:
        """Move the guest's lines into the user's cart, up to what a cart takes and what is offered.

        The user's cart is written first, with a note of what it took from which version of the guest's; then the
        guest's is emptied. So whatever happens in between, also to the guest's cart, the next merge takes the rest.
        """
        for _ in range(_ATTEMPTS):
            source = self._read(guest)
            if not source.cart.items:
                return self.current(user)
            merged = self._change(user, changes.with_guests(source, offers), _UNCONDITIONAL, use_cache=False)
            emptied = changes.handed_over(source, self._read(user))
            with suppress(CartChanged):  # the guest changed the cart meanwhile
                self._change(guest, emptied, ChangeRequest(version=source.cart.version), use_cache=False)
                return merged
        raise Conflict("The cart is being changed by too many at once.")

    def forget(self, owner: str) -> None:
        """Delete the cart with all its notes."""
        self._carts.delete_one({"_id": owner})
        if not self._cache.forget(owner):
            self._epoch.suspend()

    def abandoned(self, since: datetime, until: datetime, after_owner: str, limit: int) -> list[Record]:
        """Users' carts with something in them that were last changed in this period, sorted by owner."""
        condition = {
            "_id": {"$gt": max(after_owner, user_owner("")), "$lt": user_owner("~")},
            "updated_at": {"$gt": since, "$lte": until},
            "items": {"$ne": {}},
        }
        found = self._carts.find(condition).sort("_id", 1).limit(limit)
        return [record(document["_id"], document) for document in found]

    def note_reminder(self, cart: Cart) -> None:
        """The customer has been reminded of the cart as it is at this version."""
        self._carts.update_one({"_id": cart.owner, "version": cart.version}, {"$set": {"reminded": cart.version}})

    def _read(self, owner: str) -> Record:
        self._epoch.check()
        return record(owner, self._carts.find_one({"_id": owner}))

    def _change(self, owner: str, change: Change, request: ChangeRequest, use_cache: bool = True) -> Cart:
        """Change the cart while it is fenced in the cache."""
        self._epoch.check()
        fence = self._cache.fence(owner, self._epoch.current())
        if fence is None:
            self._epoch.suspend()
        cached = fence.cached if fence and use_cache and request.key is None else None
        outcome = self._try_cached(cached, change, request) or self._decide(owner, change, request)
        is_cached = fence is not None and self._cache.unfence(fence, outcome.cart, outcome.changed)
        if outcome.changed and not is_cached:
            self._epoch.suspend()
        if outcome.refusal is not None:
            raise outcome.refusal
        return outcome.cart

    def _try_cached(self, cached: Cart | None, change: Change, request: ChangeRequest) -> _Outcome | None:
        """Spare reading MongoDB: with an outdated cached cart the compare-and-set fails, and nothing is decided."""
        if cached is None or request.version not in (None, cached.version):
            return None
        with suppress(BusinessError):
            now = Record(cached)
            made = self._replace(now, change(now))
            return _Outcome(made, changed=True) if made is not None and made is not cached else None
        return None

    def _decide(self, owner: str, change: Change, request: ChangeRequest) -> _Outcome:
        for _ in range(_ATTEMPTS):
            now = self._read(owner)
            if request.version is not None and request.version != now.cart.version:
                message = f"The cart has version {now.cart.version}, not {request.version}."
                return _Outcome(now.cart, refusal=CartChanged(message, cart=now.cart))
            try:
                made = self._replace(now, change(now))
            except BusinessError as refusal:
                return _Outcome(now.cart, refusal=refusal)
            if made is not None:
                return _Outcome(made, changed=made is not now.cart)
        raise Conflict("The cart is being changed by too many at once.")

    def _replace(self, now: Record, changed: Record) -> Cart | None:
        """Write the changed cart if MongoDB still has the present one, else None; the same cart if nothing differs."""
        if changed == now:
            return now.cart
        written = moment()
        cart = changed.cart.model_copy(
            update={
                "id": now.cart.id if now.cart.version else str(uuid4()),
                "version": now.cart.version + 1,
                "updated_at": written,
                "expires_at": written + self._lifetimes.of(now.cart.owner),
            }
        )
        values = {
            "cart_id": cart.id,
            "version": cart.version,
            "items": line_values(cart),
            "checked_out_by": cart.checked_out_by,
            "updated_at": cart.updated_at,
            "expires_at": cart.expires_at,
            **notes_values(now, changed),
        }
        if now.cart.version:
            same = {"_id": cart.owner, "cart_id": cart.id, "version": now.cart.version}
            return cart if self._carts.update_one(same, {"$set": values}).matched_count else None
        try:
            self._carts.insert_one({"_id": cart.owner, **values})
        except DuplicateKeyError:
            return None
        return cart


def ensure_cart_indexes(mongo: Database[Document]) -> str:
    """Create the indexes that expire carts and find abandoned ones; answers what was created."""
    carts = mongo["carts"]
    before = set(carts.index_information()) if "carts" in mongo.list_collection_names() else set()
    carts.create_index("expires_at", expireAfterSeconds=0)
    carts.create_index("updated_at")
    made = sorted(set(carts.index_information()) - before - {"_id_"})
    return f"indexes {', '.join(made)} made" if made else "its indexes are there"
