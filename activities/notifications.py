"""Notifications of customers: one mail per event."""

from typing import TYPE_CHECKING

from temporalio import activity

from activities.failures import typed_failures
from domain.errors import NotFound
from schemas.notifications import NotificationInput, NotificationSent

if TYPE_CHECKING:
    from adapters.mail.mailer import Mailer
    from adapters.mysql.notifications import SentNotifications
    from adapters.mysql.orders.orders import OrderStore


class NotificationActivities:
    """Calls to the mail server are regular activities."""

    def __init__(self, orders: "OrderStore", sent: "SentNotifications", mailer: "Mailer") -> None:
        self._orders = orders
        self._sent = sent
        self._mailer = mailer

    @activity.defn
    def send_mail(self, event: NotificationInput) -> NotificationSent:
        """Send the mail for the event unless an earlier attempt has.

        A crash between the mail server's answer and our record sends it again, under the same Message-ID.
        """
        with typed_failures():
            if message_id := self._sent.get(event.event_id):
                return NotificationSent(message_id=message_id, repeated=True)
            order = self._orders.get(event.order_id)
            if order is None:
                raise NotFound(f"There is no order {event.order_id}.")
            message = self._mailer.compose(order, event)
            self._mailer.send(message)
            self._sent.record(event.event_id, order.id, order.email, message["Message-ID"])
            return NotificationSent(message_id=message["Message-ID"])
