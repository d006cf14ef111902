"""Cancelled units are taken out of a parcel: contents, amount, stock and event, in one transaction."""

import pytest

from adapters.connections import Connections
from adapters.mysql.orders.fulfilment import Parcels
from adapters.mysql.orders.orders import OrderStore
from adapters.mysql.orders.stock import Stock
from domain.errors import IllegalMove, NotFound
from domain.fulfilment import ParcelStatus
from schemas.checkout import CancelledLine
from schemas.fulfilment import RecordParcel, ReduceParcel
from schemas.orders import OrderPlaced
from schemas.stock import SetStockRules
from tests.adapters.test_stock import order_of
from tests.fixture_types import MakeProduct


@pytest.fixture
def parcels(connections: Connections) -> Parcels:
    return Parcels(connections.engine)


def place(connections: Connections, units: dict[str, int]) -> OrderPlaced:
    return OrderStore(connections.engine).place(order_of(units))


def reduction(order_id: str, units: dict[str, int], number: int = 1) -> ReduceParcel:
    lines = [CancelledLine(sku=sku, quantity=quantity) for sku, quantity in units.items()]
    return ReduceParcel(
        order_id=order_id, number=number, step="lines-1", lines=lines, actor="customer:test", reason="test"
    )


def level(connections: Connections, sku: str) -> tuple[int, int, int]:
    (one,) = Stock(connections.engine).levels(sku)
    return one.on_hand, one.reserved, one.backordered


def test_a_repeat_changes_nothing(connections: Connections, parcels: Parcels, make_product: MakeProduct) -> None:
    shirt, socks = make_product(stock=5), make_product(stock=5)
    placed = place(connections, {shirt: 3, socks: 1})
    command = reduction(placed.order_id, {shirt: 1, socks: 1})
    first = parcels.reduce(command)
    assert [(line.sku, line.quantity) for line in first.plan.lines] == [(shirt, 2)]
    assert (first.plan.amount, first.plan.weight_grams) == (2000, 200)
    assert parcels.reduce(command).plan == first.plan
    assert (level(connections, shirt), level(connections, socks)) == ((5, 2, 0), (5, 0, 0))
    types = [event.type for event in OrderStore(connections.engine).history(placed.order_id).items]
    assert types.count("parcel.reduced") == 1


def test_what_is_on_backorder_goes_first(connections: Connections, parcels: Parcels, make_product: MakeProduct) -> None:
    sku = make_product(stock={"BER": 1})
    Stock(connections.engine).set_rules(sku, SetStockRules(backorderable=True))
    placed = place(connections, {sku: 4})
    waiting = next(plan.number for plan in placed.parcels if plan.backordered)
    reduced = parcels.reduce(reduction(placed.order_id, {sku: 2}, number=waiting))
    assert [(line.quantity, line.backordered) for line in reduced.plan.lines] == [(1, 1)]
    assert level(connections, sku) == (1, 1, 1)


def test_what_it_frees_goes_to_who_waits(connections: Connections, parcels: Parcels, make_product: MakeProduct) -> None:
    sku = make_product(stock={"BER": 2})
    Stock(connections.engine).set_rules(sku, SetStockRules(backorderable=True))
    first, second = place(connections, {sku: 2}), place(connections, {sku: 1})
    reduced = parcels.reduce(reduction(first.order_id, {sku: 1}))
    assert [one.order_id for one in reduced.allocated] == [second.order_id]
    assert level(connections, sku) == (2, 2, 0)


def test_only_a_parcel_without_a_booking(connections: Connections, parcels: Parcels, make_product: MakeProduct) -> None:
    sku = make_product(stock=5)
    placed = place(connections, {sku: 2})
    parcels.record(RecordParcel(order_id=placed.order_id, number=1, status=ParcelStatus.BOOKED, actor="system"))
    with pytest.raises(IllegalMove):
        parcels.reduce(reduction(placed.order_id, {sku: 1}))
    with pytest.raises(NotFound):
        parcels.reduce(reduction(placed.order_id, {sku: 1}, number=2))
    assert level(connections, sku) == (5, 2, 0)
