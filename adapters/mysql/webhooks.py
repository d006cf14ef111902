"""Receipts of webhooks, by which a replayed delivery is recognised."""

from datetime import UTC, datetime

import sqlalchemy as sa
from sqlalchemy.dialects.mysql import insert

from adapters.mysql.tables.shared import webhook_receipts


class WebhookReceipts:
    """Which deliveries of each sender were processed, and with what outcome."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def seen(self, source: str, event_id: str) -> bool:
        """Whether this delivery was processed before."""
        query = sa.select(sa.literal(1)).where(
            webhook_receipts.c.source == source, webhook_receipts.c.event_id == event_id
        )
        with self._engine.connect() as connection:
            return connection.scalar(query) is not None

    def record(self, source: str, event_id: str, event_type: str, outcome: str) -> None:
        """Record the outcome of the delivery; the first record stays."""
        row = {
            "source": source,
            "event_id": event_id,
            "type": event_type,
            "outcome": outcome,
            "received_at": datetime.now(UTC),
        }
        with self._engine.begin() as connection:
            connection.execute(insert(webhook_receipts).values(row).prefix_with("IGNORE"))
