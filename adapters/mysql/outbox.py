"""The outbox: order events that Kafka has not acknowledged yet, published in order by any number of relays."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects.mysql import insert as mysql_insert

from adapters.mysql.history import now
from adapters.mysql.order_views import aware
from adapters.mysql.tables import OUTBOX_PARTITIONS, order_events, outbox_partitions
from schemas.events import OrderStatusChanged


@dataclass(frozen=True)
class OutboxLag:
    """How far Kafka is behind MySQL."""

    unpublished: int
    oldest_seconds: float


class Outbox:
    """Events wait here, per partition in the order they were written; an order always falls into the same partition."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def ensure_partitions(self) -> None:
        """Make the rows that relays claim."""
        rows = [{"partition_no": number} for number in range(OUTBOX_PARTITIONS)]
        statement = mysql_insert(outbox_partitions).values(rows)
        with self._engine.begin() as connection:
            connection.execute(
                statement.on_duplicate_key_update(partition_no=statement.inserted.partition_no),
            )

    def publish_batch(self, publish: Callable[[list[OrderStatusChanged]], None], limit: int = 200) -> int:
        """Publish up to `limit` events of one partition, oldest first, and answer how many; 0 when there is no work.

        `publish` returns once the broker has acknowledged all of them and raises otherwise; then none is marked and
        the next call takes them again. So an event is published at least once, and a consumer drops repeats by id.
        """
        with self._engine.begin() as connection:
            partition = self._claim(connection)
            if partition is None:
                return 0
            rows = connection.execute(
                sa.select(order_events)
                .where(order_events.c.partition_no == partition, order_events.c.published_at.is_(None))
                .order_by(order_events.c.id)
                .limit(limit)
            ).all()
            if not rows:
                return 0
            publish([_event(row) for row in rows])
            connection.execute(
                sa.update(order_events)
                .where(order_events.c.id.in_([row.id for row in rows]))
                .values(published_at=now())
            )
            return len(rows)

    def lag(self) -> OutboxLag:
        """How many events wait, and for how long the oldest has."""
        waiting = outbox_partitions.join(
            order_events,
            sa.and_(
                order_events.c.partition_no == outbox_partitions.c.partition_no,
                order_events.c.published_at.is_(None),
            ),
        )
        with self._engine.connect() as connection:
            count, oldest = connection.execute(
                sa.select(sa.func.count(), sa.func.min(order_events.c.occurred_at)).select_from(waiting)
            ).one()
        return OutboxLag(count, _seconds_since(oldest))

    def _claim(self, connection: sa.Connection) -> int | None:
        """Hold one partition that has work until the transaction ends; the one that waited longest comes first."""
        for partition in self._with_work(connection):
            claimed: int | None = connection.scalar(
                sa.select(outbox_partitions.c.partition_no)
                .where(outbox_partitions.c.partition_no == partition)
                .with_for_update(skip_locked=True)
            )
            if claimed is not None:
                return claimed
        return None

    def _with_work(self, connection: sa.Connection) -> Sequence[int]:
        oldest = (
            sa.select(order_events.c.id)
            .where(
                order_events.c.partition_no == outbox_partitions.c.partition_no, order_events.c.published_at.is_(None)
            )
            .order_by(order_events.c.id)
            .limit(1)
            .scalar_subquery()
        )
        partitions = sa.select(outbox_partitions.c.partition_no, oldest.label("oldest")).subquery()
        return connection.scalars(
            sa.select(partitions.c.partition_no).where(partitions.c.oldest.is_not(None)).order_by(partitions.c.oldest)
        ).all()


def _event(row: sa.Row[tuple[object, ...]]) -> OrderStatusChanged:
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


def _seconds_since(moment: datetime | None) -> float:
    return max(0.0, (now() - moment).total_seconds()) if moment else 0.0
