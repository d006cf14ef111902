"""The order: what is recorded of it and what is shown of it."""

from datetime import datetime
from typing import Annotated

from pydantic import Field, StringConstraints

from domain.fulfilment import ParcelStatus
from domain.orders import FulfilmentStatus, OrderStatus, PaymentStatus
from schemas.base import Address, Money, Payload, Request
from schemas.checkout import CheckoutInput, PricedOrder


class PlaceOrder(Payload):
    """Record the order and reserve its stock, both or neither; repeat-safe by order id."""

    order: CheckoutInput
    quote: PricedOrder


class ParcelPlan(Payload):
    """What one warehouse, standing in `country`, ships of the order. `amount` is its share of the order's total."""

    number: int
    warehouse: str
    country: str
    lines: list["ParcelLine"]
    amount: int
    weight_grams: int

    @property
    def backordered(self) -> int:
        """Units that had yet to arrive when the order was placed: the parcel waits for them."""
        return sum(line.backordered for line in self.lines)


class ParcelLine(Payload):
    """So many units of a SKU in a parcel; `backordered` of them have yet to arrive in the warehouse."""

    sku: str
    quantity: int
    backordered: int = 0


class OrderPlaced(Payload):
    """The order is recorded and its stock is reserved in these parcels, for `hold_seconds` unless extended."""

    order_id: str
    number: int
    parcels: list[ParcelPlan]
    hold_seconds: int = 0


class RecordStatus(Payload):
    """Move the order to a status and say so in one event; `step` makes a repeat a no-op."""

    order_id: str
    step: str
    status: OrderStatus
    event_type: str
    actor: str
    data: dict[str, object] = {}


class StatusRecorded(Payload):
    """The event that tells of the move."""

    event_id: str
    seq: int
    status: OrderStatus


class OrderLineView(Payload):
    """One line of an order as shown."""

    sku: str
    name: str
    quantity: int
    unit_price: Money
    tax: Money
    subtotal: Money
    backordered: int = 0


class ParcelView(Payload):
    """One parcel of an order as shown."""

    number: int
    warehouse: str
    status: ParcelStatus
    tracking_number: str | None = None
    tracking_url: str | None = None
    lines: list[ParcelLine]


class OrderSummary(Payload):
    """An order as one row of a list."""

    id: str
    number: int
    status: OrderStatus
    payment_status: PaymentStatus
    fulfilment_status: FulfilmentStatus
    total: Money
    created_at: datetime
    updated_at: datetime


class OrderView(OrderSummary):
    """An order in full, `GET /v1/orders/{id}`."""

    customer_id: str
    email: str
    subtotal: Money
    shipping: Money
    tax: Money
    lines: list[OrderLineView]
    parcels: list[ParcelView]
    shipping_address: Address
    shipping_method: str
    failure_code: str | None = None
    last_seq: int


class OrderPage(Payload):
    """A keyset page of orders, newest first."""

    items: list[OrderSummary]
    next_cursor: str | None = None


class OrderEvent(Payload):
    """One entry of an order's history; `seq` starts at 1 and has no gaps."""

    id: str
    seq: int
    type: str
    status: OrderStatus
    payment_status: PaymentStatus
    fulfilment_status: FulfilmentStatus
    actor: str
    occurred_at: datetime
    data: dict[str, object] = {}


class OrderHistory(Payload):
    """An order's history, oldest first, `GET /v1/orders/{id}/history`."""

    items: list[OrderEvent]
    next_cursor: str | None = None


class CancelRequest(Request):
    """`POST /v1/orders/{id}/cancel`."""

    reason: Annotated[str, StringConstraints(max_length=500)] = "changed my mind"


class CancelOrder(Payload):
    """Cancel the order on behalf of an actor (`customer:<id>`, `staff:<id>:<role>` or `service:<client id>`)."""

    actor: str
    reason: str


class SettleCompensation(Payload):
    """What an operator decides about undoing steps that could not be undone: try again, or settled by hand."""

    actor: str
    reason: str
    retry: Annotated[bool, Field(description="True tries the undo again; False records it as settled by hand.")]
