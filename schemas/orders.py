"""The order: what is recorded of it and what is shown of it."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, StringConstraints

from domain.events import EventType
from domain.fulfilment import ParcelStatus
from domain.orders import FulfilmentStatus, OrderStatus, PaymentStatus
from domain.parcels import PlannedParcel
from schemas.base import Address, Money, Payload, Request, Text
from schemas.checkout import CheckoutInput, PricedOrder
from schemas.payments import PaymentAction
from schemas.stock import StockAllocated


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

    @classmethod
    def of(cls, parcel: PlannedParcel, country: str) -> Self:
        """The plan of a parcel that leaves from a warehouse in this country."""
        return cls(
            number=parcel.number,
            warehouse=parcel.warehouse,
            country=country,
            lines=[
                ParcelLine(sku=one.sku, quantity=one.quantity, backordered=one.quantity if one.backordered else 0)
                for one in parcel.contents
            ],
            amount=parcel.share.amount,
            weight_grams=parcel.share.weight_grams,
        )

    @property
    def backordered(self) -> int:
        """Units that had yet to arrive when the order was placed: the parcel waits for them."""
        return sum(line.backordered for line in self.lines)


class ParcelLine(Payload):
    """So many units of a SKU in a parcel; `backordered` of them have yet to arrive in the warehouse."""

    sku: str
    quantity: int
    backordered: int = 0


class ShortLine(Payload):
    """More was wanted of a SKU than could be had."""

    sku: str
    wanted: int
    available: int


class OrderPlaced(Payload):
    """The order is recorded and its stock is reserved in these parcels, for `reservation_seconds` unless extended.

    What is `short` was in line when it was placed, and its customer is to be asked.
    """

    order_id: str
    number: int
    parcels: list[ParcelPlan]
    reservation_seconds: int = 0
    short: list[ShortLine] = []


class TakeAvailable(Payload):
    """Make the order as small as this quote, without what is short; repeat-safe."""

    order_id: str
    short: list[ShortLine]
    quote: PricedOrder
    actor: str


class OrderShortened(Payload):
    """The order as it is now, and parcels of other orders that have all their goods with what it let go."""

    placed: OrderPlaced
    arrived: list[StockAllocated] = []


class Shortage(Payload):
    """What cannot be had now of an order, and until when its customer may decide.

    `take_available_total` is what the order costs without it; null when that is too little to be an order.
    """

    lines: list[ShortLine]
    take_available_total: Money | None
    decide_until: datetime


class Choice(StrEnum):
    """What a customer wants of an order that is partly out of stock."""

    TAKE_AVAILABLE = "take_available"
    WAIT = "wait"
    CANCEL = "cancel"


class DecisionRequest(Request):
    """`POST /v1/orders/{id}/decision`: take what there is, wait for all of it, or have nothing."""

    choice: Choice


class Decision(Payload):
    """The same, with who says so (`customer:<id>`)."""

    choice: Choice
    actor: str


class Awaiting(Payload):
    """What an order waits for from its customer, and until when; all empty when it waits for nothing."""

    payment_action: PaymentAction | None = None
    retry_until: datetime | None = None
    shortage: Shortage | None = None


class RecordStatus(Payload):
    """Move the order to a status and say so in one event; `step` makes a repeat a no-op."""

    order_id: str
    step: str
    status: OrderStatus
    event_type: EventType
    actor: str
    data: dict[str, object] = {}
    payment_status: PaymentStatus | None = None
    awaiting: Awaiting | None = None


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
    discount: Money
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


class PaymentPart(Payload):
    """What the books say of one way of paying: on hold, taken, and given back of that."""

    held: Money
    captured: Money
    refunded: Money


class PaymentBalance(PaymentPart):
    """The same of all an order's money, and of each way it is paid.

    `disputed` is what the customer's bank has taken back, for now or for good.
    """

    disputed: Money
    card: PaymentPart
    store_credit: PaymentPart


class OrderView(OrderSummary, Awaiting):
    """An order in full, `GET /v1/orders/{id}`.

    `subtotal` is before the discount. Tax comes on top of it unless `tax_included`: then it is inside every amount.
    """

    customer_id: str
    email: str
    subtotal: Money
    discount: Money
    shipping: Money
    tax: Money
    tax_included: bool
    payment: PaymentBalance
    voucher_code: str | None = None
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
    """Cancel the order on behalf of an actor (`customer:<id>`, `staff:<id>:<role>` or `service:<client id>`).

    `only_waiting` means only while it waits for its customer: another checkout of the same cart takes its place.
    """

    actor: str
    reason: str
    only_waiting: bool = False


class SettlementRequest(Request):
    """`POST /v1/ops/orders/{id}/compensation`."""

    reason: Text
    retry: Annotated[bool, Field(description="True tries the undo again; False records it as settled by hand.")]


class SettleCompensation(Payload):
    """What an operator decides about undoing steps that could not be undone: try again, or settled by hand."""

    actor: str
    reason: str
    retry: bool
