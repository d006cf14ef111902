"""Store credit: granted by staff, authorized and captured for orders, shown to its customer, in minor units."""

from datetime import datetime
from typing import Annotated

from pydantic import Field, StringConstraints

from domain.credit import CreditKind
from domain.orders import PaymentStatus
from schemas.base import Money, Open, Payload, Request
from schemas.checkout import ShopCurrency


class CreditAmount(Request):
    """An amount in minor units of a currency we sell in."""

    amount: Annotated[int, Field(gt=0, le=10**8, strict=True)]
    currency: ShopCurrency


class GrantCredit(Request):
    """`POST /v1/ops/customers/{id}/credit`: grant a customer store credit."""

    amount: CreditAmount
    reason: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500)]


class CreditEntry(Payload):
    """An entry of store credit: a grant by staff, or an authorization, capture, void or refund for an order."""

    id: int
    kind: Open[CreditKind]
    amount: Money
    order_id: str | None = None
    reason: str | None = None
    actor: str
    occurred_at: datetime


class CreditBalance(Payload):
    """A customer's available credit in one currency, and what is authorized for their orders."""

    available: Money
    held: Money


class CreditStatement(Payload):
    """A customer's store credit by currency, and a keyset page of its entries, newest first."""

    balances: list[CreditBalance]
    items: list[CreditEntry]
    next_cursor: str | None = None


class OwnCreditEntry(Payload):
    """The same entry as the customer sees it, without the staff member."""

    id: int
    kind: Open[CreditKind]
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
    """Authorize store credit for the order: all that is available, up to the order's total."""

    order_id: str
    idempotency_key: str


class CaptureCredit(Payload):
    """Capture this amount, because this parcel was dispatched."""

    order_id: str
    idempotency_key: str
    amount: int
    parcel: int


class VoidCredit(Payload):
    """Void what is still authorized, if anything."""

    order_id: str
    idempotency_key: str
    reason: str


class CreditMoved(Payload):
    """The amount of the entry, and the order's payment status after it."""

    amount: int
    payment_status: PaymentStatus
