"""Parcels: the ranks that keep a late or repeated carrier event from moving one backwards, and who ships what."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum

from domain.errors import OutOfStock


class ParcelStatus(StrEnum):
    """What the carrier last told of a parcel, or what we know before it told anything.

    A parcel `on_hold` is not to leave: it has no booking, or none any more.
    """

    PLANNED = "planned"
    ON_HOLD = "on_hold"
    BOOKED = "booked"
    DISPATCHED = "dispatched"
    IN_TRANSIT = "in_transit"
    OUT_FOR_DELIVERY = "out_for_delivery"
    DELIVERED = "delivered"
    EXCEPTION = "exception"
    REFUSED = "refused"
    CANCELLED = "cancelled"

    @property
    def was_dispatched(self) -> bool:
        """The goods are out of the warehouse: the money may be captured, the booking no longer be cancelled."""
        return self in _ON_THE_WAY

    @property
    def is_stopped(self) -> bool:
        """Nothing will ever move again: never taken by the carrier, or taken back."""
        return self in (ParcelStatus.REFUSED, ParcelStatus.CANCELLED)


_RANK = {
    ParcelStatus.PLANNED: 0,
    ParcelStatus.ON_HOLD: 1,
    ParcelStatus.BOOKED: 1,
    ParcelStatus.DISPATCHED: 2,
    ParcelStatus.EXCEPTION: 3,
    ParcelStatus.IN_TRANSIT: 3,
    ParcelStatus.OUT_FOR_DELIVERY: 4,
    ParcelStatus.DELIVERED: 5,
    ParcelStatus.REFUSED: 6,
    ParcelStatus.CANCELLED: 6,
}
_ON_THE_WAY = frozenset(status for status, rank in _RANK.items() if 2 <= rank <= 5)


def moves_forward(current: ParcelStatus, told: ParcelStatus) -> bool:
    """Whether what the carrier tells is news; carriers repeat themselves and deliver events out of order."""
    return _RANK[told] > _RANK[current]


def may_become(current: ParcelStatus, wanted: ParcelStatus) -> bool:
    """Whether we may record it: what moves forward, and a booking that is taken back for a while or made again."""
    return moves_forward(current, wanted) or {current, wanted} == {ParcelStatus.BOOKED, ParcelStatus.ON_HOLD}


def parcel_reference(order_id: str, parcel: int) -> str:
    """What the carrier knows a parcel by; the way back from its webhook is `parcel_of_reference`."""
    return f"{order_id}-{parcel}"


def parcel_of_reference(reference: str) -> tuple[str, int]:
    """The order id and parcel number a carrier's reference stands for; raises ValueError for one that is not ours."""
    order_id, _, number = reference.rpartition("-")
    if not order_id or not number.isdigit():
        raise ValueError(f"{reference!r} is not a parcel reference")
    return order_id, int(number)


@dataclass(frozen=True)
class Demand:
    """So many units of a SKU are wanted."""

    sku: str
    quantity: int


@dataclass(frozen=True)
class Allocation:
    """So many units of a SKU come from a warehouse: now, or all of them once they have arrived there."""

    sku: str
    warehouse: str
    quantity: int
    backordered: bool = False


@dataclass(frozen=True)
class Shortage:
    """More is wanted of a SKU than can be had now."""

    sku: str
    wanted: int
    available: int


def allocate(
    demands: Sequence[Demand], available: Mapping[str, Mapping[str, int]], backorderable: Collection[str] = ()
) -> list[Allocation]:
    """Decide which warehouse ships what: one parcel when one warehouse has everything, else as few as greed finds.

    `available[warehouse][sku]` is in units, warehouses in order of preference. Two lines of one SKU are served
    as one demand. What is missing of a backorderable SKU is to arrive at the preferred warehouse. Raises OutOfStock
    naming every other SKU that is short: all or nothing.
    """
    remaining = summed(demands)
    refuse_shortage(remaining, everywhere(available), backorderable if available else ())
    by_cover = sorted(available, key=lambda house: -_covered(remaining, available[house]))
    allocations = []
    for warehouse in by_cover:
        for sku in sorted(remaining):
            taken = min(remaining[sku], available[warehouse].get(sku, 0))
            if taken > 0:
                allocations.append(Allocation(sku, warehouse, taken))
                remaining[sku] -= taken
    missing = [(sku, quantity) for sku, quantity in sorted(remaining.items()) if quantity]
    return allocations + [Allocation(sku, next(iter(available)), quantity, True) for sku, quantity in missing]


def summed(demands: Sequence[Demand]) -> dict[str, int]:
    """Units wanted by SKU."""
    wanted: dict[str, int] = {}
    for demand in demands:
        wanted[demand.sku] = wanted.get(demand.sku, 0) + demand.quantity
    return wanted


def everywhere(available: Mapping[str, Mapping[str, int]]) -> dict[str, int]:
    """Units by SKU, over all warehouses."""
    totals = Counter[str]()
    for stock in available.values():
        totals.update({sku: max(0, units) for sku, units in stock.items()})
    return dict(totals)


def shortages(wanted: Mapping[str, int], totals: Mapping[str, int], backorderable: Collection[str]) -> list[Shortage]:
    """Every SKU of which more is wanted than all warehouses have, unless it may be late."""
    return [
        Shortage(sku, quantity, max(0, totals.get(sku, 0)))
        for sku, quantity in sorted(wanted.items())
        if totals.get(sku, 0) < quantity and sku not in backorderable
    ]


def refuse_shortage(
    wanted: Mapping[str, int],
    totals: Mapping[str, int],
    backorderable: Collection[str] = (),
    *,
    unless_partly: bool = False,
) -> list[Shortage]:
    """Raise OutOfStock naming every SKU that is short; with `unless_partly` only if there is nothing of any, and else
    answer what is short.
    """
    short = shortages(wanted, totals, backorderable)
    something = len(short) < len(wanted) or any(one.available for one in short)
    if short and not (unless_partly and something):
        names = ", ".join(one.sku for one in short)
        raise OutOfStock(f"Not enough stock of {names}.", lines=[asdict(one) for one in short])
    return short


def _covered(wanted: Mapping[str, int], stock: Mapping[str, int]) -> int:
    return sum(min(quantity, max(0, stock.get(sku, 0))) for sku, quantity in wanted.items())
