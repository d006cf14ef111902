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


class Event(Payload):
    """What every event has; `type` is an EventType, or one that a newer release knows, without what it travels with."""

    event_id: str
    type: str
    occurred_at: datetime

    @property
    def source(self) -> str:
        """The CloudEvents source: which collection the subject is in."""
        raise NotImplementedError

    @property
    def aggregate_id(self) -> str:
        """What it is about: the subject and the Kafka key, so that events about one thing stay in order."""
        raise NotImplementedError


class OrderStatusChanged(Event):
    """Each committed change of an order, key = order id; `seq` is gap-free from 1 within the order."""

    order_id: str
    seq: int
    status: OrderStatus
    payment_status: PaymentStatus
    fulfilment_status: FulfilmentStatus
    actor: str
    data: dict[str, object] = {}

    @property
    def source(self) -> str:
        """Orders."""
        return "/orders"

    @property
    def aggregate_id(self) -> str:
        """The order."""
        return self.order_id


class ProductChanged(Event):
    """Something about a product is no longer as it was: `product.*` its data, `stock.*` whether it can be had.

    Key = product code. `revision` grows by one with each event of a product, in the order of commits; whoever wants
    the state reads it from the owner.
    """

    product: str
    revision: int
    data: dict[str, object] = {}

    @property
    def source(self) -> str:
        """Products."""
        return "/products"

    @property
    def aggregate_id(self) -> str:
        """The product."""
        return self.product
