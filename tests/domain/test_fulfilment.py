"""Who ships what, and which carrier events move a parcel."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import OutOfStock
from domain.fulfilment import Allocation, Demand, ParcelStatus, allocate, may_become, moves_forward

SKUS = st.sampled_from(["A", "B", "C"])
STOCK = st.dictionaries(st.sampled_from(["BER", "AMS"]), st.dictionaries(SKUS, st.integers(0, 9)), min_size=1)


def test_one_warehouse_that_has_everything_ships_one_parcel() -> None:
    stock = {"BER": {"A": 5}, "AMS": {"A": 5, "B": 5}}
    assert {a.warehouse for a in allocate([Demand("A", 2), Demand("B", 1)], stock)} == {"AMS"}


def test_the_preferred_warehouse_ships_when_both_can() -> None:
    assert allocate([Demand("A", 2)], {"BER": {"A": 2}, "AMS": {"A": 9}}) == [Allocation("A", "BER", 2)]


def test_two_lines_of_one_sku_are_one_demand() -> None:
    with pytest.raises(OutOfStock) as short:
        allocate([Demand("A", 2), Demand("A", 2)], {"BER": {"A": 3}})
    assert short.value.details["lines"] == [{"sku": "A", "wanted": 4, "available": 3}]


@given(st.lists(st.builds(Demand, SKUS, st.integers(1, 5)), min_size=1, max_size=6), STOCK)
def test_an_allocation_is_exact_and_possible_or_refused(
    demands: list[Demand], stock: dict[str, dict[str, int]]
) -> None:
    wanted = {sku: sum(d.quantity for d in demands if d.sku == sku) for sku in {d.sku for d in demands}}
    possible = all(sum(levels.get(sku, 0) for levels in stock.values()) >= n for sku, n in wanted.items())
    if not possible:
        with pytest.raises(OutOfStock):
            allocate(demands, stock)
        return
    allocations = allocate(demands, stock)
    for sku, quantity in wanted.items():
        assert sum(a.quantity for a in allocations if a.sku == sku) == quantity
    assert all(0 < a.quantity <= stock[a.warehouse][a.sku] for a in allocations)


@given(st.lists(st.sampled_from(list(ParcelStatus)), max_size=12))
def test_a_parcel_only_ever_moves_forward(statuses: list[ParcelStatus]) -> None:
    current = ParcelStatus.PLANNED
    for status in statuses:
        if moves_forward(current, status):
            assert not moves_forward(status, current)
            current = status


ALL = set(ParcelStatus)
STOPPED = {ParcelStatus.REFUSED, ParcelStatus.CANCELLED}
ENDS = {ParcelStatus.DELIVERED, ParcelStatus.RETURNED, ParcelStatus.LOST, *STOPPED}


@pytest.mark.parametrize("status", sorted(ParcelStatus))
def test_what_was_dispatched_is_never_stopped_and_what_has_ended_stays(status: ParcelStatus) -> None:
    after = {one for one in ALL if may_become(status, one)}
    assert status not in after
    if status.was_dispatched:
        assert not after & STOPPED
    if status in ENDS:
        assert status.is_final
        assert not after
    else:
        assert {ParcelStatus.DELIVERED, ParcelStatus.RETURNED, ParcelStatus.LOST} <= after


def test_a_problem_on_the_way_ends_with_the_next_scan() -> None:
    for scan in (ParcelStatus.IN_TRANSIT, ParcelStatus.OUT_FOR_DELIVERY):
        assert may_become(scan, ParcelStatus.EXCEPTION)
        assert may_become(ParcelStatus.EXCEPTION, scan)
    assert not may_become(ParcelStatus.EXCEPTION, ParcelStatus.DISPATCHED)
