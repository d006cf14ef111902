"""Events of orders that ended long ago move to the archive, and whoever reads a history sees no difference."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
import uuid_utils

from adapters.connections import Connections
from adapters.mysql.clock import aware, naive, now
from adapters.mysql.event_archive import archive_events
from adapters.mysql.history import Change, append, latest, lock_order, recorded
from adapters.mysql.orders.fulfilment import Parcels
from adapters.mysql.orders.orders import OrderStore
from adapters.mysql.retention import Bounds, Purges
from adapters.mysql.tables.orders import operator_tasks, order_events, order_events_archive, orders, parcels
from adapters.mysql.tables.payments import (
    credit_accounts,
    credit_entries,
    disputes,
    ledger_postings,
    payment_differences,
    payment_entries,
    refunds,
)
from adapters.mysql.tables.stock import reservations
from domain.events import EventType
from domain.orders import OrderStatus
from domain.retention import DataKind
from schemas.orders import OrderHistory, RecordStatus
from tests.adapters.test_stock import order_of
from tests.fixture_types import MakeProduct

LONG_AGO = naive(datetime.now(UTC)) - timedelta(days=1000)
YEARS = timedelta(days=900)
Ended = Callable[[], str]
EVERYTHING = 1_000_000


@pytest.fixture
def ended(connections: Connections, make_product: MakeProduct) -> Ended:
    """An order that failed years ago, with nothing left to do."""
    store = OrderStore(connections.engine)

    def make() -> str:
        order_id = store.place(order_of({make_product(): 1})).order_id
        failed = RecordStatus(
            order_id=order_id,
            step="fail",
            status=OrderStatus.FAILED,
            event_type=EventType.ORDER_FAILED,
            actor="system",
        )
        store.record_status(failed)
        published = {"occurred_at": LONG_AGO, "published_at": LONG_AGO}
        with connections.engine.begin() as connection:
            connection.execute(sa.update(order_events).where(order_events.c.order_id == order_id).values(published))
            connection.execute(sa.update(orders).where(orders.c.id == order_id).values(updated_at=LONG_AGO))
            connection.execute(sa.update(parcels).where(parcels.c.order_id == order_id).values(status="cancelled"))
            connection.execute(sa.update(reservations).where(reservations.c.order_id == order_id).values(open=False))
        return order_id

    return make


def archive(connections: Connections) -> int:
    """What is older than some years; other tests' orders, whose events may have been written before, are not."""
    purges = Purges(connections.engine, Bounds(batch=EVERYTHING))
    return purges.purge(DataKind.ORDER_EVENTS, aware(now() - YEARS)).rows


def counts(connections: Connections, order_id: str) -> tuple[int, int]:
    """The order's events in the table of the live ones, and in the archive."""
    with connections.engine.connect() as connection:
        live, archived = (
            connection.scalar(sa.select(sa.func.count()).where(table.c.order_id == order_id)) or 0
            for table in (order_events, order_events_archive)
        )
    return live, archived


def history(connections: Connections, order_id: str, after: int = 0, limit: int = 200) -> OrderHistory:
    return OrderStore(connections.engine).history(order_id, after, limit)


def test_a_history_stays_as_it_is_when_it_is_archived(connections: Connections, ended: Ended) -> None:
    order_id = ended()
    before = history(connections, order_id)
    number = len(before.items)
    assert number > 1
    assert archive(connections) >= number
    assert counts(connections, order_id) == (0, number)
    assert history(connections, order_id) == before
    assert archive(connections) == 0
    assert counts(connections, order_id) == (0, number)


def test_what_happens_later_follows_without_a_gap(connections: Connections, ended: Ended) -> None:
    order_id = ended()
    archive(connections)
    number = counts(connections, order_id)[1]
    with connections.engine.begin() as connection:
        locked = lock_order(connection, order_id)
        last = latest(connection, locked)
        assert last is not None
        assert last.seq == number
        later = append(connection, locked, Change("later", EventType.PAYMENT_DISPUTED, "system", {}))
        assert later.seq == number + 1
        assert recorded(connection, order_id, "later") == later
        assert recorded(connection, order_id, "fail") == last
    assert counts(connections, order_id) == (1, number)
    assert [event.seq for event in history(connections, order_id).items] == list(range(1, number + 2))
    page = history(connections, order_id, after=number - 1, limit=1)
    assert ([event.seq for event in page.items], page.next_cursor) == ([number], str(number))
    age_again(connections, order_id)
    archive(connections)
    assert counts(connections, order_id) == (0, number + 1)


def age_again(connections: Connections, order_id: str) -> None:
    with connections.engine.begin() as connection:
        mine = order_events.c.order_id == order_id
        connection.execute(sa.update(order_events).where(mine).values(published_at=LONG_AGO, occurred_at=LONG_AGO))
        connection.execute(sa.update(orders).where(orders.c.id == order_id).values(updated_at=LONG_AGO))


def test_a_repeat_of_an_archived_step_changes_nothing(connections: Connections, ended: Ended) -> None:
    order_id = ended()
    before = history(connections, order_id)
    archive(connections)
    again = RecordStatus(
        order_id=order_id,
        step="fail",
        status=OrderStatus.FAILED,
        event_type=EventType.ORDER_FAILED,
        actor="system",
    )
    assert OrderStore(connections.engine).record_status(again).seq == len(before.items)
    assert history(connections, order_id) == before


def test_how_often_a_parcel_was_booked_is_read_from_the_archive(connections: Connections, ended: Ended) -> None:
    order_id = ended()
    with connections.engine.begin() as connection:
        for number in (1, 2):
            change = Change(f"parcel-1:booked:{number}", EventType.PARCEL_BOOKED, "system", {})
            append(connection, lock_order(connection, order_id), change)
    age_again(connections, order_id)
    booking = Parcels(connections.engine).read(order_id, 1).booking
    assert booking == 2
    archive(connections)
    assert counts(connections, order_id)[0] == 0
    assert Parcels(connections.engine).read(order_id, 1).booking == booking


def test_two_archivings_at_once_move_each_order_once(connections: Connections, ended: Ended) -> None:
    order_id = ended()
    before = history(connections, order_id)
    moment = now() - YEARS
    one, other = (archive_events(connections.engine, moment, EVERYTHING) for _ in range(2))
    moved = [next(one), next(other, 0), *one, *other]
    assert moved[0] >= len(before.items)
    assert sum(moved[1:]) == 0
    assert history(connections, order_id) == before


def make_open_order(order_id: str) -> sa.UpdateBase:
    return sa.update(orders).where(orders.c.id == order_id).values(status="processing")


def change_lately(order_id: str) -> sa.UpdateBase:
    return sa.update(orders).where(orders.c.id == order_id).values(updated_at=now())


def unpublish(order_id: str) -> sa.UpdateBase:
    return sa.update(order_events).where(order_events.c.order_id == order_id).values(published_at=None)


def send_parcel(order_id: str) -> sa.UpdateBase:
    return sa.update(parcels).where(parcels.c.order_id == order_id).values(status="in_transit")


def reserve(order_id: str) -> sa.UpdateBase:
    return sa.update(reservations).where(reservations.c.order_id == order_id).values(open=True)


def promise_refund(order_id: str) -> sa.UpdateBase:
    row = {"id": new_id(), "order_id": order_id, "amount": 1, "currency": "EUR", "reason": "test", "actor": "system"}
    return sa.insert(refunds).values(row | {"status": "pending", "created_at": LONG_AGO})


def dispute(order_id: str) -> sa.UpdateBase:
    row = {"id": new_id(), "order_id": order_id, "payment_id": "pi", "amount": 1, "currency": "EUR", "reason": "fraud"}
    moments = {"opened_at": LONG_AGO, "updated_at": LONG_AGO}
    return sa.insert(disputes).values(row | moments | {"status": "needs_response", "open": True, "actions": {}})


def find_difference(order_id: str) -> sa.UpdateBase:
    row = {
        "live_key": new_id(),
        "kind": "missing_in_ledger",
        "subject": "pi",
        "order_id": order_id,
        "repair": "manual_review",
    }
    moments = {"first_seen_at": LONG_AGO, "last_seen_at": LONG_AGO}
    return sa.insert(payment_differences).values(row | moments | {"repair_amount": 0, "status": "open"})


def need_operator(order_id: str) -> sa.UpdateBase:
    row = {"workflow_id": new_id(), "task_key": "0", "order_id": order_id, "code": "parcel_lost"}
    moments = {"since": LONG_AGO, "updated_at": LONG_AGO}
    text = {"about": "", "text": "", "outlasts": True, "revision": 1}
    return sa.insert(operator_tasks).values(row | moments | text)


def new_id() -> str:
    return str(uuid_utils.uuid7())


@pytest.mark.parametrize(
    "unfinished",
    [
        make_open_order,
        change_lately,
        unpublish,
        send_parcel,
        reserve,
        promise_refund,
        dispute,
        find_difference,
        need_operator,
    ],
)
def test_an_order_with_something_left_to_do_is_not_archived(
    connections: Connections, ended: Ended, unfinished: Callable[[str], sa.UpdateBase]
) -> None:
    order_id, other = ended(), ended()
    number = counts(connections, order_id)[0]
    with connections.engine.begin() as connection:
        connection.execute(unfinished(order_id))
    archive(connections)
    assert counts(connections, order_id) == (number, 0)
    assert counts(connections, other) == (0, number), "it holds up no other"
    finish(connections, order_id)


def finish(connections: Connections, order_id: str) -> None:
    """So that no later test finds it."""
    with connections.engine.begin() as connection:
        for table in (refunds, disputes, payment_differences, operator_tasks):
            connection.execute(sa.delete(table).where(table.c.order_id == order_id))
        connection.execute(sa.update(parcels).where(parcels.c.order_id == order_id).values(status="cancelled"))
        connection.execute(sa.update(reservations).where(reservations.c.order_id == order_id).values(open=False))
        done = {"status": "failed", "updated_at": LONG_AGO}
        connection.execute(sa.update(orders).where(orders.c.id == order_id).values(done))
    age_again(connections, order_id)


def test_an_order_that_holds_money_is_not_archived(connections: Connections, ended: Ended) -> None:
    by_card, by_credit = ended(), ended()
    with connections.engine.begin() as connection:
        entry = {"kind": "authorization", "amount": 5, "currency": "EUR", "provider_id": "pi", "occurred_at": LONG_AGO}
        written = connection.execute(
            sa.insert(payment_entries).values(entry | {"order_id": by_card, "idempotency_key": new_id()})
        )
        (entry_id,) = written.inserted_primary_key or (0,)
        sides = [("held", 5), ("promised", -5)]
        connection.execute(
            sa.insert(ledger_postings),
            [{"entry_id": entry_id, "account": account, "amount": amount} for account, amount in sides],
        )
        customer = new_id()
        connection.execute(sa.insert(credit_accounts).values(customer_id=customer, created_at=LONG_AGO))
        credit = {"kind": "authorize", "source": "available", "target": "held", "amount": 5, "currency": "EUR"}
        about = {"customer_id": customer, "order_id": by_credit, "actor": "system", "idempotency_key": new_id()}
        connection.execute(sa.insert(credit_entries).values(credit | about | {"occurred_at": LONG_AGO}))
    archive(connections)
    assert counts(connections, by_card)[1] == counts(connections, by_credit)[1] == 0
    with connections.engine.begin() as connection:
        connection.execute(sa.delete(ledger_postings).where(ledger_postings.c.entry_id == entry_id))
        connection.execute(sa.delete(payment_entries).where(payment_entries.c.id == entry_id))
        connection.execute(sa.delete(credit_entries).where(credit_entries.c.customer_id == customer))
    archive(connections)
    assert counts(connections, by_card)[0] == counts(connections, by_credit)[0] == 0
