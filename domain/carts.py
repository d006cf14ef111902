"""Rules of the cart: limits, merging, and changes since the customer last looked."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256

from domain.errors import InsufficientStock, InvalidRequest
from domain.money import Money

MAX_LINES = 500
MAX_QUANTITY = 999

Units = Mapping[str, int]

_USER, _GUEST = "user:", "guest:"


def user_owner(user_id: str) -> str:
    """Whose cart a signed-in user's is."""
    return f"{_USER}{user_id}"


def guest_owner(token: str) -> str:
    """Whose cart a guest's is; the token itself is never stored."""
    return f"{_GUEST}{sha256(token.encode()).hexdigest()}"


def is_guest(owner: str) -> bool:
    """Whether it is the cart of somebody who has not signed in."""
    return owner.startswith(_GUEST)


def user_of(owner: str) -> str:
    """The id of the user whose cart it is."""
    return owner.removeprefix(_USER)


class ChangeKind(StrEnum):
    """What has changed about a line."""

    PRICE = "price"
    AVAILABILITY = "availability"
    GONE = "gone"


@dataclass(frozen=True)
class Standing:
    """A line at a moment: its price, None when it is not for sale, and whether its units are available."""

    price: Money | None
    available: bool


@dataclass(frozen=True)
class Change:
    """A change of a line since the customer last saw it; for a line that is gone, from its last price to None."""

    sku: str
    kind: ChangeKind
    before: Money | bool | None
    after: Money | bool | None


def check_line(units: Units, sku: str, quantity: int) -> None:
    """Raise InvalidRequest when the cart cannot hold this many units of the SKU, or another line."""
    if quantity > MAX_QUANTITY:
        raise InvalidRequest(f"A cart holds at most {MAX_QUANTITY} units of a product.", sku=sku, maximum=MAX_QUANTITY)
    if sku not in units and len(units) >= MAX_LINES:
        raise InvalidRequest(f"A cart holds at most {MAX_LINES} different products.", maximum=MAX_LINES)


def check_stock(sku: str, quantity: int, room: int | None) -> None:
    """Raise InsufficientStock when there is room for fewer units; a `room` of None means no limit."""
    if room is not None and quantity > room:
        raise InsufficientStock(f"Only {room} of {sku} are available.", sku=sku, wanted=quantity, available=room)


def changes_of(sku: str, seen: Standing, now: Standing) -> list[Change]:
    """The changes of the line that the customer has not seen yet."""
    if now.price is None:
        return [Change(sku, ChangeKind.GONE, seen.price, None)] if seen.price is not None else []
    found = []
    if seen.price != now.price:
        found.append(Change(sku, ChangeKind.PRICE, seen.price, now.price))
    if seen.available != now.available:
        found.append(Change(sku, ChangeKind.AVAILABILITY, seen.available, now.available))
    return found


@dataclass(frozen=True)
class Merged:
    """The result of a merge: the `units` of the one cart, and the guest's units that were `taken` over and `left`."""

    units: dict[str, int]
    taken: dict[str, int]
    left: dict[str, int]


def merge(own: Units, guests: Units, taken_before: Units, room: Units) -> Merged:
    """Add the guest's units to the customer's; units taken before are not added again.

    A line never exceeds MAX_QUANTITY or its `room`, unless it did already. Lines beyond MAX_LINES are left.
    """
    units, taken, left = dict(own), dict(taken_before), {}
    for sku, quantity in guests.items():
        if sku not in units and len(units) >= MAX_LINES and quantity > taken.get(sku, 0):
            left[sku] = quantity - taken.get(sku, 0)
            continue
        have, more = units.get(sku, 0), max(0, quantity - taken.get(sku, 0))
        # At least one: an unavailable product is shown as such and not dropped silently.
        most = min(MAX_QUANTITY, max(1, room.get(sku, MAX_QUANTITY)))
        wanted = max(have, min(have + more, most))
        if more and wanted:
            units[sku] = wanted
        taken[sku] = max(quantity, taken.get(sku, 0))
    return Merged(units, taken, left)


def without(units: Units, ordered: Units) -> dict[str, int]:
    """What remains in the cart once these units have been ordered."""
    remaining = {sku: quantity - ordered.get(sku, 0) for sku, quantity in units.items()}
    return {sku: quantity for sku, quantity in remaining.items() if quantity > 0}
