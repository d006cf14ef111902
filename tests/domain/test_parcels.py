"""Parcels: one per warehouse, what has yet to arrive apart, and shares that lose no cent."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import PickMismatch
from domain.fulfilment import Allocation, Demand
from domain.parcels import Goods, Share, check_pick, plan_parcels, shares, shares_of_total, without

GOODS = {"A": Goods(1000, 200), "B": Goods(500, 50), "FREE": Goods(0, 10)}


def test_each_warehouse_ships_one_parcel_with_its_share_by_value() -> None:
    planned = plan_parcels(
        [Allocation("A", "BER", 2), Allocation("B", "AMS", 2), Allocation("B", "BER", 1)], GOODS, 3850
    )
    assert [(one.number, one.warehouse, one.share) for one in planned] == [
        (1, "BER", Share(2750, 450)),
        (2, "AMS", Share(1100, 100)),
    ]
    assert [[one.sku for one in parcel.contents] for parcel in planned] == [["A", "B"], ["B"]]


def test_what_has_yet_to_arrive_is_a_parcel_of_its_own_and_the_last() -> None:
    planned = plan_parcels([Allocation("B", "BER", 3, backordered=True), Allocation("A", "BER", 1)], GOODS, 2500)
    assert [(one.number, one.warehouse, one.contents[0].backordered) for one in planned] == [
        (1, "BER", False),
        (2, "BER", True),
    ]
    assert [one.share.amount for one in planned] == [1000, 1500]


def test_the_shares_add_up_to_the_total() -> None:
    thirds = shares([[Demand("A", 1)], [Demand("A", 1)], [Demand("A", 1)]], GOODS, 1000)
    assert [one.amount for one in thirds] == [334, 333, 333]


def test_goods_that_cost_nothing_leave_the_total_to_the_others() -> None:
    assert shares([[Demand("FREE", 2)], [Demand("B", 1)]], GOODS, 700) == [Share(0, 20), Share(700, 50)]


@given(
    st.integers(min_value=0, max_value=10**7),
    st.lists(st.tuples(st.integers(1, 10**5), st.integers(1, 9)), min_size=1, max_size=5),
    st.randoms(use_true_random=False),
)
def test_what_is_left_keeps_its_part_however_often_units_are_taken_out(
    amount: int, lines: list[tuple[int, int]], random: Random
) -> None:
    """Each time is rounded once, so the part is never further off than a cent a time."""
    goods = {f"SKU-{number}": Goods(price, 100) for number, (price, _) in enumerate(lines)}
    contents = {f"SKU-{number}": quantity for number, (_, quantity) in enumerate(lines)}
    whole = sum(goods[sku].unit_price * units for sku, units in contents.items())
    left, times = amount, 0
    while sum(contents.values()) > 1:
        sku = random.choice([sku for sku, quantity in contents.items() if quantity])
        share = without([Demand(one, units) for one, units in contents.items()], {sku: 1}, goods, left)
        contents[sku] -= 1
        left, times = share.amount, times + 1
        value = sum(goods[one].unit_price * units for one, units in contents.items())
        assert abs(left * whole - amount * value) <= times * whole
        assert share.weight_grams == 100 * sum(contents.values())


@pytest.mark.parametrize("picked", [{"A": 3, "B": 1}, {"A": 2, "B": 0}, {"A": 0, "B": 0}])
def test_a_pick_names_all_that_is_in_the_parcel(picked: dict[str, int]) -> None:
    check_pick({"A": 3, "B": 1}, picked)


@pytest.mark.parametrize("picked", [{}, {"A": 3}, {"A": 4, "B": 1}, {"A": 3, "B": 1, "C": 0}])
def test_a_pick_of_anything_else_is_refused(picked: dict[str, int]) -> None:
    with pytest.raises(PickMismatch, match="3 of A, 1 of B"):
        check_pick({"A": 3, "B": 1}, picked)


def test_a_new_total_is_divided_as_the_first_one_was() -> None:
    contents = [[Demand("A", 2)], [Demand("B", 3)]]
    assert shares_of_total(contents, [2200, 1650], GOODS, 3850, 3500) == [2000, 1500]
    assert shares_of_total(contents, [2200, 1650], GOODS, 3850, 3500) == [
        share.amount for share in shares(contents, GOODS, 3500)
    ]


def test_what_was_cancelled_keeps_its_part_of_a_new_total() -> None:
    """Half of the first parcel, and all of another one, were cancelled before: 22.00 of 38.50."""
    assert shares_of_total([[Demand("A", 1)], [Demand("B", 1)]], [1100, 550], GOODS, 3850, 3500) == [1000, 500]


@given(
    st.lists(st.tuples(st.integers(1, 10**5), st.integers(1, 9)), min_size=1, max_size=5),
    st.integers(min_value=0, max_value=10**5),
    st.integers(min_value=1, max_value=10**6),
    st.data(),
)
def test_a_lower_total_never_raises_what_is_still_due(
    lines: list[tuple[int, int]], cancelled: int, before: int, data: st.DataObject
) -> None:
    goods = {f"SKU-{number}": Goods(price, 100) for number, (price, _) in enumerate(lines)}
    contents = [[Demand(f"SKU-{number}", quantity)] for number, (_, quantity) in enumerate(lines)]
    amounts = [
        share.amount
        for share in shares([*contents, [Demand("GONE", cancelled)]], goods | {"GONE": Goods(1, 1)}, before)
    ]
    after = data.draw(st.integers(0, before))
    divided = shares_of_total(contents, amounts[:-1], goods, before, after)
    assert sum(divided) <= sum(amounts[:-1])
    assert cancelled or sum(divided) == after
