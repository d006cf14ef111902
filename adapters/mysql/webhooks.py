"""Receipts of webhooks: what makes a replayed delivery recognisable."""

from datetime import UTC, datetime

import sqlalchemy as sa
from sqlalchemy.dialects.mysql import insert

from adapters.mysql.tables.shared import webhook_receipts


class WebhookReceipts:
    """Which deliveries of which sender were dealt with, and how."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def seen(self, source: str, event_id: str) -> bool:
        """Whether this delivery was dealt with before."""
        query = sa.select(sa.literal(1)).where(
            webhook_receipts.c.source == source, webhook_receipts.c.event_id == event_id
        )
        with self._engine.connect() as connection:
            return connection.scalar(query) is not None

    def record(self, source: str, event_id: str, event_type: str, outcome: str) -> None:
        """Note how the delivery was dealt with; a second note about it changes nothing."""
        row = {
            "source": source,
            "event_id": event_id,
            "type": event_type,
            "outcome": outcome,
            "received_at": datetime.now(UTC),
        }
        with self._engine.begin() as connection:
            connection.execute(insert(webhook_receipts).values(row).prefix_with("IGNORE"))
