"""Notifications of customers: one event to one recipient over one channel."""

from schemas.base import Payload


class NotificationInput(Payload):
    """Send the mail for this event; the workflow id is `notification-<event_id>`."""

    event_id: str
    order_id: str
    seq: int
    type: str
    data: dict[str, object] = {}


class NotificationSent(Payload):
    """The mail server accepted the message; `repeated` when an earlier attempt had already sent it."""

    message_id: str
    repeated: bool = False
