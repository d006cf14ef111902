"""Events on Kafka: the data of a CloudEvents 1.0 event in binary mode."""

from datetime import datetime

from domain.orders import FulfilmentStatus, OrderStatus, PaymentStatus
from schemas.base import Open, Payload

ORDERS_TOPIC = "orders.status.v1"
PAYMENTS_TOPIC = "payments.v1"
PRODUCTS_TOPIC = "catalog.products.v1"
TOPICS = (ORDERS_TOPIC, PAYMENTS_TOPIC, PRODUCTS_TOPIC)
EVENT_TYPE_PREFIX = "com.orderengine."
EVENT_TYPE_SUFFIX = ".v1"


def dead_letters(topic: str) -> str:
    """The topic for messages that a consumer of `topic` could not read."""
    return f"{topic}.dlq"


class Event(Payload):
    """The fields of every event; `type` is an EventType, or one of a newer release, without its CloudEvents prefix."""

    event_id: str
    type: str
    occurred_at: datetime

    @property
    def source(self) -> str:
        """The CloudEvents source: the collection of the subject."""
        raise NotImplementedError

    @property
    def aggregate_id(self) -> str:
        """The subject and the Kafka key, so that events about one subject stay in order."""
        raise NotImplementedError


class OrderStatusChanged(Event):
    """A committed change of an order. Key: order id; `seq` counts from 1 within the order, without gaps."""

    order_id: str
    seq: int
    status: Open[OrderStatus]
    payment_status: Open[PaymentStatus]
    fulfilment_status: Open[FulfilmentStatus]
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
    """A change of a product: `product.*` of its data, `stock.*` of its availability.

    Key: product code. `revision` grows by one with each event of a product, in the order of commits; the state is
    read from the owning service. Types: product.created, product.changed, product.archived,
    product.price_changed, stock.low, stock.out, stock.back.
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
