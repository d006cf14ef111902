"""A cart as MongoDB keeps it: one document per owner, lines by SKU."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote, unquote
from uuid import NAMESPACE_URL, uuid5

from adapters.settings import Settings
from domain.carts import is_guest
from schemas.base import Money
from schemas.carts import Cart, SeenLine

Document = dict[str, Any]

_NEVER = datetime(1970, 1, 1, tzinfo=UTC)
KEPT_NOTES = 20


@dataclass(frozen=True)
class Lifetimes:
    """How long a cart is kept without a change."""

    guest: timedelta = timedelta(days=30)
    user: timedelta = timedelta(days=180)

    @classmethod
    def of_days(cls, settings: Settings) -> "Lifetimes":
        """From the settings."""
        return cls(timedelta(days=settings.guest_cart_days), timedelta(days=settings.user_cart_days))

    def of(self, owner: str) -> timedelta:
        """The lifetime of this owner's cart."""
        return self.guest if is_guest(owner) else self.user


@dataclass(frozen=True)
class Taken:
    """What was taken over from a guest's cart, as it was at a version of it."""

    version: int
    units: dict[str, int]


@dataclass(frozen=True)
class Record:
    """A cart with the notes beside it that keep a request from changing it twice.

    `taken` is by the guest cart's id; `handed_over` is the version at which a guest's cart was emptied into a
    customer's; `orders` are those whose lines were taken out; `requests` are digests of Idempotency-Keys with what each
    requested; `reminded` is the version the customer was reminded of. Of the lists the latest are kept.
    """

    cart: Cart
    taken: Mapping[str, Taken] = field(default_factory=dict)
    handed_over: int = 0
    orders: tuple[str, ...] = ()
    requests: Mapping[str, str] = field(default_factory=dict)
    reminded: int = 0


def cart_id_of(owner: str) -> str:
    """The id of an owner's cart before it is first written: the same in every process."""
    return str(uuid5(NAMESPACE_URL, f"cart:{owner}"))


def moment() -> datetime:
    """Now, as MongoDB keeps it: in milliseconds, so that what is shown now is what is read later."""
    now = datetime.now(UTC)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)


def unless_expired(cart: Cart) -> Cart:
    """The cart, empty once its time is over, whether or not MongoDB has deleted it yet."""
    if cart.expires_at is None or cart.expires_at > datetime.now(UTC):
        return cart
    return cart.model_copy(update={"items": {}, "seen": {}})


def record(owner: str, document: Document | None) -> Record:
    """The record in a document; without a document, an empty cart at version 0."""
    if document is None:
        return Record(Cart(id=cart_id_of(owner), owner=owner, updated_at=_NEVER))
    lines = {unquote(name): line for name, line in document["items"].items()}
    cart = Cart(
        id=document["cart_id"],
        owner=owner,
        version=document["version"],
        items={sku: line["quantity"] for sku, line in lines.items()},
        seen={sku: _seen(line) for sku, line in lines.items()},
        checked_out_by=document.get("checked_out_by"),
        updated_at=document["updated_at"],
        expires_at=document["expires_at"],
    )
    return Record(
        unless_expired(cart),
        taken={
            cart_id: Taken(note["version"], {unquote(name): units for name, units in note["units"].items()})
            for cart_id, note in document.get("taken", {}).items()
        },
        handed_over=document.get("handed_over", 0),
        orders=tuple(document.get("orders", ())),
        requests=document.get("requests", {}),
        reminded=document.get("reminded", 0),
    )


def line_values(cart: Cart) -> Document:
    """The cart's lines as they are kept."""
    return {
        _field(sku): {
            "quantity": quantity,
            "price": None if (price := cart.seen[sku].price) is None else price.amount,
            "currency": None if price is None else price.currency,
            "available": cart.seen[sku].available,
            "added_at": cart.seen[sku].added_at,
        }
        for sku, quantity in cart.items.items()
    }


def notes_values(before: Record, after: Record) -> Document:
    """What has changed of the notes, as it is kept."""
    values: Document = {}
    if after.taken != before.taken:
        values["taken"] = {
            cart_id: {"version": note.version, "units": {_field(sku): units for sku, units in note.units.items()}}
            for cart_id, note in list(after.taken.items())[-KEPT_NOTES:]
        }
    if after.handed_over != before.handed_over:
        values["handed_over"] = after.handed_over
    if after.orders != before.orders:
        values["orders"] = list(after.orders)
    if after.requests != before.requests:
        values["requests"] = dict(after.requests)
    return values


def _seen(line: Document) -> SeenLine:
    price = None if line["price"] is None else Money(amount=line["price"], currency=line["currency"])
    return SeenLine(price=price, available=line["available"], added_at=line["added_at"])


def _field(sku: str) -> str:
    # A dot in a field's name would be a path, a dollar an operator.
    return quote(sku, safe="").replace(".", "%2E")
