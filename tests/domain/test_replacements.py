"""Parcels that are shipped again: what counts for the order, whose money it is, and which warehouse has the goods."""

import pytest

from domain.errors import InsufficientStock
from domain.fulfilment import ParcelStatus
from domain.orders import FulfilmentStatus, OrderStatus, fulfilment_status, status_after_parcels
from domain.replacements import ParcelState, lineage, of_the_order, standing, warehouse_with_all

P = ParcelStatus


def parcels(*states: tuple[ParcelStatus, int | None]) -> list[ParcelState]:
    return [ParcelState(number, status, replaces) for number, (status, replaces) in enumerate(states, start=1)]


@pytest.mark.parametrize(
    ("states", "goods", "status"),
    [
        ([(P.LOST, None), (P.PLANNED, 1)], FulfilmentStatus.UNFULFILLED, OrderStatus.SHIPPED),
        ([(P.LOST, None), (P.DISPATCHED, 1)], FulfilmentStatus.SHIPPED, OrderStatus.SHIPPED),
        ([(P.LOST, None), (P.DELIVERED, 1)], FulfilmentStatus.DELIVERED, OrderStatus.DELIVERED),
        ([(P.LOST, None), (P.LOST, 1), (P.DELIVERED, 2)], FulfilmentStatus.DELIVERED, OrderStatus.DELIVERED),
        ([(P.LOST, None), (P.RETURNED, 1)], FulfilmentStatus.RETURNED, OrderStatus.SHIPPED),
        # The order's own status waits for its own parcels, and for no replacement.
        (
            [(P.LOST, None), (P.DELIVERED, None), (P.PLANNED, 1)],
            FulfilmentStatus.PARTIALLY_DELIVERED,
            OrderStatus.DELIVERED,
        ),
        (
            [(P.LOST, None), (P.IN_TRANSIT, None), (P.DELIVERED, 1)],
            FulfilmentStatus.PARTIALLY_DELIVERED,
            OrderStatus.SHIPPED,
        ),
        (
            [(P.LOST, None), (P.DELIVERED, None), (P.REFUSED, 1)],
            FulfilmentStatus.PARTIALLY_DELIVERED,
            OrderStatus.DELIVERED,
        ),
        (
            [(P.LOST, None), (P.DELIVERED, None), (P.CANCELLED, 1), (P.DELIVERED, 3)],
            FulfilmentStatus.DELIVERED,
            OrderStatus.DELIVERED,
        ),
    ],
)
def test_a_replacement_counts_for_the_goods_and_once_delivered_for_the_order(
    states: list[tuple[ParcelStatus, int | None]], goods: FulfilmentStatus, status: OrderStatus
) -> None:
    found = parcels(*states)
    assert fulfilment_status(standing(found)) is goods
    assert status_after_parcels(OrderStatus.SHIPPED, of_the_order(found)) is status


def test_the_parcels_of_one_share_are_known_by_each_of_them() -> None:
    found = parcels((P.LOST, None), (P.DELIVERED, None), (P.LOST, 1), (P.BOOKED, 3))
    assert [lineage(found, number) for number in (1, 3, 4)] == [[1, 3, 4]] * 3
    assert lineage(found, 2) == [2]


def test_the_same_warehouse_ships_again_or_else_the_preferred_one_that_has_all() -> None:
    available = {"BER": {"A": 1, "B": 0}, "AMS": {"A": 2, "B": 1}, "ROT": {"A": 9, "B": 9}}
    assert warehouse_with_all({"A": 1, "B": 1}, available, "ROT") == "ROT"
    assert warehouse_with_all({"A": 1, "B": 1}, available, "BER") == "AMS"
    assert warehouse_with_all({"A": 1}, available, "closed") == "BER"


@pytest.mark.parametrize(
    ("units", "lines"),
    [
        ({"A": 3, "B": 1}, [{"sku": "A", "wanted": 3, "available": 2}]),
        # Each is there, in another warehouse.
        ({"A": 2, "B": 2}, [{"sku": sku, "wanted": 2, "available": 2} for sku in "AB"]),
        ({"C": 1}, [{"sku": "C", "wanted": 1, "available": 0}]),
    ],
)
def test_goods_that_no_warehouse_has_together_are_named(units: dict[str, int], lines: list[object]) -> None:
    available = {"BER": {"A": 2, "B": 1}, "AMS": {"B": 2}}
    with pytest.raises(InsufficientStock) as refusal:
        warehouse_with_all(units, available, "BER")
    assert refusal.value.details == {"lines": lines}
