"""The order: its commands, records and views."""

from datetime import datetime

from domain.events import EventType
from domain.fulfilment import ParcelStatus
from domain.orders import FulfilmentStatus, OrderStatus, PaymentStatus
from schemas.base import Address, Money, Open, Payload
from schemas.checkout import CheckoutInput, PricedOrder
from schemas.parcels import ParcelPlan, ParcelView
from schemas.provider_calls import PaymentAction
from schemas.stock import StockAllocated


class PlaceOrder(Payload):
    """Record the order and reserve its stock, in one transaction; repeat-safe by order id."""

    order: CheckoutInput
    quote: PricedOrder


class ShortLine(Payload):
    """A SKU of which fewer units are available than were ordered."""

    sku: str
    wanted: int
    available: int


class OrderPlaced(Payload):
    """The order is recorded and its stock is reserved in these parcels, for `reservation_seconds` unless extended.

    `quote` is what the record says it costs, which counts whatever it was priced at since. What is `short` is on
    backorder until the customer has decided.
    """

    order_id: str
    number: int
    quote: PricedOrder
    parcels: list[ParcelPlan]
    reservation_seconds: int = 0
    short: list[ShortLine] = []


class AdoptOrder(Payload):
    """Record that a new workflow takes the order over, and answer what is recorded of it; repeat-safe by `step`."""

    order_id: str
    step: str
    actor: str


class AdoptedOrder(Payload):
    """What is recorded of an order that is taken over, and of its parcels by number."""

    status: OrderStatus
    payment_status: PaymentStatus
    placed: OrderPlaced
    parcels: dict[int, ParcelStatus]


class TakeAvailable(Payload):
    """Reduce the order to this quote, without what is short; repeat-safe."""

    order_id: str
    short: list[ShortLine]
    quote: PricedOrder
    actor: str


class OrderShortened(Payload):
    """The reduced order, and the parcels of other orders whose goods are complete with what it released."""

    placed: OrderPlaced
    allocated: list[StockAllocated] = []


class Shortage(Payload):
    """What is out of stock of an order, and until when its customer may decide.

    `take_available_total` is the total without it; null when the rest is too little for an order.
    """

    lines: list[ShortLine]
    take_available_total: Money | None
    decide_until: datetime


class Awaiting(Payload):
    """What the order waits for from its customer, and until when; all empty when it waits for nothing."""

    payment_action: PaymentAction | None = None
    retry_until: datetime | None = None
    shortage: Shortage | None = None


class RecordStatus(Payload):
    """Move the order to a status and append the event, in one transaction; `step` makes a repeat a no-op.

    An order that is partly cancelled, or awaits its payment no more, takes the status of its parcels, which may have
    moved on meanwhile. Without a status the order keeps the one it has.
    """

    order_id: str
    step: str
    status: OrderStatus | None
    event_type: EventType
    actor: str
    data: dict[str, object] = {}
    payment_status: PaymentStatus | None = None
    awaiting: Awaiting | None = None


class StatusRecorded(Payload):
    """The event that was appended."""

    event_id: str
    seq: int
    status: OrderStatus
    payment_status: PaymentStatus | None = None


class OrderLineView(Payload):
    """A line of an order as it was placed; `cancelled` of its units will not be delivered, and are not charged."""

    sku: str
    name: str
    quantity: int
    cancelled: int = 0
    unit_price: Money
    discount: Money
    tax: Money
    subtotal: Money
    backordered: int = 0


class OrderSummary(Payload):
    """An order in a list."""

    id: str
    number: int
    status: Open[OrderStatus]
    payment_status: Open[PaymentStatus]
    fulfilment_status: Open[FulfilmentStatus]
    total: Money
    created_at: datetime
    updated_at: datetime


class PaymentPart(Payload):
    """The amounts of one way of paying: authorized and not captured yet, captured, and refunded of that."""

    held: Money
    captured: Money
    refunded: Money


class PaymentBalance(PaymentPart):
    """The amounts of the whole order, and of each way of paying.

    `disputed` is what the customer's bank has withdrawn in a dispute, for now or for good.
    """

    disputed: Money
    card: PaymentPart
    store_credit: PaymentPart


class OrderView(OrderSummary, Awaiting):
    """An order in full, `GET /v1/orders/{id}`.

    `subtotal` is before the discount. Tax is added to it unless `tax_included`: then every amount includes it.
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
    """An event of an order's history; `seq` starts at 1 and has no gaps."""

    id: str
    seq: int
    type: str
    status: Open[OrderStatus]
    payment_status: Open[PaymentStatus]
    fulfilment_status: Open[FulfilmentStatus]
    actor: str
    occurred_at: datetime
    data: dict[str, object] = {}


class OrderHistory(Payload):
    """An order's history, oldest first, `GET /v1/orders/{id}/history`."""

    items: list[OrderEvent]
    next_cursor: str | None = None
