"""How an order is divided into parcels, and what of its total each of them carries."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from domain.errors import PickMismatch
from domain.fulfilment import Allocation, Demand, summed
from domain.money import split

SHORT_PICK = "short pick"
"""The reason for which the units that a warehouse does not find are cancelled."""


@dataclass(frozen=True)
class Goods:
    """What a unit of a SKU costs, in minor units, and weighs."""

    unit_price: int
    weight_grams: int


@dataclass(frozen=True)
class Share:
    """What a parcel carries of the order's total, and its weight."""

    amount: int
    weight_grams: int


@dataclass(frozen=True)
class PlannedParcel:
    """What one warehouse is to ship of the order; numbers count from 1."""

    number: int
    warehouse: str
    contents: tuple[Allocation, ...]
    share: Share


def plan_parcels(allocations: Sequence[Allocation], goods: Mapping[str, Goods], total: int) -> list[PlannedParcel]:
    """One parcel per warehouse, and one more for what has yet to arrive there; the latter come last."""
    contents: dict[tuple[str, bool], list[Allocation]] = {}
    for one in sorted(allocations, key=lambda allocation: allocation.backordered):
        contents.setdefault((one.warehouse, one.backordered), []).append(one)
    demands = [[Demand(one.sku, one.quantity) for one in parcel] for parcel in contents.values()]
    return [
        PlannedParcel(number, warehouse, tuple(parcel), share)
        for number, ((warehouse, _), parcel, share) in enumerate(
            zip(contents, contents.values(), shares(demands, goods, total), strict=True), start=1
        )
    ]


def shares(contents: Sequence[Sequence[Demand]], goods: Mapping[str, Goods], total: int) -> list[Share]:
    """Each parcel's share of the order's total, by the value of its goods.

    The shares add up to the total, so that capturing every parcel captures exactly what was authorized.
    """
    values = [sum(goods[one.sku].unit_price * one.quantity for one in parcel) for parcel in contents]
    weights = [sum(goods[one.sku].weight_grams * one.quantity for one in parcel) for parcel in contents]
    return [Share(amount, weight) for amount, weight in zip(split(total, values), weights, strict=True)]


def without(contents: Sequence[Demand], units: Mapping[str, int], goods: Mapping[str, Goods], amount: int) -> Share:
    """What is left of a parcel's share when these units are taken out: as if they had been another parcel."""
    left = [Demand(sku, quantity - units.get(sku, 0)) for sku, quantity in summed(contents).items()]
    taken = [Demand(sku, quantity) for sku, quantity in units.items()]
    return shares([left, taken], goods, amount)[0]


def shares_of_total(
    contents: Sequence[Sequence[Demand]], amounts: Sequence[int], goods: Mapping[str, Goods], before: int, after: int
) -> list[int]:
    """What the parcels, which carry these amounts of the total before, carry of the total after.

    What was cancelled before carries its part of the new total, as if it were another parcel.
    """
    left = sum(amounts)
    standing, _ = split(after, [left, before - left])
    return [share.amount for share in shares(contents, goods, standing)]


def check_pick(contents: Mapping[str, int], picked: Mapping[str, int]) -> None:
    """Raise PickMismatch unless the pick names exactly the SKUs of the parcel, and of none more than it has.

    One that is not there is named with 0: a line that was only forgotten would cancel what its customer has bought.
    """
    if contents.keys() != picked.keys() or any(picked[sku] > contents[sku] for sku in contents):
        planned = ", ".join(f"{quantity} of {sku}" for sku, quantity in sorted(contents.items()))
        raise PickMismatch(f"Name each SKU of the parcel, with 0 if it is not there, and no more than: {planned}.")
