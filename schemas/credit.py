"""Store credit: granted by staff, held and spent by orders, shown to its customer. Amounts are minor units."""

from datetime import datetime
from typing import Annotated

from pydantic import Field, StringConstraints

from domain.credit import CreditKind
from domain.orders import PaymentStatus
from schemas.base import Money, Payload, Request
from schemas.checkout import ShopCurrency


class CreditAmount(Request):
    """So much, in minor units of a currency we sell in."""

    amount: Annotated[int, Field(gt=0, le=10**8, strict=True)]
    currency: ShopCurrency


class GrantCredit(Request):
    """`POST /v1/ops/customers/{id}/credit`: give a customer store credit."""

    amount: CreditAmount
    reason: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500)]


class CreditEntry(Payload):
    """One move of store credit: what staff gave, or what an order held, took or gave back."""

    id: int
    kind: CreditKind
    amount: Money
    order_id: str | None = None
    reason: str | None = None
    actor: str
    occurred_at: datetime


class CreditBalance(Payload):
    """What a customer can spend in one currency, and what is held for their orders."""

    available: Money
    held: Money


class CreditStatement(Payload):
    """A customer's store credit by currency, and a keyset page of its moves, newest first."""

    balances: list[CreditBalance]
    items: list[CreditEntry]
    next_cursor: str | None = None


class OwnCreditEntry(Payload):
    """The same move as its customer sees it: who of us did it is nobody's business."""

    id: int
    kind: CreditKind
    amount: Money
    order_id: str | None = None
    reason: str | None = None
    occurred_at: datetime


class OwnCreditStatement(Payload):
    """`GET /v1/users/me/credit`."""

    balances: list[CreditBalance]
    items: list[OwnCreditEntry]
    next_cursor: str | None = None


# --- commands of PaymentWorkflow, repeat-safe by idempotency key


class AuthorizeCredit(Payload):
    """Keep credit of the order's customer for it: all there is, up to the order's total."""

    order_id: str
    idempotency_key: str


class CaptureCredit(Payload):
    """Take so much of what is held, because this parcel has left."""

    order_id: str
    idempotency_key: str
    amount: int
    parcel: int


class VoidCredit(Payload):
    """Give back what is still held; nothing when nothing is."""

    order_id: str
    idempotency_key: str
    reason: str


class CreditMoved(Payload):
    """How much moved, and the order's payment status after it."""

    amount: int
    payment_status: PaymentStatus
