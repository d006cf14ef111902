"""Which mails were sent: the Notification service's table."""

import sqlalchemy as sa
from sqlalchemy.dialects.mysql import insert as mysql_insert

from adapters.mysql.clock import now
from adapters.mysql.tables.shared import notifications

MAIL = "mail"


class SentNotifications:
    """One row per event and channel, so that an event is notified once."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def get(self, event_id: str, channel: str = MAIL) -> str | None:
        """The id of the message that was sent for the event, if any."""
        with self._engine.connect() as connection:
            found: str | None = connection.scalar(
                sa.select(notifications.c.message_id).where(
                    notifications.c.event_id == event_id, notifications.c.channel == channel
                )
            )
        return found

    def record(self, event_id: str, order_id: str, recipient: str, message_id: str, channel: str = MAIL) -> None:
        """Record that the event's message was sent; the first record stays."""
        statement = mysql_insert(notifications).values(
            event_id=event_id,
            channel=channel,
            order_id=order_id,
            recipient=recipient,
            message_id=message_id,
            sent_at=now(),
        )
        with self._engine.begin() as connection:
            connection.execute(statement.on_duplicate_key_update(event_id=statement.inserted.event_id))
