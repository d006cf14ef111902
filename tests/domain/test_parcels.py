"""Parcels: one per warehouse, what has yet to arrive apart, and shares that lose no cent."""

from domain.fulfilment import Allocation, Demand
from domain.parcels import Goods, Share, plan_parcels, shares

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
