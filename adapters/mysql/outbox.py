"""The outboxes: events that Kafka has not acknowledged yet, published in order by any number of relays."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

import sqlalchemy as sa
from sqlalchemy.dialects.mysql import insert as mysql_insert

from adapters.mysql.clock import aware, now
from adapters.mysql.tables.catalog import product_events
from adapters.mysql.tables.orders import order_events
from adapters.mysql.tables.schema import OUTBOX_PARTITIONS
from adapters.mysql.tables.shared import outbox_partitions
from schemas.events import Event, OrderStatusChanged, ProductChanged

EventT = TypeVar("EventT", bound=Event)


@dataclass(frozen=True)
class OutboxLag:
    """How far Kafka is behind MySQL."""

    unpublished: int
    oldest_seconds: float


class Outbox(Generic[EventT]):
    """Events of one table wait here, per partition in the order they were written.

    All events of one order or product go through the same partition.
    """

    def __init__(
        self, engine: sa.Engine, name: str, events: sa.Table, message: Callable[[sa.Row[Any]], EventT]
    ) -> None:
        self._engine = engine
        self._name = name
        self._events = events
        self._message = message

    def ensure_partitions(self) -> None:
        """Create the rows that relays claim."""
        rows = [{"outbox": self._name, "partition_no": number} for number in range(OUTBOX_PARTITIONS)]
        statement = mysql_insert(outbox_partitions).values(rows)
        with self._engine.begin() as connection:
            connection.execute(
                statement.on_duplicate_key_update(partition_no=statement.inserted.partition_no),
            )

    def publish_batch(self, publish: Callable[[list[EventT]], None], limit: int = 200) -> int:
        """Publish up to `limit` events of one partition, oldest first, and answer how many; 0 when there is no work.

        `publish` returns once the broker has acknowledged all of them and raises otherwise; then none is marked and
        the next call takes them again. So an event is published at least once, and a consumer drops repeats by id.
        """
        with self._engine.begin() as connection:
            partition = self._claim(connection)
            if partition is None:
                return 0
            rows = connection.execute(
                sa.select(self._events)
                .where(self._events.c.partition_no == partition, self._events.c.published_at.is_(None))
                .order_by(self._events.c.id)
                .limit(limit)
            ).all()
            if not rows:
                return 0
            publish([self._message(row) for row in rows])
            connection.execute(
                sa.update(self._events)
                .where(self._events.c.id.in_([row.id for row in rows]))
                .values(published_at=now())
            )
            return len(rows)

    def lag(self) -> OutboxLag:
        """How many events wait, and for how long the oldest has."""
        waiting = outbox_partitions.join(
            self._events,
            sa.and_(
                self._events.c.partition_no == outbox_partitions.c.partition_no,
                self._events.c.published_at.is_(None),
            ),
        )
        with self._engine.connect() as connection:
            count, oldest = connection.execute(
                sa.select(sa.func.count(), sa.func.min(self._events.c.occurred_at))
                .select_from(waiting)
                .where(outbox_partitions.c.outbox == self._name)
            ).one()
        return OutboxLag(count, _seconds_since(oldest))

    def _claim(self, connection: sa.Connection) -> int | None:
        """Lock one partition that has events until the transaction ends, the longest waiting one first."""
        for partition in self._with_work(connection):
            claimed: int | None = connection.scalar(
                sa.select(outbox_partitions.c.partition_no)
                .where(outbox_partitions.c.outbox == self._name, outbox_partitions.c.partition_no == partition)
                .with_for_update(skip_locked=True)
            )
            if claimed is not None:
                return claimed
        return None

    def _with_work(self, connection: sa.Connection) -> Sequence[int]:
        oldest = (
            sa.select(self._events.c.id)
            .where(
                self._events.c.partition_no == outbox_partitions.c.partition_no, self._events.c.published_at.is_(None)
            )
            .order_by(self._events.c.id)
            .limit(1)
            .scalar_subquery()
        )
        partitions = (
            sa.select(outbox_partitions.c.partition_no, oldest.label("oldest"))
            .where(outbox_partitions.c.outbox == self._name)
            .subquery()
        )
        return connection.scalars(
            sa.select(partitions.c.partition_no).where(partitions.c.oldest.is_not(None)).order_by(partitions.c.oldest)
        ).all()


def order_outbox(engine: sa.Engine) -> Outbox[OrderStatusChanged]:
    """The events of orders."""
    return Outbox(engine, "orders", order_events, _order_event)


def product_outbox(engine: sa.Engine) -> Outbox[ProductChanged]:
    """The events of products."""
    return Outbox(engine, "products", product_events, _product_event)


def _order_event(row: sa.Row[Any]) -> OrderStatusChanged:
    return OrderStatusChanged(
        event_id=row.event_id,
        order_id=row.order_id,
        seq=row.seq,
        type=row.type,
        status=row.status,
        payment_status=row.payment_status,
        fulfilment_status=row.fulfilment_status,
        actor=row.actor,
        occurred_at=aware(row.occurred_at),
        data=row.data,
    )


def _product_event(row: sa.Row[Any]) -> ProductChanged:
    return ProductChanged(
        event_id=row.event_id,
        product=row.product,
        revision=row.revision,
        type=row.type,
        occurred_at=aware(row.occurred_at),
        data=row.data,
    )


def _seconds_since(moment: datetime | None) -> float:
    return max(0.0, (now() - moment).total_seconds()) if moment else 0.0
