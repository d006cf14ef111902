"""The outbox publishes what was committed, in order, and forgets nothing."""

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa
import uuid_utils

from adapters.connections import Connections
from adapters.mysql.catalog.products import Catalog
from adapters.mysql.history import Change, append, lock_order
from adapters.mysql.outbox import Outbox, order_outbox, product_outbox
from adapters.mysql.tables.catalog import product_events
from adapters.mysql.tables.orders import order_events, orders
from dev.testbed import Testbed
from domain.events import EventType
from schemas.events import OrderStatusChanged, ProductChanged
from tests.fixture_types import MakeProduct

WriteEvents = Callable[[int], str]


@pytest.fixture(scope="module", autouse=True)
def no_other_relay(bed: Testbed) -> Iterator[None]:
    """The engine's own relay, started by other tests, would publish what these wait to publish themselves."""
    with bed.without("relay"):
        yield


@pytest.fixture
def outbox(connections: Connections) -> Iterator[Outbox[OrderStatusChanged]]:
    """An outbox without events of earlier tests."""
    outbox = order_outbox(connections.engine)
    outbox.ensure_partitions()
    while outbox.publish_batch(lambda _events: None):
        pass
    yield outbox
    while outbox.publish_batch(lambda _events: None):
        pass


@pytest.fixture
def write_events(connections: Connections) -> WriteEvents:
    """Record an order with so many events, answer its id."""

    def write(count: int) -> str:
        order_id = str(uuid_utils.uuid7())
        moment = datetime.now(UTC).replace(tzinfo=None)
        with connections.engine.begin() as connection:
            connection.execute(
                sa.insert(orders).values(
                    id=order_id, customer_id=str(uuid_utils.uuid7()), email="a@shop.example", status="pending",
                    payment_status="not_paid", fulfilment_status="unfulfilled", currency="EUR", subtotal=1, shipping=0,
                    tax=0, total=1, cart_id=str(uuid_utils.uuid7()), cart_version=1, shipping_address={},
                    shipping_method="standard", created_at=moment, updated_at=moment,
                )
            )  # fmt: skip
        for number in range(count):
            with connections.engine.begin() as connection:
                change = Change(f"step-{number}", EventType.ORDER_PLACED, "system", {"number": number})
                append(connection, lock_order(connection, order_id), change)
        return order_id

    return write


def _waiting(connections: Connections, order_id: str) -> int:
    query = sa.select(sa.func.count()).where(order_events.c.order_id == order_id, order_events.c.published_at.is_(None))
    with connections.engine.connect() as connection:
        return connection.scalar(query) or 0


def test_events_of_an_order_are_published_once_and_in_order(
    outbox: Outbox[OrderStatusChanged], write_events: WriteEvents
) -> None:
    order_id = write_events(5)
    seen: list[OrderStatusChanged] = []
    while outbox.publish_batch(seen.extend, limit=2):
        pass
    assert [(event.order_id, event.seq) for event in seen] == [(order_id, seq) for seq in range(1, 6)]
    assert seen[0].occurred_at.tzinfo is not None
    assert seen[4].data == {"number": 4}


class TwoAtOnce:
    """Two threads wait for each other, once: that both work at the same moment is certain."""

    def __init__(self) -> None:
        self._barrier = threading.Barrier(2)
        self.met: set[int] = set()

    def meet(self) -> None:
        if threading.get_ident() not in self.met:
            self._barrier.wait(120)
            self.met.add(threading.get_ident())


def test_two_relays_at_once_keep_the_order_within_each_order(
    outbox: Outbox[OrderStatusChanged], write_events: WriteEvents, connections: Connections
) -> None:
    with ThreadPoolExecutor(8) as pool:
        placed = list(pool.map(write_events, [6] * 16))
    seen: dict[str, list[int]] = defaultdict(list)
    lock, relays = threading.Lock(), TwoAtOnce()

    def publish(events: list[OrderStatusChanged]) -> None:
        relays.meet()
        with lock:
            for event in events:
                seen[event.order_id].append(event.seq)

    def relay() -> None:
        idle = 0
        while idle < 5:
            idle = 0 if order_outbox(connections.engine).publish_batch(publish, limit=4) else idle + 1
            time.sleep(0.005)

    with ThreadPoolExecutor(2) as pool:
        for future in [pool.submit(relay) for _ in range(2)]:
            future.result()
    assert {order: seen[order] for order in placed} == {order: list(range(1, 7)) for order in placed}
    assert len(relays.met) == 2


def test_two_relays_at_once_keep_the_order_within_each_product(
    connections: Connections, make_product: MakeProduct
) -> None:
    skus = [make_product(stock=0) for _ in range(12)]
    catalog = Catalog(connections.engine)
    seen: dict[str, list[int]] = defaultdict(list)
    published: set[str] = set()
    edited, lock, relays = threading.Event(), threading.Lock(), TwoAtOnce()

    def edit(sku: str) -> None:
        product = catalog.products([sku])[sku]
        for turn in range(6):
            catalog.put_many([product.model_copy(update={"name": f"Test product, edit {turn}"})])

    def publish(events: list[ProductChanged]) -> None:
        relays.meet()
        with lock:
            for event in events:
                seen[event.product].append(event.revision)
                published.add(event.event_id)

    def relay() -> None:
        outbox = product_outbox(connections.engine)
        while outbox.publish_batch(publish, limit=4) or not edited.is_set() or outbox.lag().unpublished:
            time.sleep(0.005)

    with ThreadPoolExecutor(6) as pool:
        relaying = [pool.submit(relay) for _ in range(2)]
        try:
            list(pool.map(edit, skus))
        finally:
            edited.set()
        for future in relaying:
            future.result()
    # None of them is on Kafka; tests that come later compare the index with all products.
    with connections.engine.begin() as connection:
        connection.execute(
            sa.update(product_events).where(product_events.c.event_id.in_(published)).values(published_at=None)
        )
    assert {sku: seen[sku] for sku in skus} == {sku: list(range(1, 8)) for sku in skus}
    assert len(relays.met) == 2


def test_failure_to_publish_loses_nothing(
    outbox: Outbox[OrderStatusChanged], write_events: WriteEvents, connections: Connections
) -> None:
    order_id = write_events(3)

    def refuse(_events: list[OrderStatusChanged]) -> None:
        raise ConnectionError("no broker")

    with pytest.raises(ConnectionError):
        outbox.publish_batch(refuse)
    assert _waiting(connections, order_id) == 3
    seen: list[OrderStatusChanged] = []
    outbox.publish_batch(seen.extend)
    assert [event.seq for event in seen] == [1, 2, 3]


def test_a_partition_locked_by_one_relay_is_left_alone_by_the_other(
    outbox: Outbox[OrderStatusChanged], write_events: WriteEvents, connections: Connections
) -> None:
    write_events(1)
    found: list[int] = []

    def publish(_events: list[OrderStatusChanged]) -> None:
        found.append(order_outbox(connections.engine).publish_batch(lambda _: pytest.fail("published twice")))

    assert outbox.publish_batch(publish) == 1
    assert found == [0]


def test_lag_is_how_many_events_wait_and_for_how_long(
    outbox: Outbox[OrderStatusChanged], write_events: WriteEvents
) -> None:
    assert outbox.lag().unpublished == 0
    write_events(2)
    time.sleep(0.1)
    lag = outbox.lag()
    assert lag.unpublished == 2
    assert 0.1 <= lag.oldest_seconds < 60
