"""Parcels: statuses, their order, and the allocation of an order's lines to warehouses."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum

from domain.errors import OutOfStock


class ParcelStatus(StrEnum):
    """A parcel's status by the carrier's last event, or by our own records before there is one.

    A parcel `on_hold` must not be dispatched: it has no booking, or none any more.
    """

    PLANNED = "planned"
    ON_HOLD = "on_hold"
    BOOKED = "booked"
    DISPATCHED = "dispatched"
    IN_TRANSIT = "in_transit"
    OUT_FOR_DELIVERY = "out_for_delivery"
    DELIVERED = "delivered"
    EXCEPTION = "exception"
    RETURNED = "returned"
    LOST = "lost"
    REFUSED = "refused"
    CANCELLED = "cancelled"

    @property
    def was_dispatched(self) -> bool:
        """The goods are out of the warehouse: the money may be captured, the booking no longer be cancelled."""
        return self in _DISPATCHED

    @property
    def is_without_booking(self) -> bool:
        """The carrier has no booking of it: not yet, or none any more because it is on hold."""
        return self in (ParcelStatus.PLANNED, ParcelStatus.ON_HOLD)

    @property
    def is_stopped(self) -> bool:
        """It will never be dispatched: refused by the carrier when it was booked, or cancelled."""
        return self in (ParcelStatus.REFUSED, ParcelStatus.CANCELLED)

    @property
    def is_final(self) -> bool:
        """Nothing follows: it is stopped, delivered, returned to its sender, or lost."""
        return _RANK[self] == _FINAL

    @property
    def failed_delivery(self) -> bool:
        """It was dispatched and its customer will never have it: returned to its sender, or lost."""
        return self in (ParcelStatus.RETURNED, ParcelStatus.LOST)


_FINAL = 5
_RANK = {
    ParcelStatus.PLANNED: 0,
    ParcelStatus.ON_HOLD: 1,
    ParcelStatus.BOOKED: 1,
    ParcelStatus.DISPATCHED: 2,
    ParcelStatus.EXCEPTION: 3,
    ParcelStatus.IN_TRANSIT: 3,
    ParcelStatus.OUT_FOR_DELIVERY: 4,
    ParcelStatus.DELIVERED: _FINAL,
    ParcelStatus.RETURNED: _FINAL,
    ParcelStatus.LOST: _FINAL,
    ParcelStatus.REFUSED: _FINAL,
    ParcelStatus.CANCELLED: _FINAL,
}
_STOPPED = frozenset({ParcelStatus.REFUSED, ParcelStatus.CANCELLED})
_DISPATCHED = frozenset(status for status, rank in _RANK.items() if rank >= 2) - _STOPPED
# A problem on the way, and the next scan that ends it: neither is further along than the other.
_SCANS = frozenset({ParcelStatus.IN_TRANSIT, ParcelStatus.OUT_FOR_DELIVERY})


def moves_forward(current: ParcelStatus, reported: ParcelStatus) -> bool:
    """Whether an event moves the parcel forward; carriers repeat events and deliver them out of order.

    What was dispatched can no longer be stopped: a `refused` after that is a recipient who does not take it.
    """
    return _RANK[reported] > _RANK[current] and not (reported.is_stopped and current.was_dispatched)


def interrupts(current: ParcelStatus, reported: ParcelStatus) -> bool:
    """Whether it is a problem on the way of a parcel, or the scan that ends one; the caller knows it to be newer."""
    exception = ParcelStatus.EXCEPTION
    return (current in _SCANS and reported is exception) or (current is exception and reported in _SCANS)


def may_become(current: ParcelStatus, requested: ParcelStatus) -> bool:
    """Whether the move may be recorded: any move forward, a problem on the way and its end, and a booking that is put
    on hold or released.
    """
    return (
        moves_forward(current, requested)
        or interrupts(current, requested)
        or {current, requested} == {ParcelStatus.BOOKED, ParcelStatus.ON_HOLD}
    )


def parcel_reference(order_id: str, parcel: int) -> str:
    """The carrier's reference of a parcel; `parcel_of_reference` reads it back from a webhook."""
    return f"{order_id}-{parcel}"


def parcel_of_reference(reference: str) -> tuple[str, int]:
    """The order id and parcel number of a carrier's reference; raises ValueError for one that is not ours."""
    order_id, _, number = reference.rpartition("-")
    if not order_id or not number.isdigit():
        raise ValueError(f"{reference!r} is not a parcel reference")
    return order_id, int(number)


@dataclass(frozen=True)
class Demand:
    """The units of a SKU that are needed."""

    sku: str
    quantity: int


@dataclass(frozen=True)
class Allocation:
    """Units of a SKU allocated to a warehouse: in stock, or all of them on backorder there."""

    sku: str
    warehouse: str
    quantity: int
    backordered: bool = False


@dataclass(frozen=True)
class Shortage:
    """A SKU of which fewer units are available than needed."""

    sku: str
    wanted: int  # a field of the API and of events, by this name
    available: int


def allocate(
    demands: Sequence[Demand], available: Mapping[str, Mapping[str, int]], backorderable: Collection[str] = ()
) -> list[Allocation]:
    """Allocate the demands to warehouses: one parcel when one warehouse has everything, otherwise greedily few.

    `available[warehouse][sku]` is in units, warehouses in order of preference. Two lines of one SKU are one demand.
    Missing units of a backorderable SKU are allocated to the preferred warehouse. Raises OutOfStock naming every other
    SKU that is short; nothing is allocated partly.
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
    """Units needed by SKU."""
    requested: dict[str, int] = {}
    for demand in demands:
        requested[demand.sku] = requested.get(demand.sku, 0) + demand.quantity
    return requested


def everywhere(available: Mapping[str, Mapping[str, int]]) -> dict[str, int]:
    """Units by SKU, over all warehouses."""
    totals = Counter[str]()
    for stock in available.values():
        totals.update({sku: max(0, units) for sku, units in stock.items()})
    return dict(totals)


def shortages(
    requested: Mapping[str, int], totals: Mapping[str, int], backorderable: Collection[str]
) -> list[Shortage]:
    """Every SKU of which all warehouses together have too few, unless it can be backordered."""
    return [
        Shortage(sku, quantity, max(0, totals.get(sku, 0)))
        for sku, quantity in sorted(requested.items())
        if totals.get(sku, 0) < quantity and sku not in backorderable
    ]


def refuse_shortage(
    requested: Mapping[str, int],
    totals: Mapping[str, int],
    backorderable: Collection[str] = (),
    *,
    unless_partly: bool = False,
) -> list[Shortage]:
    """Raise OutOfStock naming every SKU that is short; with `unless_partly` only when nothing is available at all, and
    otherwise return what is short.
    """
    short = shortages(requested, totals, backorderable)
    something = len(short) < len(requested) or any(one.available for one in short)
    if short and not (unless_partly and something):
        names = ", ".join(one.sku for one in short)
        raise OutOfStock(f"Not enough stock of {names}.", lines=[asdict(one) for one in short])
    return short


def _covered(requested: Mapping[str, int], stock: Mapping[str, int]) -> int:
    return sum(min(quantity, max(0, stock.get(sku, 0))) for sku, quantity in requested.items())
