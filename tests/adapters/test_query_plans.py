"""What is asked often reads a few rows of tables with 20,000, by an index, whichever server it is."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from adapters.connections import create_engine
from adapters.mysql.clock import naive
from adapters.mysql.identity.users import keep_an_admin
from adapters.mysql.migrate import upgrade
from adapters.mysql.orders.backorders import orders_waiting
from adapters.mysql.orders.operator_tasks import OperatorTaskStore
from adapters.mysql.orders.orders import OrderStore
from adapters.mysql.orders.promises import Promises
from adapters.mysql.orders.reservations import Reservations
from adapters.mysql.orders.snapshots import ids_of_closed_accounts, snapshots
from adapters.mysql.orders.stock import Stock
from adapters.mysql.orders.sweeping import UnfinishedOrders
from adapters.mysql.outbox import order_outbox
from adapters.mysql.payments.facts import PaymentFactsReader
from adapters.mysql.tables.identity import user_roles, users
from adapters.mysql.tables.orders import order_events, orders, parcels
from adapters.mysql.tables.payments import payment_entries
from adapters.mysql.tables.schema import metadata
from adapters.mysql.tables.stock import reservation_lines, reservations, stock_movements
from adapters.settings import Settings
from domain.orders import OrderStatus
from tests.adapters.databases import own_database

ROWS = 20_000
MOST_READ = 1_000
NOW = datetime(2026, 6, 1, tzinfo=UTC)
_SERVER_CHECKS = ("SELECT @@", "SHOW ", "EXPLAIN", "FLUSH", "SET ")


def _id(number: int) -> str:
    return f"{number:08d}-0000-7000-8000-000000000000"


@dataclass
class Asked:
    """A connection's statements, and the rows the server has read for them."""

    engine: sa.Engine
    statements: list[tuple[str, Any]] = field(default_factory=list)

    def rows_read(self) -> int:
        with self.engine.connect() as connection:
            counts = connection.execute(sa.text("SHOW SESSION STATUS LIKE 'Handler_read%'")).all()
        return sum(int(value) for name, value in counts if name != "Handler_read_retry")

    def plans(self) -> Iterator[tuple[str, sa.Row[Any]]]:
        for statement, parameters in list(self.statements):
            with self.engine.connect() as connection:
                for row in connection.exec_driver_sql(f"EXPLAIN {statement}", parameters):
                    yield statement, row


@pytest.fixture(scope="module")
def large(settings: Settings) -> Iterator[sa.Engine]:
    """One connection to a database with 20,000 rows in every table that grows, of which few are recent or open."""
    with own_database(settings, "large") as own:
        upgrade(own)
        engine = create_engine(own, 1)
        _fill(engine)
        yield engine
        engine.dispose()


def _fill(engine: sa.Engine) -> None:
    with engine.begin() as connection:
        connection.execute(sa.text("SET foreign_key_checks = 0"))
        for table, row in _TABLES:
            rows = [row(number) for number in range(1, ROWS + 1)]
            for first in range(0, ROWS, 2_000):
                connection.execute(sa.insert(table), rows[first : first + 2_000])
    with engine.connect() as connection:
        for table, _ in _TABLES:
            connection.execute(sa.text(f"ANALYZE TABLE {table.name}")).all()
        if "MariaDB" not in str(connection.scalar(sa.text("SELECT VERSION()"))):
            connection.execute(sa.text("SET SESSION explain_format = 'TRADITIONAL'"))


@pytest.fixture
def asked(large: sa.Engine) -> Iterator[Asked]:
    found = Asked(large)

    def note(_c: object, _r: object, statement: str, parameters: Any, _x: object, _many: bool) -> None:
        if not statement.startswith(_SERVER_CHECKS):
            found.statements.append((statement, parameters))

    sa.event.listen(large, "before_cursor_execute", note)
    yield found
    sa.event.remove(large, "before_cursor_execute", note)


def _moment(number: int) -> datetime:
    """The last ten rows are of the last hour, the others older, a minute each."""
    return naive(NOW - timedelta(minutes=(ROWS - number) * (1 if number < ROWS - 10 else 0)))


def _account(number: int) -> dict[str, object]:
    closed = _moment(number) if number % 100 == 0 else None
    return {"id": _id(number), "email": f"{number}@shop.example", "name": "A", "created_at": NOW, "closed_at": closed}


def _order(number: int) -> dict[str, object]:
    status = OrderStatus.CONFIRMED if number > ROWS - 10 else OrderStatus.DELIVERED
    return {
        "number": number,
        "id": _id(number),
        "customer_id": _id(number % 2_000 + 1),
        "email": "a@shop.example",
        "status": status,
        "payment_status": "authorized" if status is OrderStatus.CONFIRMED else "captured",
        "fulfilment_status": "unfulfilled",
        "currency": "EUR",
        "subtotal": 1,
        "shipping": 0,
        "tax": 0,
        "total": 1,
        "cart_id": _id(number),
        "cart_version": 1,
        "shipping_address": {"name": "A", "line1": "B", "city": "C", "postal_code": "1", "country": "DE"},
        "shipping_method": "standard",
        "created_at": _moment(number),
        "updated_at": _moment(number),
    }


def _event(number: int) -> dict[str, object]:
    return {
        "event_id": _id(number),
        "order_id": _id(number // 2 + 1),
        "seq": number % 2,
        "step": str(number),
        "type": "order.delivered",
        "status": "delivered",
        "payment_status": "captured",
        "fulfilment_status": "delivered",
        "actor": "system",
        "data": {},
        "occurred_at": _moment(number),
        "partition_no": number % 8,
        "published_at": _moment(number) if number <= ROWS - 10 else None,
    }


def _parcel(number: int) -> dict[str, object]:
    recent = number > ROWS - 10
    return {
        "order_id": _id(number),
        "number": 1,
        "warehouse": "BER",
        "status": "booked" if recent else "delivered",
        "amount": 1,
        "weight_grams": 1,
        "lines": [],
        "ship_by": _moment(number),
        "created_at": _moment(number),
        "updated_at": _moment(number),
    }


def _movement(number: int) -> dict[str, object]:
    """Half of them are of one SKU."""
    sku, place = ("HOT" if number % 2 else f"S{number}"), ("BER" if number % 3 else "AMS")
    moved = {"kind": "shipped", "quantity": 1, "order_id": _id(number), "actor": "system"}
    return {"sku": sku, "warehouse": place, **moved, "occurred_at": _moment(number)}


def _reservation(number: int) -> dict[str, object]:
    is_open, moment = number > ROWS - 10, _moment(number)
    times = {"expires_at": moment, "created_at": moment, "updated_at": moment}
    return {"order_id": _id(number), "open": is_open, **times}


def _reservation_line(number: int) -> dict[str, object]:
    return {
        "order_id": _id(number),
        "parcel": 1,
        "sku": "HOT" if number % 2 else f"S{number}",
        "warehouse": "BER",
        "quantity": 1,
        "backordered": 1 if number > ROWS - 10 else 0,
        "state": "active" if number > ROWS - 10 else "shipped",
        "updated_at": _moment(number),
    }


def _payment_entry(number: int) -> dict[str, object]:
    booked = {"kind": "capture", "amount": 1, "currency": "EUR", "provider_id": f"pi_{number}"}
    return {"order_id": _id(number), "idempotency_key": str(number), "occurred_at": _moment(number), **booked}


_TABLES: tuple[tuple[sa.Table, Callable[[int], dict[str, object]]], ...] = (
    (users, _account),
    (user_roles, lambda number: {"user_id": _id(number), "role": "admin" if number == ROWS else "customer"}),
    (orders, _order),
    (order_events, _event),
    (parcels, _parcel),
    (payment_entries, _payment_entry),
    (stock_movements, _movement),
    (reservations, _reservation),
    (reservation_lines, _reservation_line),
)


def _waiting(engine: sa.Engine) -> object:
    with engine.connect() as connection:
        return orders_waiting(connection, {("HOT", "BER"): 5})


def _an_admin_goes(engine: sa.Engine) -> None:
    with engine.begin() as connection:
        keep_an_admin(connection, _id(7))


QUESTIONS: dict[str, Callable[[sa.Engine], object]] = {
    "an order": lambda engine: OrderStore(engine).get(_id(7)),
    "an order's history": lambda engine: OrderStore(engine).history(_id(7)),
    "a customer's orders": lambda engine: OrderStore(engine).page(_id(7), None, 20),
    "orders waiting of a cart": lambda engine: OrderStore(engine).waiting_of_cart(_id(7), _id(7)),
    "orders of accounts closed lately": lambda engine: ids_of_closed_accounts(
        engine, naive(NOW - timedelta(hours=6)), "", 100
    ),
    "orders for the index": lambda engine: snapshots(engine, [_id(7), _id(8)]),
    "the outbox": lambda engine: order_outbox(engine).lag(),
    "overdue orders": lambda engine: UnfinishedOrders(engine).overdue(
        NOW, {OrderStatus.PENDING: timedelta(minutes=15), OrderStatus.CANCELLING: timedelta(minutes=15)}
    ),
    "orders that should have a workflow": lambda engine: UnfinishedOrders(engine).numbers(
        NOW - timedelta(days=30), NOW + timedelta(hours=1), [_id(7)]
    ),
    "orders that changed lately": lambda engine: PaymentFactsReader(engine).recent_orders(NOW, None, 100),
    "the next of them": lambda engine: PaymentFactsReader(engine).recent_orders(NOW, (NOW, ROWS - 5), 100),
    "what was booked lately": lambda engine: PaymentFactsReader(engine).first_entries(NOW, None, 100),
    "late parcels": lambda engine: Promises(engine).late(NOW),
    "parcels past their backorder": lambda engine: Promises(engine).backordered(NOW),
    "expired reservations": lambda engine: Reservations(engine).overdue(None, 100),
    "the stock of a SKU": lambda engine: Stock(engine).levels("HOT"),
    "its movements": lambda engine: Stock(engine).movements("HOT", None, 50),
    "backorders that units would fill": _waiting,
    "whether an admin is left": _an_admin_goes,
    "what needs an operator": lambda engine: OperatorTaskStore(engine).page(None, 50),
}


@pytest.mark.parametrize("question", QUESTIONS)
def test_few_rows_are_read_by_an_index(asked: Asked, question: str) -> None:
    before, own = asked.rows_read(), asked.rows_read()
    QUESTIONS[question](asked.engine)
    read = asked.rows_read() - own - (own - before)
    assert read <= MOST_READ
    assert asked.statements
    for statement, row in asked.plans():
        if row.table in metadata.tables and int(str(row.rows or 0).split()[0]) > MOST_READ:
            assert row.type != "ALL", (row, statement)
            assert "filesort" not in (row.Extra or ""), (row, statement)


def test_a_full_scan_would_be_noticed(asked: Asked) -> None:
    before = asked.rows_read()
    with asked.engine.connect() as connection:
        connection.execute(sa.select(orders.c.id).where(orders.c.email == "nobody")).all()
    assert asked.rows_read() - before > MOST_READ
    assert {row.type for _, row in asked.plans()} == {"ALL"}
