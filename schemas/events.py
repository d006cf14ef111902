"""What goes over Kafka: the data of a CloudEvents 1.0 event in binary mode."""

from datetime import datetime

from domain.orders import FulfilmentStatus, OrderStatus, PaymentStatus
from schemas.base import Payload

ORDERS_TOPIC = "orders.status.v1"
PAYMENTS_TOPIC = "payments.v1"
PRODUCTS_TOPIC = "catalog.products.v1"
TOPICS = (ORDERS_TOPIC, PAYMENTS_TOPIC, PRODUCTS_TOPIC)
EVENT_TYPE_PREFIX = "com.orderengine."
EVENT_TYPE_SUFFIX = ".v1"


def dead_letters(topic: str) -> str:
    """The topic that takes what a consumer of `topic` could not read."""
    return f"{topic}.dlq"


class OrderStatusChanged(Payload):
    """Each committed change of an order, key = order id; `seq` is gap-free from 1 within the order."""

    event_id: str
    order_id: str
    seq: int
    type: str
    status: OrderStatus
    payment_status: PaymentStatus
    fulfilment_status: FulfilmentStatus
    actor: str
    occurred_at: datetime
    data: dict[str, object] = {}
