"""Parcels that are shipped again: which of them counts for what, and where the goods come from."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from domain.errors import InsufficientStock
from domain.fulfilment import ParcelStatus, Shortage


@dataclass(frozen=True)
class ParcelState:
    """A parcel of an order; `replaces` is the number of the one in whose place it is shipped."""

    number: int
    status: ParcelStatus
    replaces: int | None = None


def standing(parcels: Sequence[ParcelState]) -> list[ParcelStatus]:
    """Where the goods are: for a parcel that was shipped again, its replacement counts, unless that was stopped."""
    statuses = {parcel.number: parcel.status for parcel in parcels}
    found = []
    for first in (parcel.number for parcel in parcels if parcel.replaces is None):
        sent = [number for number in lineage(parcels, first) if number == first or not statuses[number].is_stopped]
        found.append(statuses[sent[-1]])
    return found


def of_the_order(parcels: Sequence[ParcelState]) -> list[ParcelStatus]:
    """What the order's own status follows: the parcels that were planned with it, as its workflow does, and whatever
    was delivered in the place of one.
    """
    return [one.status for one in parcels if one.replaces is None or one.status is ParcelStatus.DELIVERED]


def lineage(parcels: Sequence[ParcelState], number: int) -> list[int]:
    """The parcel with those that it replaces and that replace it, the first to be shipped first."""
    replaces = {parcel.number: parcel.replaces for parcel in parcels}
    replaced_by = {parcel.replaces: parcel.number for parcel in parcels if parcel.replaces is not None}
    first = number
    while (before := replaces[first]) is not None:
        first = before
    found = [first]
    while found[-1] in replaced_by:
        found.append(replaced_by[found[-1]])
    return found


def warehouse_with_all(units: Mapping[str, int], available: Mapping[str, Mapping[str, int]], first: str) -> str:
    """The warehouse that has all of these units: `first` if it does, or else the preferred one.

    Raises InsufficientStock naming every SKU of which no warehouse has enough, or all where none has them together.
    """
    for warehouse in sorted(available, key=lambda one: one != first):
        if all(available[warehouse].get(sku, 0) >= quantity for sku, quantity in units.items()):
            return warehouse
    most = {sku: max((stock.get(sku, 0) for stock in available.values()), default=0) for sku in units}
    short = [sku for sku in sorted(units) if most[sku] < units[sku]] or sorted(units)
    lines = [asdict(Shortage(sku, units[sku], most[sku])) for sku in short]
    raise InsufficientStock("No warehouse has all goods of the parcel.", lines=lines)
