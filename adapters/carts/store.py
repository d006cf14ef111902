"""Carts: one versioned document per owner in MongoDB, which is the truth, with a copy of it in Redis."""

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
from adapters.carts.changes import Asked, Change, Offers
from adapters.carts.documents import Document, Lifetimes, Record, cart_id_of, line_values, moment, notes_values, record
from adapters.carts.epoch import CacheEpoch
from domain.carts import user_owner
from domain.errors import BusinessError, CartChanged, Conflict
from schemas.carts import Cart, CartOffer

__all__ = ["Asked", "CartStore", "cart_id_of"]

_ATTEMPTS = 100  # each lost race means that somebody else's change of this one cart went through
_ANYHOW = Asked()


@dataclass(frozen=True)
class _Outcome:
    """The cart as it is now, whether this changed it, and why not when it was refused."""

    cart: Cart
    changed: bool = False
    refusal: BusinessError | None = None


class CartStore:
    """Every change is a compare-and-set on the version, which grows by one and never starts anew in a cart's life.

    Once a change has returned, no process shows the cart as it was before; without Redis it may take two seconds
    longer. Outages of MongoDB raise pymongo's errors: then the change was made or not, and nobody shows a copy of the
    cart until that is known.
    """

    def __init__(
        self,
        mongo: Database[Document],
        cache: redis.Redis,
        trust: CacheEpoch | None = None,
        lifetimes: Lifetimes | None = None,
    ) -> None:
        self._carts = mongo["carts"]
        self._trust = trust or CacheEpoch(mongo)
        self._lifetimes = lifetimes or Lifetimes()
        self._cache = CartCache(cache)

    def current(self, owner: str) -> Cart:
        """The cart as it is in MongoDB: what to decide by. Version 0 when nothing was ever put into it."""
        return self._read(owner).cart

    def set_quantity(self, owner: str, offer: CartOffer, quantity: int, asked: Asked = _ANYHOW) -> Cart:
        """Have so many units of what is offered; raises CartChanged, InsufficientStock, or InvalidRequest for a limit.

        Whoever asks under a version is refused when the cart has another.
        """
        return self._change(owner, changes.with_quantity(offer, quantity), asked)

    def add(self, owner: str, offer: CartOffer, quantity: int, asked: Asked = _ANYHOW) -> Cart:
        """Have so many units more; under a key only once. Raises as `set_quantity` does, and IdempotencyMismatch."""
        return self._change(owner, changes.with_more(offer, quantity, asked.key), asked)

    def remove(self, owner: str, sku: str, asked: Asked = _ANYHOW) -> Cart:
        """Have none of the SKU; raises CartChanged."""
        return self._change(owner, changes.without_line(sku), asked)

    def clear(self, owner: str, asked: Asked = _ANYHOW) -> Cart:
        """Have nothing; raises CartChanged."""
        return self._change(owner, lambda now: changes.with_units(now, {}), asked)

    def acknowledge(self, owner: str, offers: Offers, asked: Asked = _ANYHOW) -> Cart:
        """Note that the customer has seen these offers; raises CartChanged."""
        return self._change(owner, changes.with_seen(offers), asked)

    def complete(
        self, owner: str, cart_id: str, version: int, order_id: str, ordered: Callable[[], Mapping[str, int]]
    ) -> None:
        """Take out what became this order, once. What was put in after that version stays for the next order.

        `ordered` says which units they were; it is asked only if the cart has changed since.
        """
        change = changes.without_order(cart_id, version, order_id, ordered)
        self._change(owner, change, _ANYHOW, believe_copy=False)

    def merge(self, user: str, guest: str, offers: Offers) -> Cart:
        """Move the guest's lines into the user's cart, up to what a cart takes and what is offered.

        The user's cart is written first, with a note of what it took from which version of the guest's; then the
        guest's is emptied. So whatever happens in between, also to the guest's cart, the next merge takes the rest.
        """
        for _ in range(_ATTEMPTS):
            source = self._read(guest)
            if not source.cart.items:
                return self.current(user)
            merged = self._change(user, changes.with_guests(source, offers), _ANYHOW, believe_copy=False)
            emptied = changes.handed_over(source, self._read(user))
            with suppress(CartChanged):  # the guest's tab went on shopping
                self._change(guest, emptied, Asked(version=source.cart.version), believe_copy=False)
                return merged
        raise Conflict("The cart is being changed by too many at once.")

    def forget(self, owner: str) -> None:
        """Delete the cart with all that is noted about it, as if there had never been one."""
        self._carts.delete_one({"_id": owner})
        if not self._cache.forget(owner):
            self._trust.suspend()

    def left_alone(self, since: datetime, until: datetime, after_owner: str, limit: int) -> list[Record]:
        """Users' carts with something in them that were last changed in this time, in the order of their owners."""
        wanted = {
            "_id": {"$gt": max(after_owner, user_owner("")), "$lt": user_owner("~")},
            "updated_at": {"$gt": since, "$lte": until},
            "items": {"$ne": {}},
        }
        found = self._carts.find(wanted).sort("_id", 1).limit(limit)
        return [record(document["_id"], document) for document in found]

    def note_reminder(self, cart: Cart) -> None:
        """The customer has been reminded of the cart as it is at this version."""
        self._carts.update_one({"_id": cart.owner, "version": cart.version}, {"$set": {"reminded": cart.version}})

    def _read(self, owner: str) -> Record:
        self._trust.check()
        return record(owner, self._carts.find_one({"_id": owner}))

    def _change(self, owner: str, change: Change, asked: Asked, believe_copy: bool = True) -> Cart:
        """Change the cart as it is now, while nobody reads the copy of it in Redis."""
        self._trust.check()
        fence = self._cache.fence(owner, self._trust.epoch())
        if fence is None:
            self._trust.suspend()
        copy = fence.copy if fence and believe_copy and asked.key is None else None
        outcome = self._try_on(copy, change, asked) or self._decide(owner, change, asked)
        told = fence is not None and self._cache.tell(fence, outcome.cart, outcome.changed)
        if outcome.changed and not told:
            self._trust.suspend()
        if outcome.refusal is not None:
            raise outcome.refusal
        return outcome.cart

    def _try_on(self, copy: Cart | None, change: Change, asked: Asked) -> _Outcome | None:
        """Spare the look into MongoDB: a copy that is behind changes nothing there, and decides nothing."""
        if copy is None or asked.version not in (None, copy.version):
            return None
        with suppress(BusinessError):
            now = Record(copy)
            made = self._replace(now, change(now))
            return _Outcome(made, changed=True) if made is not None and made is not copy else None
        return None

    def _decide(self, owner: str, change: Change, asked: Asked) -> _Outcome:
        for _ in range(_ATTEMPTS):
            now = self._read(owner)
            if asked.version is not None and asked.version != now.cart.version:
                message = f"The cart has version {now.cart.version}, not {asked.version}."
                return _Outcome(now.cart, refusal=CartChanged(message, cart=now.cart))
            try:
                made = self._replace(now, change(now))
            except BusinessError as refusal:
                return _Outcome(now.cart, refusal=refusal)
            if made is not None:
                return _Outcome(made, changed=made is not now.cart)
        raise Conflict("The cart is being changed by too many at once.")

    def _replace(self, now: Record, wanted: Record) -> Cart | None:
        """Write what is wanted if the cart is still as it was; the cart it is then, the same one if nothing differs."""
        if wanted == now:
            return now.cart
        written = moment()
        cart = wanted.cart.model_copy(
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
            **notes_values(now, wanted),
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
    """Have MongoDB delete carts whose time is over, and find those left alone; answers what was made."""
    carts = mongo["carts"]
    before = set(carts.index_information()) if "carts" in mongo.list_collection_names() else set()
    carts.create_index("expires_at", expireAfterSeconds=0)
    carts.create_index("updated_at")
    made = sorted(set(carts.index_information()) - before - {"_id_"})
    return f"indexes {', '.join(made)} made" if made else "its indexes are there"
