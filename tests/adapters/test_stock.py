"""Stock: every change a ledger row, reservations that expire, backorders allocated in turn, flips announced once."""

import itertools
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from threading import Barrier

import pytest
import sqlalchemy as sa
import uuid_utils

from adapters.connections import Connections
from adapters.mysql.catalog.snapshots import snapshots
from adapters.mysql.orders.fulfilment import Parcels
from adapters.mysql.orders.orders import OrderStore
from adapters.mysql.orders.reservations import Reservations, ship
from adapters.mysql.orders.stock import Poster, Stock
from adapters.mysql.orders.stock_reconciliations import StockReconciliations
from adapters.mysql.tables.catalog import product_events
from adapters.mysql.tables.stock import reservations, stock, stock_movements
from domain.errors import (
    BelowReserved,
    IdempotencyMismatch,
    InvalidFields,
    MoreThanShipped,
    NotFound,
    OutOfStock,
    UnknownReservation,
)
from domain.fulfilment import ParcelStatus
from schemas.base import Address
from schemas.checkout import CheckoutInput, OrderLineInput, PricedLine, PricedOrder
from schemas.fulfilment import ParcelRecorded, RecordParcel
from schemas.orders import OrderPlaced, PlaceOrder
from schemas.stock import Movement, NewMovement, ReleaseStock, SetStockRules, StockAllocated
from schemas.stock_upkeep import StockDifference
from tests.fixture_types import MakeProduct

ADDRESS = Address(name="Test", line1="Weg 1", city="Berlin", postal_code="10117", country="DE")


class Inventory:
    """What a test does to stock, and what it sees of it."""

    def __init__(self, connections: Connections) -> None:
        self.engine = connections.engine
        self.stock = Stock(self.engine)
        self.orders = OrderStore(self.engine)
        self.reservations = Reservations(self.engine)
        self.parcels = Parcels(self.engine)

    def place(self, **units: int) -> OrderPlaced:
        return self.orders.place(order_of(units))

    def release(self, order_id: str) -> tuple[int, list[StockAllocated]]:
        done = self.reservations.release(ReleaseStock(order_id=order_id, actor="system", reason="test"))
        return done.units, done.allocated

    def leaves(self, order_id: str, parcel: int = 1) -> ParcelRecorded:
        dispatched = RecordParcel(order_id=order_id, number=parcel, status=ParcelStatus.DISPATCHED, actor="carrier")
        return self.parcels.record(dispatched)

    def post(self, sku: str, kind: str, quantity: int, key: str | None = None, **fields: object) -> Movement:
        wanted = NewMovement.model_validate({"kind": kind, "warehouse": "BER", "quantity": quantity} | fields)
        return self.stock.post(sku, wanted, Poster("staff:test", key or uuid.uuid4().hex)).movement

    def level(self, sku: str, warehouse: str = "BER") -> tuple[int, int]:
        """On hand, reserved."""
        level = next(one for one in self.stock.levels(sku) if one.warehouse == warehouse)
        return level.on_hand, level.reserved

    def ledger(self, sku: str) -> list[tuple[str, int]]:
        """Kinds and units, oldest first."""
        return [(str(one.kind), one.quantity) for one in reversed(self.stock.movements(sku, None, 200).items)]

    def expire(self, order_id: str, ago: timedelta = timedelta(seconds=1)) -> None:
        moment = sa.func.utc_timestamp(6) - sa.text(f"INTERVAL {ago.total_seconds()} SECOND")
        with self.engine.begin() as connection:
            this = reservations.c.order_id == order_id
            connection.execute(sa.update(reservations).where(this).values(expires_at=moment))

    def stock_events(self, sku: str) -> list[str]:
        """The types of the events about the stock of the product, oldest first."""
        query = sa.select(product_events.c.type).where(
            product_events.c.product == sku, product_events.c.type.like("stock.%")
        )
        with self.engine.connect() as connection:
            return list(connection.scalars(query.order_by(product_events.c.id)))

    def history(self, order_id: str) -> list[str]:
        return [event.type for event in self.orders.history(order_id).items]

    def differences(self) -> list[StockDifference]:
        return [one for page in StockReconciliations(self.engine).check() for one in page.differences]


def order_of(units: dict[str, int], price: int = 1000) -> PlaceOrder:
    lines = [
        PricedLine(sku=sku, name=sku, quantity=n, unit_price=price, weight_grams=100, subtotal=price * n, tax=0)
        for sku, n in units.items()
    ]
    total = sum(line.subtotal for line in lines)
    order = CheckoutInput(
        order_id=str(uuid_utils.uuid7()),
        customer_id=str(uuid_utils.uuid7()),
        email="customer@shop.example.com",
        cart_id=str(uuid_utils.uuid7()),
        cart_version=1,
        lines=[OrderLineInput(sku=sku, quantity=n) for sku, n in units.items()],
        shipping_address=ADDRESS,
        shipping_method="standard",
        payment_method="pm_card_visa",
    )
    quote = PricedOrder(currency="EUR", lines=lines, subtotal=total, shipping=0, tax=0, total=total)
    return PlaceOrder(order=order, quote=quote)


@pytest.fixture
def inventory(connections: Connections) -> Inventory:
    return Inventory(connections)


# --- the ledger


def test_every_change_is_a_ledger_row(inventory: Inventory, make_product: MakeProduct) -> None:
    sku = make_product(stock=5)
    kept, left = inventory.place(**{sku: 2}), inventory.place(**{sku: 1})
    inventory.release(kept.order_id)
    inventory.leaves(left.order_id)
    inventory.post(sku, "restocked", 1, order_id=left.order_id)
    inventory.post(sku, "adjusted", -3, reason="broken")
    inventory.post(sku, "received", 4)
    kinds = [("received", 5), ("reserved", 2), ("reserved", 1), ("released", 2), ("shipped", 1), ("restocked", 1)]
    assert inventory.ledger(sku) == [*kinds, ("adjusted", -3), ("received", 4)]
    assert inventory.level(sku) == (6, 0)
    movements = inventory.stock.movements(sku, None, 200).items
    assert [one.order_id for one in movements if one.kind == "shipped"] == [left.order_id]
    assert next(one for one in movements if one.kind == "adjusted").reason == "broken"
    assert {one.actor for one in movements} == {"staff:test", "system", "carrier"}


def test_the_ledger_pages_from_the_newest(inventory: Inventory, make_product: MakeProduct) -> None:
    sku = make_product(stock=1)
    for units in (2, 3, 4):
        inventory.post(sku, "received", units)
    first = inventory.stock.movements(sku, None, 3)
    assert first.next_cursor is not None
    rest = inventory.stock.movements(sku, int(first.next_cursor), 3)
    assert [one.quantity for one in [*first.items, *rest.items]] == [4, 3, 2, 1]
    assert rest.next_cursor is None


def test_an_order_placed_again_costs_what_it_was_placed_at(inventory: Inventory, make_product: MakeProduct) -> None:
    sku = make_product(stock=5)
    first = order_of({sku: 2}, price=1000)
    dearer = first.model_copy(update={"quote": order_of({sku: 2}, price=1500).quote})
    placed = inventory.orders.place(first)
    assert placed.quote == first.quote != dearer.quote
    assert inventory.orders.place(dearer) == placed
    assert sum(parcel.amount for parcel in placed.parcels) == placed.quote.total
    assert inventory.ledger(sku) == [("received", 5), ("reserved", 2)]


def test_an_adjustment_never_takes_what_is_promised(inventory: Inventory, make_product: MakeProduct) -> None:
    sku = make_product(stock=5)
    inventory.place(**{sku: 3})
    with pytest.raises(BelowReserved) as refused:
        inventory.post(sku, "adjusted", -3, reason="lost")
    assert (refused.value.details["on_hand"], refused.value.details["reserved"]) == (5, 3)
    assert inventory.ledger(sku) == [("received", 5), ("reserved", 3)]
    inventory.post(sku, "adjusted", -2, reason="lost")
    assert inventory.level(sku) == (3, 3)


def test_a_key_moves_units_once(inventory: Inventory, make_product: MakeProduct) -> None:
    sku, key = make_product(stock=1), uuid.uuid4().hex
    first = inventory.post(sku, "received", 7, key)
    assert inventory.post(sku, "received", 7, key) == first
    for change in ({"quantity": 8}, {"warehouse": "AMS"}, {"reason": "another"}):
        with pytest.raises(IdempotencyMismatch):
            inventory.post(sku, "received", key=key, **({"quantity": 7} | change))
    assert inventory.level(sku) == (8, 0)


def test_a_key_sent_many_times_at_once_moves_units_once(inventory: Inventory, make_product: MakeProduct) -> None:
    sku, key = make_product(stock=1), uuid.uuid4().hex
    with ThreadPoolExecutor(8) as pool:
        ids = {one.id for one in pool.map(lambda _: inventory.post(sku, "received", 3, key), range(8))}
    assert (len(ids), inventory.level(sku)) == (1, (4, 0))


def test_only_what_went_out_comes_back(inventory: Inventory, make_product: MakeProduct) -> None:
    sku, other = make_product(stock=5), make_product(stock=5)
    order = inventory.place(**{sku: 3})
    with pytest.raises(MoreThanShipped) as early:
        inventory.post(sku, "restocked", 1, order_id=order.order_id)
    assert early.value.details["returnable"] == 0
    inventory.leaves(order.order_id)
    inventory.post(sku, "restocked", 2, order_id=order.order_id)
    with pytest.raises(MoreThanShipped) as late:
        inventory.post(sku, "restocked", 2, order_id=order.order_id)
    assert late.value.details["returnable"] == 1
    with pytest.raises(UnknownReservation):
        inventory.post(other, "restocked", 1, order_id=order.order_id)
    with pytest.raises(UnknownReservation):
        inventory.post(sku, "restocked", 1, order_id=str(uuid_utils.uuid7()))
    assert inventory.level(sku) == (4, 0)


def test_what_comes_back_twice_at_once_comes_back_once(inventory: Inventory, make_product: MakeProduct) -> None:
    sku = make_product(stock=5)
    order = inventory.place(**{sku: 3})
    inventory.leaves(order.order_id)

    def return_all(_: int) -> bool:
        try:
            inventory.post(sku, "restocked", 3, order_id=order.order_id)
        except MoreThanShipped:
            return False
        return True

    with ThreadPoolExecutor(6) as pool:
        assert Counter(pool.map(return_all, range(6))) == {True: 1, False: 5}
    assert inventory.level(sku) == (5, 0)


def test_an_unknown_sku_or_warehouse_moves_nothing(inventory: Inventory, make_product: MakeProduct) -> None:
    with pytest.raises(NotFound):
        inventory.post("NO-SUCH-SKU", "received", 1)
    with pytest.raises(InvalidFields) as refused:
        inventory.post(make_product(), "received", 1, warehouse="MOON")
    assert [fault.pointer for fault in refused.value.faults] == ["warehouse"]


def test_first_units_in_two_warehouses_at_once_are_announced_once(
    inventory: Inventory, make_product: MakeProduct
) -> None:
    def arrives(sku: str, warehouse: str) -> Movement:
        return inventory.post(sku, "received", 2, warehouse=warehouse)

    for _ in range(5):
        sku = make_product(stock=0)
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(arrives, [sku, sku], ["BER", "AMS"]))
        assert inventory.stock_events(sku) == ["stock.back"]


# --- reservations


def test_an_order_is_reserved_whole_or_not_at_all(inventory: Inventory, make_product: MakeProduct) -> None:
    much, little = make_product(stock=9), make_product(stock=1)
    command = order_of({much: 3, little: 2})
    with pytest.raises(OutOfStock) as short:
        inventory.orders.place(command)
    assert short.value.details["lines"] == [{"sku": little, "wanted": 2, "available": 1}]
    assert inventory.orders.get(command.order.order_id) is None
    assert (inventory.level(much), inventory.level(little)) == ((9, 0), (1, 0))
    with pytest.raises(UnknownReservation):
        inventory.release(command.order.order_id)


def test_a_release_happens_once(inventory: Inventory, make_product: MakeProduct) -> None:
    sku = make_product(stock=5)
    order = inventory.place(**{sku: 2})
    assert [inventory.release(order.order_id)[0] for _ in range(2)] == [2, 0]
    assert inventory.level(sku) == (5, 0)
    assert inventory.history(order.order_id).count("order.stock_released") == 1


def test_what_nobody_reserved_cannot_be_released_extended_shipped_or_waited_for(
    inventory: Inventory, make_product: MakeProduct
) -> None:
    order, nobody = inventory.place(**{make_product(stock=5): 1}), str(uuid_utils.uuid7())
    for call in (
        lambda: inventory.release(nobody),
        lambda: inventory.reservations.extend(nobody),
        lambda: inventory.reservations.expire(nobody),
        lambda: inventory.reservations.missing(nobody, 1),
        lambda: inventory.reservations.missing(order.order_id, 2),
    ):
        with pytest.raises(UnknownReservation):
            call()
    for order_id, parcel in ((nobody, 1), (order.order_id, 2)):
        with pytest.raises(UnknownReservation), inventory.engine.begin() as connection:
            ship(connection, order_id, parcel, "carrier")
    inventory.leaves(order.order_id)
    with pytest.raises(UnknownReservation), inventory.engine.begin() as connection:
        ship(connection, order.order_id, 1, "carrier")


def test_an_overdue_reservation_expires_once_and_says_so(inventory: Inventory, make_product: MakeProduct) -> None:
    sku = make_product(stock=5)
    order = inventory.place(**{sku: 2})
    assert inventory.reservations.expire(order.order_id) is None
    inventory.expire(order.order_id)
    assert order.order_id in [one.order_id for one in inventory.reservations.overdue(None, 1000)]
    done = inventory.reservations.expire(order.order_id)
    assert done is not None
    assert done.units == 2
    assert inventory.reservations.expire(order.order_id) is None
    assert inventory.level(sku) == (5, 0)
    assert inventory.history(order.order_id)[-1] == "order.reservation_expired"
    assert inventory.orders.history(order.order_id).items[-1].actor == "system"
    assert order.order_id not in [one.order_id for one in inventory.reservations.overdue(None, 1000)]


def test_an_extension_keeps_a_reservation_from_expiring(inventory: Inventory, make_product: MakeProduct) -> None:
    sku = make_product(stock=5)
    order = inventory.place(**{sku: 2})
    inventory.expire(order.order_id)
    assert inventory.reservations.extend(order.order_id) == timedelta(hours=48)
    assert inventory.reservations.expire(order.order_id) is None
    assert inventory.level(sku) == (5, 2)
    inventory.leaves(order.order_id)
    assert inventory.reservations.extend(order.order_id) == timedelta(0)


def test_overdue_reservations_page_from_the_longest_overdue(inventory: Inventory, make_product: MakeProduct) -> None:
    sku = make_product(stock=9)
    placed = [inventory.place(**{sku: 1}).order_id for _ in range(5)]
    for number, order_id in enumerate(placed):
        inventory.expire(order_id, timedelta(days=300 - number))
    found, after = [], None
    while page := inventory.reservations.overdue(after, 2):
        found += [one.order_id for one in page]
        after = page[-1]
    assert [one for one in found if one in placed] == placed
    assert len(found) == len(set(found))
    for order_id in placed:
        inventory.reservations.expire(order_id)


def test_buyers_and_returns_at_once_never_deadlock_nor_oversell(
    inventory: Inventory, make_product: MakeProduct
) -> None:
    skus = [make_product(stock={"BER": 6, "AMS": 6}) for _ in range(4)]

    def buy(number: int) -> bool:
        basket = {skus[(number + step) % 4]: 1 for step in range(3)}
        try:
            order = inventory.orders.place(order_of(basket if number % 2 else dict(reversed(basket.items()))))
        except OutOfStock:
            return False
        if number % 5 == 0:
            inventory.release(order.order_id)
        return True

    with deadlocks(inventory.engine) as met, ThreadPoolExecutor(16) as pool:
        list(pool.map(buy, range(60)))
    assert met == []
    assert all(level.available >= 0 for sku in skus for level in inventory.stock.levels(sku))
    assert not [one for one in inventory.differences() if one.sku in skus]


@contextmanager
def deadlocks(engine: sa.Engine) -> Iterator[list[str]]:
    """The statements that were ended by one: a transaction that is run again shows nothing of it."""
    met: list[str] = []

    def note(context: sa.engine.ExceptionContext) -> None:
        if context.original_exception.args[:1] == (1213,):
            met.append(str(context.statement))

    sa.event.listen(engine, "handle_error", note)
    yield met
    sa.event.remove(engine, "handle_error", note)


def test_a_deadlock_would_be_seen(inventory: Inventory, make_product: MakeProduct) -> None:
    skus, both = [make_product(stock=1) for _ in range(2)], Barrier(2)

    def lock(first: str, second: str) -> None:
        query = sa.select(stock.c.sku).with_for_update()
        with suppress(sa.exc.OperationalError), inventory.engine.begin() as connection:
            connection.execute(query.where(stock.c.sku == first))
            both.wait(10)
            connection.execute(query.where(stock.c.sku == second))

    with deadlocks(inventory.engine) as met, ThreadPoolExecutor(2) as pool:
        list(pool.map(lock, skus, reversed(skus)))
    assert len(met) == 1


# --- what flips


def test_out_low_and_back_are_announced_when_they_happen(inventory: Inventory, make_product: MakeProduct) -> None:
    sku = make_product(stock=5)
    inventory.stock.set_rules(sku, SetStockRules(low_stock_at=2))
    assert inventory.stock_events(sku) == ["stock.back"]
    order = inventory.place(**{sku: 2})
    inventory.place(**{sku: 1})
    assert inventory.stock_events(sku)[1:] == ["stock.low"]
    inventory.place(**{sku: 1})
    inventory.place(**{sku: 1})
    assert inventory.stock_events(sku)[2:] == ["stock.out"]
    inventory.release(order.order_id)
    assert inventory.stock_events(sku)[3:] == ["stock.back"]
    inventory.post(sku, "received", 1)
    inventory.post(sku, "adjusted", -1, reason="count")
    assert inventory.stock_events(sku)[4:] == ["stock.low"]


def test_a_sku_that_may_be_late_is_never_out(inventory: Inventory, make_product: MakeProduct) -> None:
    sku = make_product(stock=0)
    inventory.stock.set_rules(sku, SetStockRules(backorderable=True))
    assert (inventory.stock_events(sku), in_stock(inventory, sku)) == (["stock.back"], True)
    inventory.place(**{sku: 3})
    inventory.post(sku, "received", 1)
    assert (inventory.stock_events(sku), in_stock(inventory, sku)) == (["stock.back"], True)
    inventory.stock.set_rules(sku, SetStockRules(backorderable=False))
    assert (inventory.stock_events(sku)[1:], in_stock(inventory, sku)) == (["stock.out"], False)


def in_stock(inventory: Inventory, sku: str) -> bool:
    return snapshots(inventory.engine, [sku])[sku].in_stock


def test_crossings_are_announced_once_however_many_buy_at_once(inventory: Inventory, make_product: MakeProduct) -> None:
    sku = make_product(stock={"BER": 10, "AMS": 10})
    inventory.stock.set_rules(sku, SetStockRules(low_stock_at=5))
    with ThreadPoolExecutor(12) as pool:
        list(pool.map(lambda _: inventory.place(**{sku: 1}), range(20)))
    assert Counter(inventory.stock_events(sku)) == {"stock.back": 1, "stock.low": 1, "stock.out": 1}


# --- backorders


def test_what_is_missing_is_a_parcel_of_its_own_and_no_reserved_stock(
    inventory: Inventory, make_product: MakeProduct
) -> None:
    late, there = make_product(stock={"BER": 2, "AMS": 1}), make_product(stock=9)
    inventory.stock.set_rules(late, SetStockRules(backorderable=True))
    order = inventory.place(**{late: 5, there: 1})
    parcels = [{(line.sku, line.quantity, line.backordered) for line in parcel.lines} for parcel in order.parcels]
    assert [parcel.warehouse for parcel in order.parcels] == ["BER", "AMS", "BER"]
    assert parcels == [{(late, 2, 0), (there, 1, 0)}, {(late, 1, 0)}, {(late, 2, 2)}]
    assert (inventory.level(late), inventory.level(late, "AMS")) == ((2, 2), (1, 1))
    assert sum(parcel.amount for parcel in order.parcels) == 6000
    view = inventory.orders.get(order.order_id)
    assert view is not None
    assert {line.sku: line.backordered for line in view.lines} == {late: 2, there: 0}
    assert [sum(line.backordered for line in parcel.lines) for parcel in view.parcels] == [0, 0, 2]
    placed = inventory.orders.history(order.order_id).items[0]
    assert placed.data["backordered"] == [{"sku": late, "quantity": 2}]
    assert not [one for one in inventory.differences() if one.sku == late]


def test_goods_that_arrive_go_to_the_oldest_order_first(inventory: Inventory, make_product: MakeProduct) -> None:
    sku = make_product(stock=0)
    inventory.stock.set_rules(sku, SetStockRules(backorderable=True))
    first, second, third = (inventory.place(**{sku: units}) for units in (3, 2, 2))
    assert inventory.stock.receive([(sku, "BER", 4)], "staff:test", "delivery") == [
        StockAllocated(order_id=first.order_id, parcel=1)
    ]
    assert [inventory.reservations.missing(one.order_id, 1) for one in (first, second, third)] == [0, 1, 2]
    assert inventory.level(sku) == (4, 4)
    assert inventory.history(second.order_id)[-1] == "order.backorder_allocated"
    filled = inventory.orders.history(second.order_id).items[-1].data
    assert filled == {"lines": [{"sku": sku, "quantity": 1, "parcel": 1}], "backordered": 1}
    # The first order is cancelled; its units go on to those who wait.
    units, arrived = inventory.release(first.order_id)
    assert (units, {one.order_id for one in arrived}) == (3, {second.order_id, third.order_id})
    assert inventory.level(sku) == (4, 4)
    assert inventory.ledger(sku)[-4:] == [("reserved", 1), ("released", 3), ("reserved", 1), ("reserved", 2)]
    assert not [one for one in inventory.differences() if one.sku == sku]


def test_an_order_that_leaves_the_line_does_not_get_its_own_units_back(
    inventory: Inventory, make_product: MakeProduct
) -> None:
    sku = make_product(stock=2)
    inventory.stock.set_rules(sku, SetStockRules(backorderable=True))
    first, second = inventory.place(**{sku: 5}), inventory.place(**{sku: 1})
    units, arrived = inventory.release(first.order_id)
    assert (units, arrived) == (2, [StockAllocated(order_id=second.order_id, parcel=1)])
    assert inventory.level(sku) == (2, 1)


@pytest.mark.parametrize("allocated", [0, 2])
def test_a_parcel_that_left_although_not_all_of_it_was_there_waits_for_nothing(
    allocated: int, inventory: Inventory, make_product: MakeProduct
) -> None:
    sku = make_product(stock=0)
    inventory.stock.set_rules(sku, SetStockRules(backorderable=True))
    gone, waiting = inventory.place(**{sku: 3}), inventory.place(**{sku: 1})
    if allocated:
        inventory.stock.receive([(sku, "BER", allocated)], "staff:test", "delivery")
    assert inventory.leaves(gone.order_id).not_reserved
    assert inventory.level(sku) == (0, 0)
    assert inventory.reservations.parcels(gone.order_id) == []
    (level,) = [one for one in inventory.stock.levels(sku) if one.warehouse == "BER"]
    assert level.backordered == 1, "of the other order alone"
    inventory.stock.receive([(sku, "BER", 3)], "staff:test", "delivery")
    assert inventory.level(sku) == (3, 1)
    assert not inventory.leaves(waiting.order_id).not_reserved
    assert inventory.level(sku) == (2, 0)
    assert not [one for one in inventory.differences() if one.sku == sku]


def test_deliveries_orders_and_cancellations_leave_nobody_waiting_beside_goods(
    inventory: Inventory, make_product: MakeProduct
) -> None:
    sku = make_product(stock=3)
    inventory.stock.set_rules(sku, SetStockRules(backorderable=True))

    def act(number: int) -> None:
        if number % 3 == 0:
            inventory.stock.receive([(sku, "BER", 2)], "staff:test", "delivery")
            return
        order = inventory.place(**{sku: 1 + number % 4})
        if number % 4 == 0:
            inventory.release(order.order_id)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(act, range(40)))
    (level,) = inventory.stock.levels(sku)
    assert level.available == 0 or level.backordered == 0
    assert not [one for one in inventory.differences() if one.sku == sku]


# --- the proof


@pytest.mark.parametrize("lie", ["on_hand", "reserved", "ledger"])
def test_a_planted_difference_is_found(inventory: Inventory, make_product: MakeProduct, lie: str) -> None:
    sku = make_product(stock=5)
    inventory.place(**{sku: 2})
    assert not [one for one in inventory.differences() if one.sku == sku]
    this = sa.and_(stock.c.sku == sku, stock.c.warehouse == "BER")
    row = sa.and_(stock_movements.c.sku == sku, stock_movements.c.kind == "reserved")
    with inventory.engine.begin() as connection:
        if lie == "ledger":
            connection.execute(sa.delete(stock_movements).where(row))
        else:
            connection.execute(sa.update(stock).where(this).values({lie: stock.c[lie] + 1}))
    (found,) = [one for one in inventory.differences() if one.sku == sku]
    seen = (found.on_hand.balance, found.on_hand.ledger, found.reserved.balance, found.reserved.ledger)
    wanted = {"on_hand": (6, 5, 2, 2), "reserved": (5, 5, 3, 2), "ledger": (5, 5, 2, 0)}
    assert (seen, found.held_by_orders) == (wanted[lie], 2)
    with inventory.engine.begin() as connection:  # the ledger of the whole testbed must agree at the end
        if lie == "ledger":
            values = {"sku": sku, "warehouse": "BER", "kind": "reserved", "quantity": 2, "actor": "staff:test"}
            connection.execute(sa.insert(stock_movements).values(**values, occurred_at=sa.func.utc_timestamp(6)))
        else:
            connection.execute(sa.update(stock).where(this).values({lie: stock.c[lie] - 1}))


def test_small_pages_check_everything(inventory: Inventory, make_product: MakeProduct) -> None:
    for _ in range(5):
        make_product(stock={"BER": 1, "AMS": 2})
    runs = StockReconciliations(inventory.engine)
    assert sum(page.levels for page in runs.check(page=2)) == sum(page.levels for page in runs.check()) == runs.levels()


def test_the_ledger_agrees_at_every_moment_while_orders_are_placed(
    inventory: Inventory, make_product: MakeProduct
) -> None:
    skus = [make_product(stock=40) for _ in range(3)]
    with ThreadPoolExecutor(6) as pool:
        placing = [pool.submit(inventory.place, **dict.fromkeys(skus, 1)) for _ in range(30)]
        looks = 0
        while not all(one.done() for one in placing):
            assert not [one for one in inventory.differences() if one.sku in skus]
            looks += 1
    assert looks > 1
    assert {inventory.level(sku) for sku in skus} == {(40, 30)}


@pytest.fixture
def next_day(inventory: Inventory) -> Callable[[], list[StockDifference]]:
    """A run of the reconciliation, a day after the last."""
    runs = StockReconciliations(inventory.engine)
    days = itertools.count(1)

    def run() -> list[StockDifference]:
        moment = datetime.now(UTC) + timedelta(days=next(days))
        found = [one for page in runs.check_new(moment, page=50) for one in page.differences]
        runs.keep(moment, 0, 0, [])
        return found

    return run


def test_what_agreed_is_not_added_up_again(
    inventory: Inventory, make_product: MakeProduct, next_day: Callable[[], list[StockDifference]]
) -> None:
    sku = make_product(stock={"BER": 5, "AMS": 3})
    order = inventory.place(**{sku: 2})
    assert sku not in {one.sku for _ in range(2) for one in next_day()}
    old = sa.delete(stock_movements).where(stock_movements.c.sku == sku)
    with inventory.engine.begin() as connection:
        kept = connection.execute(sa.select(stock_movements).where(stock_movements.c.sku == sku)).mappings().all()
        connection.execute(old)
    inventory.post(sku, "received", 4)
    inventory.leaves(order.order_id)
    assert sku not in {one.sku for one in next_day()}, "the checkpoint stands for what is gone"
    assert sku in {one.sku for one in inventory.differences()}
    with inventory.engine.begin() as connection:
        connection.execute(sa.insert(stock_movements), [dict(row) for row in kept])
    assert sku not in {one.sku for one in inventory.differences()}


def test_what_does_not_agree_is_found_in_every_run_until_it_does(
    inventory: Inventory, make_product: MakeProduct, next_day: Callable[[], list[StockDifference]]
) -> None:
    sku = make_product(stock={"BER": 5, "AMS": 3})
    assert sku not in {one.sku for _ in range(2) for one in next_day()}
    wrong = sa.update(stock).where(stock.c.sku == sku, stock.c.warehouse == "AMS")
    with inventory.engine.begin() as connection:
        connection.execute(wrong.values(on_hand=stock.c.on_hand + 1))
    inventory.post(sku, "received", 4)
    for _ in range(3):
        (found,) = [one for one in next_day() if one.sku == sku]
        assert (found.warehouse, found.on_hand.balance, found.on_hand.ledger) == ("AMS", 4, 3)
    with inventory.engine.begin() as connection:
        connection.execute(wrong.values(on_hand=stock.c.on_hand - 1))
    assert sku not in {one.sku for one in next_day()}


def test_a_movement_that_is_not_there_for_good_is_in_no_checkpoint(
    inventory: Inventory, make_product: MakeProduct, next_day: Callable[[], list[StockDifference]]
) -> None:
    """Its id may be older than that of a movement a run has seen."""
    sku, runs = make_product(stock=5), StockReconciliations(inventory.engine)
    assert sku not in {one.sku for _ in range(2) for one in next_day()}
    with inventory.engine.begin() as late:
        values = {"sku": sku, "warehouse": "BER", "kind": "received", "quantity": 4, "actor": "staff:test"}
        late.execute(sa.insert(stock_movements).values(**values, occurred_at=sa.func.utc_timestamp(6)))
        inventory.post(sku, "received", 1)
        runs.keep(datetime.now(UTC), 0, 0, [])
        assert sku not in {one.sku for page in runs.check_new(datetime.now(UTC)) for one in page.differences}
        late.execute(sa.update(stock).where(stock.c.sku == sku).values(on_hand=stock.c.on_hand + 4))
    assert sku not in {one.sku for one in next_day()}
