"""What is old is purged in batches, by an index, as often and by as many as one likes; what is new stays."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from adapters.mysql.bulk import insert_rows
from adapters.mysql.clock import aware, naive
from adapters.mysql.migrate import upgrade
from adapters.mysql.retention import Bounds, Purges
from adapters.mysql.tables.catalog import product_events, product_import_errors, product_imports
from adapters.mysql.tables.orders import (
    operator_tasks,
    order_events,
    order_events_archive,
    orders,
    parcel_resolutions,
    parcels,
)
from adapters.mysql.tables.payments import (
    credit_entries,
    disputes,
    ledger_postings,
    payment_differences,
    payment_entries,
    refunds,
)
from adapters.mysql.tables.schema import Moment, metadata
from adapters.mysql.tables.stock import reservations
from adapters.settings import Settings
from domain.retention import DataKind
from tests.adapters.databases import own_database

ROWS = 20_000
BATCH = 1_000
DAY = timedelta(days=1)
NOW = naive(datetime.now(UTC))
# Row 0 is the oldest; those of the first quarter are to go.
OLDEST, STEP, OLD = NOW - 400 * DAY, timedelta(minutes=20), ROWS // 4
BEFORE = aware(OLDEST + OLD * STEP)
OLD_OF_FEW = 100
FEW = range(OLD - OLD_OF_FEW, OLD + 50)
EVENTS_OF_AN_ORDER = 10
# What says whether an order has anything left to do.
ASKED = (
    *(parcels, parcel_resolutions, reservations, refunds, disputes, payment_differences, operator_tasks),
    *(payment_entries, ledger_postings, credit_entries),
)
PURGED = [kind for kind in DataKind if kind is not DataKind.ORDER_EVENTS]


@pytest.fixture(scope="module")
def empty(settings: Settings) -> Iterator[sa.Engine]:
    """An engine on a migrated database of its own, whose rows need no others."""
    with own_database(settings, "retention") as own:
        upgrade(own)
        engine = sa.create_engine(
            own.mysql_url.get_secret_value(),
            isolation_level="READ COMMITTED",
            connect_args={"init_command": "SET time_zone='+00:00', foreign_key_checks=0"},
        )
        yield engine
        engine.dispose()


def uuid_at(moment: datetime, number: int) -> str:
    """As a UUIDv7 of that moment begins."""
    first = f"{int(aware(moment).timestamp() * 1000):012x}"
    return f"{first[:8]}-{first[8:]}-7000-8000-{number:012x}"


def row_of(table: sa.Table, number: int) -> dict[str, Any]:
    """A row whose moments, and whose ids, say how old it is."""
    needed = [
        column
        for column in table.columns
        if column.autoincrement is not True and (isinstance(column.type, type(Moment)) or not column.nullable)
    ]
    return {column.name: value_of(column, number) for column in needed}


def value_of(column: sa.Column[Any], number: int) -> Any:
    moment, kind = OLDEST + number * STEP, column.type
    if isinstance(kind, type(Moment)):
        return moment
    if isinstance(kind, sa.JSON):
        return {}
    if isinstance(kind, sa.SmallInteger):
        return number % 8
    if isinstance(kind, sa.String):
        return uuid_at(moment, number)[: kind.length]
    return 0 if isinstance(kind, sa.Boolean) else number


def fill(engine: sa.Engine, table: sa.Table, rows: list[dict[str, object]]) -> None:
    with engine.begin() as connection:
        connection.execute(sa.delete(table))
        insert_rows(connection, sa.insert(table), rows)
    with engine.begin() as connection:
        connection.execute(sa.text(f"ANALYZE TABLE {table.name}"))


def table_of(kind: DataKind) -> sa.Table:
    return metadata.tables[kind]


def fill_kind(engine: sa.Engine, kind: DataKind, numbers: range = FEW) -> None:
    if kind is DataKind.PRODUCT_IMPORT_ERRORS:
        fill(engine, product_imports, [row_of(product_imports, number) for number in numbers])
    fill(engine, table_of(kind), [row_of(table_of(kind), number) for number in numbers])


def fill_orders(engine: sa.Engine, numbers: range) -> None:
    """Ten events each, one after the other; every order has ended with its last event."""
    ended = {"status": "delivered", "subtotal": 0, "discount": 0, "shipping": 0, "tax": 0, "total": 0}
    first = {number - number % EVENTS_OF_AN_ORDER: row_of(orders, number) for number in reversed(numbers)}
    fill(
        engine,
        orders,
        [row | ended | {"updated_at": row["created_at"] + EVENTS_OF_AN_ORDER * STEP} for row in first.values()],
    )
    fill(
        engine,
        order_events,
        [
            row_of(order_events, number)
            | {"order_id": first[number - number % EVENTS_OF_AN_ORDER]["id"], "seq": 1 + number % EVENTS_OF_AN_ORDER}
            for number in numbers
        ],
    )


def count(engine: sa.Engine, table: sa.Table) -> int:
    with engine.connect() as connection:
        return connection.scalar(sa.select(sa.func.count()).select_from(table)) or 0


@contextmanager
def plans_of(engine: sa.Engine) -> Iterator[dict[str, list[dict[str, object]]]]:
    """How the server carries out each statement of the block, as it says at the moment when it is first sent."""
    plans: dict[str, list[dict[str, object]]] = {}

    def explain(connection: sa.Connection, _: object, statement: str, parameters: Any, *_rest: object) -> None:
        if statement in plans or not statement.startswith(("SELECT", "INSERT", "DELETE")):
            return
        cursor = connection.connection.cursor()
        if not connection.dialect.is_mariadb:  # type: ignore[attr-defined]
            cursor.execute("SET explain_format = 'TRADITIONAL'")
        cursor.execute(f"EXPLAIN {statement}", parameters)
        names = [column[0] for column in cursor.description]
        plans[statement] = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    sa.event.listen(engine, "before_cursor_execute", explain)
    yield plans
    sa.event.remove(engine, "before_cursor_execute", explain)


def check_plan(statement: str, plan: list[dict[str, object]]) -> None:
    """Every table is read by an index, only so far as a batch goes, and nothing is sorted that could be many."""
    for step in plan:
        about = (statement[:400], step)
        assert step["type"] != "ALL", about
        assert step["type"] != "index" or "LIMIT" in statement, about
        assert "filesort" not in str(step["Extra"]) or int(str(step["rows"]).split()[0]) <= BATCH, about


@pytest.mark.parametrize("kind", PURGED)
def test_what_is_old_goes_by_an_index_and_what_is_new_stays(empty: sa.Engine, kind: DataKind) -> None:
    fill_kind(empty, kind, range(ROWS))
    counts: list[int] = []
    purges = Purges(empty, Bounds(batch=BATCH))
    with plans_of(empty) as plans:
        done = purges.purge(kind, BEFORE, counts.append)
    assert (done.rows, done.finished) == (OLD, True)
    assert count(empty, table_of(kind)) == ROWS - OLD
    assert counts[-1] == OLD
    assert max(later - earlier for earlier, later in zip([0, *counts], counts, strict=False)) <= BATCH
    moments = [column for column in table_of(kind).columns if isinstance(column.type, type(Moment))]
    with empty.connect() as connection:
        oldest = [connection.scalar(sa.select(sa.func.min(column))) for column in moments]
    assert oldest == [naive(BEFORE)] * len(moments)
    assert purges.purge(kind, BEFORE).rows == 0, "a second run finds nothing"
    assert {statement.split()[0] for statement in plans} == {"SELECT", "DELETE"}
    for statement, plan in plans.items():
        check_plan(statement, plan)


def test_events_are_archived_by_indexes_from_the_oldest_on(empty: sa.Engine) -> None:
    fill_orders(empty, range(ROWS))
    for table in ASKED:
        # Of other orders; a table without rows would be read as a whole.
        distinct = {"source": "a", "target": "b"} if table is credit_entries else {}
        fill(empty, table, [row_of(table, number) | distinct for number in range(ROWS, ROWS + 2 * BATCH)])
    with plans_of(empty) as plans:
        done = Purges(empty, Bounds(rows=500, batch=500)).purge(DataKind.ORDER_EVENTS, BEFORE)
    assert (done.rows, done.finished) == (500, False)
    assert (count(empty, order_events), count(empty, order_events_archive)) == (ROWS - 500, 500)
    assert {statement.split()[0] for statement in plans} == {"SELECT", "INSERT", "DELETE"}
    for statement, plan in plans.items():
        check_plan(statement, plan)


def test_a_run_has_a_bound_and_the_next_one_goes_on(empty: sa.Engine) -> None:
    kind = DataKind.WEBHOOK_RECEIPTS
    fill_kind(empty, kind)
    purges = Purges(empty, Bounds(rows=40, batch=10))
    done = purges.purge(kind, BEFORE)
    assert (done.rows, done.finished) == (40, False)
    interrupted = purges.purge(kind, BEFORE, done=30)
    assert (interrupted.rows, interrupted.finished) == (40, False)
    assert count(empty, table_of(kind)) == len(FEW) - 50
    in_no_time = Purges(empty, Bounds(batch=10, longest=timedelta()))
    assert not in_no_time.purge(kind, BEFORE).finished
    assert Purges(empty).purge(kind, BEFORE).finished
    assert count(empty, table_of(kind)) == len(FEW) - OLD_OF_FEW


def test_two_purges_at_once_delete_each_row_once(empty: sa.Engine) -> None:
    kind = DataKind.IDEMPOTENCY_KEYS
    fill_kind(empty, kind)
    with ThreadPoolExecutor(2) as pool:
        runs = [pool.submit(Purges(empty, Bounds(batch=2)).purge, kind, BEFORE) for _ in range(2)]
        assert sum(run.result().rows for run in runs) == OLD_OF_FEW
    assert count(empty, table_of(kind)) == len(FEW) - OLD_OF_FEW


def test_a_purge_waits_for_nobody_and_lets_nobody_wait(empty: sa.Engine) -> None:
    """Somebody holds an old row; while old rows are being purged, new ones are written behind them."""
    kind, table = DataKind.LOGIN_FAILURES, table_of(DataKind.LOGIN_FAILURES)
    fill_kind(empty, kind)
    held = sa.select(table).where(table.c.subject == row_of(table, FEW[3])["subject"])
    with empty.begin() as holder:
        holder.execute(held.with_for_update()).one()
        assert Purges(empty).purge(kind, BEFORE).rows == OLD_OF_FEW - 1
    with empty.connect() as other:
        other.execute(sa.text("SET innodb_lock_wait_timeout = 1"))
        other.commit()

        def write_a_new_one(*_: object) -> None:
            other.execute(sa.insert(table).values(row_of(table, OLD) | {"subject": "account:another"}))
            other.commit()

        sa.event.listen(empty, "commit", write_a_new_one, once=True)
        assert Purges(empty).purge(kind, BEFORE).rows == 1


def test_what_kafka_does_not_have_is_not_purged(empty: sa.Engine) -> None:
    fill_kind(empty, DataKind.PRODUCT_EVENTS)
    with empty.begin() as connection:
        waiting = sa.update(product_events).where(product_events.c.occurred_at < OLDEST + FEW[10] * STEP)
        connection.execute(waiting.values(published_at=None))
    assert Purges(empty).purge(DataKind.PRODUCT_EVENTS, BEFORE).rows == OLD_OF_FEW - 10


def test_errors_of_an_old_import_that_was_taken_up_lately_stay(empty: sa.Engine) -> None:
    fill_kind(empty, DataKind.PRODUCT_IMPORT_ERRORS)
    with empty.begin() as connection:
        lately = sa.update(product_imports).where(product_imports.c.id == row_of(product_imports, FEW[5])["id"])
        connection.execute(lately.values(updated_at=NOW))
    assert Purges(empty).purge(DataKind.PRODUCT_IMPORT_ERRORS, BEFORE).rows == OLD_OF_FEW - 1
    assert count(empty, product_import_errors) == len(FEW) - OLD_OF_FEW + 1
