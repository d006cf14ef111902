"""What staff look for among the orders, and what they find."""

from datetime import datetime
from typing import Annotated

from pydantic import Field

from domain.orders import OrderStatus
from schemas.base import Payload
from schemas.orders import OrderSummary


class OrderQuery(Payload):
    """Which orders; whatever is given must all fit."""

    q: Annotated[
        str,
        Field(
            max_length=200,
            description="Number, order id, e-mail address, SKU, name of a product, city or postal code; the last word "
            "may be unfinished.",
            examples=["berlin kettle"],
        ),
    ] = ""
    number: Annotated[int | None, Field(ge=1, le=2**62)] = None
    email: Annotated[str | None, Field(max_length=254)] = None
    sku: Annotated[str | None, Field(max_length=64)] = None
    status: OrderStatus | None = None
    stuck: Annotated[bool | None, Field(description="Only those that need somebody, or only the others.")] = None
    cursor: Annotated[str | None, Field(max_length=500, pattern=r"^[A-Za-z0-9_-]+$")] = None
    limit: Annotated[int, Field(ge=1, le=100)] = 20


class FoundOrder(OrderSummary):
    """An order as MySQL has it now.

    `stuck` is an order that staff must look at: its compensation is blocked, or nothing has happened in it for longer
    than `ORDERS_STUCK_AFTER_HOURS`. `needs_operator` names what could not be compensated, and why, until that is
    settled.
    """

    email: str
    stuck: bool
    needs_operator: list[str] = []


class FoundOrders(Payload):
    """`GET /v1/ops/orders`: the stuck first, what cannot be undone before all, each newest first."""

    items: list[FoundOrder]
    next_cursor: str | None = None


class IndexedOrder(Payload):
    """What the index knows of an order as of its event `last_seq`: what is searched and nothing else.

    Of somebody who has closed the account neither e-mail address nor place is kept.
    """

    id: str
    number: int
    last_seq: int
    status: OrderStatus
    email: str | None
    city: str | None
    postal_code: str | None
    skus: list[str]
    names: list[str]
    updated_at: datetime
