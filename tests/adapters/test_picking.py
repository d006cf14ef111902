"""The pick of a parcel is recorded once, with what was missing written off, in one transaction."""

from collections.abc import Iterator

import pytest

from adapters.connections import Connections
from adapters.mysql.orders.fulfilment import Parcels
from adapters.mysql.orders.orders import OrderStore
from adapters.mysql.orders.picking import Picks
from adapters.mysql.orders.reservations import Reservations
from adapters.mysql.orders.stock import Stock
from adapters.mysql.orders.stock_reconciliations import StockReconciliations
from domain.errors import AlreadyPicked, IllegalMove, NotFound, PickMismatch
from domain.events import EventType
from domain.fulfilment import ParcelStatus
from domain.orders import OrderStatus
from schemas.checkout import CancelledLine
from schemas.fulfilment import FulfilmentInput, RecordParcel, ReduceParcel
from schemas.orders import OrderPlaced, RecordStatus
from schemas.picking import PickedLine, RecordPick
from schemas.stock import ChangeWarehouse, ReleaseStock, SetStockRules
from tests.adapters.test_stock import order_of
from tests.conftest import picks_asked_for
from tests.fixture_types import MakeProduct


@pytest.fixture
def picks(connections: Connections) -> Picks:
    return Picks(connections.engine)


@pytest.fixture(autouse=True)
def berlin_asks(connections: Connections) -> Iterator[None]:
    with picks_asked_for(connections, "BER"):
        yield


def place(connections: Connections, units: dict[str, int], *, confirmed: bool = True) -> OrderPlaced:
    orders = OrderStore(connections.engine)
    placed = orders.place(order_of(units))
    if confirmed:
        status, event = OrderStatus.CONFIRMED, EventType.ORDER_CONFIRMED
        command = RecordStatus(
            order_id=placed.order_id, step="confirm", status=status, event_type=event, actor="system"
        )
        orders.record_status(command)
    return placed


def pick_of(placed: OrderPlaced, units: dict[str, int], number: int = 1) -> RecordPick:
    lines = [PickedLine(sku=sku, quantity=quantity) for sku, quantity in units.items()]
    return RecordPick(order_id=placed.order_id, number=number, lines=lines, actor="staff:test")


def level(connections: Connections, sku: str) -> tuple[int, int]:
    """On hand and reserved; ledger, balances and reservations agree about it."""
    differences = [one for page in StockReconciliations(connections.engine).check() for one in page.differences]
    assert sku not in {one.sku for one in differences}
    (one,) = Stock(connections.engine).levels(sku)
    return one.on_hand, one.reserved


def waiting(picks: Picks, *placed: OrderPlaced) -> list[int]:
    """The numbers of those of the orders that wait for a pick, as listed."""
    own = {one.order_id for one in placed}
    return [one.order_number for one in picks.waiting(None, 1000).items if one.order_id in own]


def test_what_is_missing_is_written_off_once(connections: Connections, picks: Picks, make_product: MakeProduct) -> None:
    shirt, socks = make_product(stock=5), make_product(stock=5)
    placed = place(connections, {shirt: 3, socks: 1})
    assert placed.parcels[0].pick_required
    assert picks.get(placed.order_id, 1) is None
    command = pick_of(placed, {shirt: 1, socks: 1})
    picked = picks.record(command)
    assert [(line.sku, line.quantity) for line in picked.missing] == [(shirt, 2)]
    assert picks.record(command) == picks.get(placed.order_id, 1) == picked
    assert (level(connections, shirt), level(connections, socks)) == ((3, 1), (5, 1))
    found = Stock(connections.engine).movements(shirt, None, 10).items
    assert [(one.kind, one.quantity) for one in found[:2]] == [("adjusted", -2), ("released", 2)]
    types = [event.type for event in OrderStore(connections.engine).history(placed.order_id).items]
    assert types.count("parcel.picked") == 1
    assert waiting(picks, placed) == []


def test_another_pick_changes_nothing(connections: Connections, picks: Picks, make_product: MakeProduct) -> None:
    sku = make_product(stock=5)
    placed = place(connections, {sku: 3})
    picks.record(pick_of(placed, {sku: 2}))
    with pytest.raises(AlreadyPicked):
        picks.record(pick_of(placed, {sku: 3}))
    assert level(connections, sku) == (4, 2)


def test_a_pick_is_of_exactly_what_is_in_the_parcel(
    connections: Connections, picks: Picks, make_product: MakeProduct
) -> None:
    shirt, socks = make_product(stock=5), make_product(stock=5)
    placed = place(connections, {shirt: 3, socks: 1})
    for units in ({shirt: 4, socks: 1}, {shirt: 3}, {shirt: 3, socks: 1, "UNKNOWN": 0}):
        with pytest.raises(PickMismatch):
            picks.record(pick_of(placed, units))
    with pytest.raises(NotFound):
        picks.record(pick_of(placed, {shirt: 3, socks: 1}, number=2))
    assert level(connections, shirt) == (5, 3)


@pytest.mark.parametrize("status", [ParcelStatus.BOOKED, ParcelStatus.CANCELLED])
def test_nothing_is_picked_for_what_is_booked_or_stopped(
    connections: Connections, picks: Picks, make_product: MakeProduct, status: ParcelStatus
) -> None:
    sku = make_product(stock=5)
    placed = place(connections, {sku: 2})
    Parcels(connections.engine).record(RecordParcel(order_id=placed.order_id, number=1, status=status, actor="system"))
    with pytest.raises(IllegalMove):
        picks.record(pick_of(placed, {sku: 1}))
    assert (level(connections, sku), waiting(picks, placed)) == ((5, 2), [])


def test_a_parcel_of_which_nothing_is_there_reserves_nothing(
    connections: Connections, picks: Picks, make_product: MakeProduct
) -> None:
    sku = make_product(stock=2)
    placed = place(connections, {sku: 2})
    picks.record(pick_of(placed, {sku: 0}))
    assert level(connections, sku) == (0, 0)
    reservations = Reservations(connections.engine)
    assert reservations.extend(placed.order_id).total_seconds() == 0  # it is closed
    released = reservations.release(ReleaseStock(order_id=placed.order_id, actor="system", reason="test"))
    assert (released.units, level(connections, sku)) == (0, (0, 0))


@pytest.mark.parametrize(("cancelled", "left"), [(1, 2), (2, 1)])
def test_what_a_reduced_parcel_has_left_stays_reserved(
    connections: Connections, picks: Picks, make_product: MakeProduct, cancelled: int, left: int
) -> None:
    """Of the units that are taken out of it the missing one is counted once."""
    sku = make_product(stock=5)
    placed = place(connections, {sku: 3})
    picks.record(pick_of(placed, {sku: 2}))
    lines = [CancelledLine(sku=sku, quantity=cancelled)]
    command = ReduceParcel(
        order_id=placed.order_id, number=1, step="lines-1", lines=lines, actor="staff:test", reason="short pick"
    )
    reduced = Parcels(connections.engine).reduce(command)
    assert [line.quantity for line in reduced.plan.lines] == [left]
    assert level(connections, sku) == (4, left)


def test_the_list_has_the_oldest_first_page_by_page(
    connections: Connections, picks: Picks, make_product: MakeProduct
) -> None:
    sku, other = make_product(stock=9), make_product(stock={"AMS": 9})
    first, second, third = (place(connections, {sku: 1}) for _ in range(3))
    unpaid, elsewhere = place(connections, {sku: 1}, confirmed=False), place(connections, {other: 1})
    assert waiting(picks, first, second, third, unpaid, elsewhere) == [first.number, second.number, third.number]
    page = picks.waiting((first.number, 1), 1)
    assert [one.order_number for one in page.items] == [second.number]
    assert page.next_cursor == f"{second.number}-1"
    last = picks.waiting((second.number, 1), 1)
    assert ([one.order_number for one in last.items], last.next_cursor) == ([third.number], None)
    (line,) = last.items[0].lines
    assert (line.sku, line.name, line.quantity) == (sku, sku, 1)
    assert picks.waiting(None, 1000, "AMS").items == []


def test_what_waits_for_goods_waits_for_no_pick_yet(
    connections: Connections, picks: Picks, make_product: MakeProduct
) -> None:
    sku = make_product(stock=0)
    stock = Stock(connections.engine)
    stock.set_rules(sku, SetStockRules(backorderable=True))
    placed = place(connections, {sku: 1})
    assert waiting(picks, placed) == []
    stock.receive([(sku, "BER", 1)], "staff:test", "delivery")
    assert waiting(picks, placed) == [placed.number]


def test_a_parcel_keeps_what_its_warehouse_asked_for(connections: Connections, make_product: MakeProduct) -> None:
    sku, orders = make_product(stock=5), OrderStore(connections.engine)
    command = order_of({sku: 1})
    asked = orders.place(command)
    Stock(connections.engine).change_warehouse("BER", ChangeWarehouse(pick_required=False))
    assert orders.place(command).parcels == asked.parcels
    assert not place(connections, {sku: 1}).parcels[0].pick_required
    with pytest.raises(NotFound):
        Stock(connections.engine).change_warehouse("NOWHERE", ChangeWarehouse(pick_required=True))


def test_a_parcel_planned_by_an_earlier_release_waits_for_no_pick() -> None:
    parcel = {"number": 1, "warehouse": "BER", "country": "DE", "lines": [], "amount": 1, "weight_grams": 1}
    address = {"name": "A", "line1": "B", "city": "C", "postal_code": "1", "country": "DE"}
    job = {"order_id": "1", "parcel": parcel, "parcels_in_order": 1, "address": address, "shipping_method": "s"}
    assert not FulfilmentInput.model_validate(job).parcel.pick_required
