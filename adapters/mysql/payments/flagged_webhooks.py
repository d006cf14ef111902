"""Webhooks whose amounts contradict the ledger, kept for review."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.mysql import insert

from adapters.mysql.clock import aware, now
from adapters.mysql.tables.payments import flagged_webhooks
from domain.errors import NotFound
from schemas.webhooks import FlaggedWebhook, FlaggedWebhookPage, FlaggedWebhookView


class FlaggedWebhooks:
    """Stores flagged webhooks and their reviews."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def keep(self, flagged: FlaggedWebhook) -> None:
        """Store it once, however often it is delivered."""
        row = {**flagged.model_dump(mode="json"), "received_at": now(), "reviewed": False}
        with self._engine.begin() as connection:
            connection.execute(insert(flagged_webhooks).values(row).prefix_with("IGNORE"))

    def review(self, event_id: str, actor: str, reason: str) -> FlaggedWebhookView:
        """Record a review; the first one stays. Raises NotFound."""
        mine = flagged_webhooks.c.event_id == event_id
        values = {"reviewed": True, "reviewed_at": now(), "reviewed_by": actor, "review": reason}
        with self._engine.begin() as connection:
            connection.execute(
                sa.update(flagged_webhooks).where(mine, sa.not_(flagged_webhooks.c.reviewed)).values(values)
            )
            row = connection.execute(sa.select(flagged_webhooks).where(mine)).one_or_none()
        if row is None:
            raise NotFound(f"There is no flagged webhook {event_id}.")
        return _view(row)

    def page(self, cursor: tuple[bool, int] | None, limit: int) -> FlaggedWebhookPage:
        """Those not reviewed first; `cursor` is whether the last row was reviewed, and its number."""
        unseen, number = sa.not_(flagged_webhooks.c.reviewed), flagged_webhooks.c.number
        query = sa.select(flagged_webhooks)
        if cursor is not None:
            reviewed, after = cursor
            query = query.where(sa.tuple_(unseen, number) < sa.tuple_(not reviewed, after))
        with self._engine.connect() as connection:
            rows = connection.execute(query.order_by(unseen.desc(), number.desc()).limit(limit + 1)).all()
        following = f"{int(rows[limit - 1].reviewed)}-{rows[limit - 1].number}" if len(rows) > limit else None
        return FlaggedWebhookPage(items=[_view(row) for row in rows[:limit]], next_cursor=following)


def _view(row: sa.Row[Any]) -> FlaggedWebhookView:
    return FlaggedWebhookView(
        event_id=row.event_id,
        type=row.type,
        order_id=row.order_id,
        payment_id=row.payment_id,
        differences=row.differences,
        received_at=aware(row.received_at),
        reviewed=row.reviewed,
        reviewed_at=aware(row.reviewed_at) if row.reviewed_at else None,
        reviewed_by=row.reviewed_by,
        review=row.review,
    )
