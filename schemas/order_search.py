"""Order search for staff: queries and results."""

from datetime import datetime
from typing import Annotated

from pydantic import Field

from domain.orders import OrderStatus
from schemas.base import Open, Payload
from schemas.operator_tasks import OperatorTaskView
from schemas.orders import OrderSummary


class OrderQuery(Payload):
    """The search criteria; an order must match all that are given."""

    q: Annotated[
        str,
        Field(
            max_length=200,
            description="Number, order id, e-mail address, SKU, name of a product, city or postal code; the last word "
            "may be incomplete.",
            examples=["berlin kettle"],
        ),
    ] = ""
    number: Annotated[int | None, Field(ge=1, le=2**62)] = None
    email: Annotated[str | None, Field(max_length=254)] = None
    sku: Annotated[str | None, Field(max_length=64)] = None
    status: OrderStatus | None = None
    stuck: Annotated[
        bool | None,
        Field(description="Only orders that need an operator or in which nothing happens, or only the others."),
    ] = None
    needs_operator: Annotated[
        bool | None, Field(description="Only orders that need an operator, or only the others.")
    ] = None
    cursor: Annotated[str | None, Field(max_length=500, pattern=r"^[A-Za-z0-9_-]+$")] = None
    limit: Annotated[int, Field(ge=1, le=100)] = 20


class FoundOrder(OrderSummary):
    """An order as MySQL has it.

    `stuck`: it needs an operator, or nothing has happened in an open order for `ORDERS_STUCK_AFTER_HOURS`.
    `needs_operator` says in words what waits for a person, of the order, its payment, refunds, disputes and parcels;
    `operator_tasks` says the same with since when, until when, and which route acts on it.
    """

    email: str
    stuck: bool
    needs_operator: list[str] = []
    operator_tasks: list[OperatorTaskView] = []


class FoundOrders(Payload):
    """`GET /v1/ops/orders`: what needs an operator first, then other stuck orders, then the rest, newest first."""

    items: list[FoundOrder]
    next_cursor: str | None = None


class IndexedOrder(Payload):
    """The index document of an order as of its event `last_seq`: only the fields that are searched.

    For a closed account it has neither e-mail address nor place.
    """

    id: str
    number: int
    last_seq: int
    status: Open[OrderStatus]
    email: str | None
    city: str | None
    postal_code: str | None
    skus: list[str]
    names: list[str]
    updated_at: datetime
