"""The audit log of security: who did what to whose account, from where. Rows are only ever added."""

from datetime import UTC
from typing import Any

import sqlalchemy as sa

from adapters.mysql.clock import now
from adapters.mysql.tables.identity import security_events
from domain.events import SecurityEventType
from schemas.security import SecurityEvent, SecurityEventPage

_LONGEST_ACTOR = 100
_LONGEST_ADDRESS = 64


class SecurityEvents:
    """Writes and shows the audit log."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def record(
        self,
        type: SecurityEventType,  # noqa: A002 - the column's name
        *,
        user_id: str | None,
        actor: str,
        address: str | None = None,
        **data: Any,
    ) -> None:
        """Note that `actor` did `type` to the account `user_id`, calling from `address`; `data` holds no secret."""
        row = {
            "occurred_at": now(),
            "type": type,
            "user_id": user_id,
            "actor": actor[:_LONGEST_ACTOR],
            "address": address[:_LONGEST_ADDRESS] if address else None,
            "data": data,
        }
        with self._engine.begin() as connection:
            connection.execute(sa.insert(security_events).values(row))

    def page(self, before: int | None, limit: int, user_id: str | None = None) -> SecurityEventPage:
        """Up to `limit` events older than the event `before`, newest first, of one account or of all."""
        query = sa.select(security_events).order_by(security_events.c.id.desc()).limit(limit + 1)
        if before is not None:
            query = query.where(security_events.c.id < before)
        if user_id is not None:
            query = query.where(security_events.c.user_id == user_id)
        with self._engine.connect() as connection:
            rows = connection.execute(query).mappings().all()
        items = [
            SecurityEvent.model_validate(dict(row, occurred_at=row["occurred_at"].replace(tzinfo=UTC)))
            for row in rows[:limit]
        ]
        return SecurityEventPage(items=items, next_cursor=str(items[-1].id) if len(rows) > limit else None)
