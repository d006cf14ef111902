"""The changes of a cart, each a function of its present state: it runs again when another change was faster."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from adapters.carts.documents import KEPT_NOTES, Record, Taken, moment
from domain.carts import Merged, check_line, check_stock, merge, without
from domain.errors import IdempotencyMismatch
from schemas.carts import CartOffer, SeenLine

Offers = Mapping[str, CartOffer]
Change = Callable[[Record], Record]


@dataclass(frozen=True)
class ChangeRequest:
    """The conditions of a requested change: the version its customer saw (If-Match), and its Idempotency-Key."""

    version: int | None = None
    key: str | None = None


def with_quantity(offer: CartOffer, quantity: int) -> Change:
    """Set the quantity of what is offered."""

    def change(now: Record) -> Record:
        check_line(now.cart.items, offer.sku, quantity)
        if quantity > now.cart.items.get(offer.sku, 0):  # fewer units are always possible
            check_stock(offer.sku, quantity, offer.room)
        return _with_line(now, offer, quantity)

    return change


def with_more(offer: CartOffer, more: int, key: str | None) -> Change:
    """Add so many units; once per key."""
    digest = hashlib.sha256((key or "").encode()).hexdigest()
    requested = f"{offer.sku} {more}"

    def change(now: Record) -> Record:
        if key is not None and digest in now.requests:
            if now.requests[digest] != requested:
                raise IdempotencyMismatch("This Idempotency-Key was sent before with another request.")
            return now
        units = now.cart.items.get(offer.sku, 0) + more
        done = with_quantity(offer, units)(now)
        if key is None:
            return done
        latest = [*now.requests.items(), (digest, requested)][-KEPT_NOTES:]
        return replace(done, requests=dict(latest))

    return change


def without_line(sku: str) -> Change:
    """Remove the SKU."""
    return lambda now: with_units(now, {other: units for other, units in now.cart.items.items() if other != sku})


def with_seen(offers: Offers) -> Change:
    """Note the present offer of every line as seen."""

    def change(now: Record) -> Record:
        units = now.cart.items
        lines = {
            sku: line if sku not in offers else _seen(offers[sku], units[sku], line)
            for sku, line in now.cart.seen.items()
        }
        return replace(now, cart=now.cart.model_copy(update={"seen": lines}))

    return change


def without_order(cart_id: str, version: int, order_id: str, ordered: Callable[[], Mapping[str, int]]) -> Change:
    """Remove what was ordered; a cart with another id never had its lines."""

    def change(now: Record) -> Record:
        if now.cart.id != cart_id or order_id in now.orders:
            return now
        units = {} if now.cart.version == version else without(now.cart.items, ordered())
        done = with_units(now, units)
        cart = done.cart.model_copy(update={"checked_out_by": order_id})
        return replace(done, cart=cart, orders=(*now.orders, order_id)[-KEPT_NOTES:])

    return change


def with_guests(source: Record, offers: Offers) -> Change:
    """Add the guest's lines that have not been taken over yet."""

    def change(now: Record) -> Record:
        note = now.taken.get(source.cart.id)
        if note is not None and note.version > source.cart.version:
            return now  # another merge has seen a newer cart of the guest: read it again
        merged = _merged(now, source, offers)
        if note is not None and note.units == merged.taken and merged.units == now.cart.items:
            return now
        seen = source.cart.seen | now.cart.seen
        cart = now.cart.model_copy(update={"items": merged.units, "seen": {sku: seen[sku] for sku in merged.units}})
        others = {cart_id: taken for cart_id, taken in now.taken.items() if cart_id != source.cart.id}
        return replace(now, cart=cart, taken={**others, source.cart.id: Taken(source.cart.version, merged.taken)})

    return change


def handed_over(source: Record, into: Record) -> Change:
    """Remove from the guest's cart what the user's cart has taken over from it."""
    note = into.taken.get(source.cart.id)
    # Of an earlier version if its units were the same: then nothing had to be recorded again.
    noted = note is not None and source.handed_over < note.version <= source.cart.version
    taken = note.units if note is not None and noted else {}

    def change(now: Record) -> Record:
        return replace(with_units(now, without(now.cart.items, taken)), handed_over=now.cart.version)

    return change


def with_units(now: Record, units: dict[str, int]) -> Record:
    """Set the units of existing lines; other lines are removed."""
    if units == now.cart.items:
        return now
    seen = {sku: now.cart.seen[sku] for sku in units}
    return replace(now, cart=now.cart.model_copy(update={"items": units, "seen": seen, "checked_out_by": None}))


def _merged(now: Record, source: Record, offers: Offers) -> Merged:
    note = now.taken.get(source.cart.id)
    # What was taken before the guest's cart was last emptied is not in it any more.
    before = note.units if note is not None and note.version > source.handed_over else {}
    room = {sku: offer.room for sku, offer in offers.items() if offer.room is not None}
    return merge(now.cart.items, source.cart.items, before, room)


def _with_line(now: Record, offer: CartOffer, quantity: int) -> Record:
    line = _seen(offer, quantity, now.cart.seen.get(offer.sku))
    items, seen = {**now.cart.items, offer.sku: quantity}, {**now.cart.seen, offer.sku: line}
    return replace(now, cart=now.cart.model_copy(update={"items": items, "seen": seen, "checked_out_by": None}))


def _seen(offer: CartOffer, quantity: int, before: SeenLine | None) -> SeenLine:
    added_at = before.added_at if before is not None else moment()
    return SeenLine(price=offer.price, available=offer.has(quantity), added_at=added_at)
