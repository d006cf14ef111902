"""Payments: what PaymentWorkflow is asked, what it signals, and ledger entries. Amounts are minor units."""

from datetime import datetime
from typing import Annotated

from pydantic import Field, StringConstraints

from domain.events import EventType
from domain.ledger import EntryKind
from domain.orders import PaymentStatus
from schemas.base import Open, Payload, Request
from schemas.provider_calls import PaymentAction, PaymentOutcome

PaymentMethodToken = Annotated[str, StringConstraints(pattern=r"^pm_[A-Za-z0-9_]{1,64}$")]
ReturnUrl = Annotated[
    str,
    StringConstraints(pattern=r"^https?://[A-Za-z0-9.:\[\]-]+(/[!-~]*)?$", max_length=1000),
    Field(description="Where the bank's page returns to; without it the provider's own dialogue is used."),
]


class RetryPaymentRequest(Request):
    """`POST /v1/orders/{id}/payment`: another payment method for an order whose payment is still open."""

    payment_method: PaymentMethodToken
    payment_return_url: ReturnUrl | None = None


class RetryPayment(Payload):
    """The same, as an update of CheckoutWorkflow."""

    payment_method: str
    payment_return_url: str | None = None


class TryMethod(Payload):
    """An attempt to pay, counted from 1; without a method where store credit was expected to cover the order."""

    attempt: int = 1
    payment_method: str | None
    return_url: str | None = None
    authentication_seconds: int


class PaymentInput(Payload):
    """Starts PaymentWorkflow: authorize this amount for this order.

    With `may_retry` a decline does not end it: it waits for another method, or to be voided. With `use_store_credit`
    as much of the amount as the customer has is authorized as store credit, and only the rest by card. A card's
    authorization lasts `authorization_seconds` unless the provider says otherwise, and is renewed before it expires;
    0 renews none. With `keep_method` the provider keeps the method for that.
    """

    order_id: str
    amount: int
    currency: str
    first: TryMethod
    may_retry: bool = False
    use_store_credit: bool = False
    authorization_seconds: int = 0
    keep_method: bool = False


class RecordPayment(Payload):
    """Record a ledger entry with its event and the derived payment status; repeat-safe by idempotency key.

    The provider's `fee` is an entry of its own in the same transaction. The event type is the kind's own unless
    `event_type` names another.
    """

    order_id: str
    kind: EntryKind
    amount: int
    currency: str
    provider_id: str
    idempotency_key: str
    fee: int = 0
    data: dict[str, object] = {}
    event_type: EventType | None = None


class RecordDecline(Payload):
    """Record a decline in the order's history; no money moved, so the ledger stays as it is."""

    order_id: str
    idempotency_key: str
    code: str
    message: str


class PaymentRecorded(Payload):
    """The order's payment status after the entry."""

    payment_status: PaymentStatus


class PaymentEntry(Payload):
    """An entry of the payments ledger."""

    kind: EntryKind
    amount: int
    currency: str
    provider_id: str
    idempotency_key: str
    occurred_at: datetime


# --- signals between PaymentWorkflow and CheckoutWorkflow


class CaptureParcel(Payload):
    """The parcel was dispatched: capture its share; `final` when no other parcel can follow.

    Where the authorization ends with that capture, the rest is reauthorized, unless the order is being compensated.
    """

    parcel: int
    amount: int
    final: bool
    compensating: bool = False


class ChangeAmount(Payload):
    """The order costs more, and nothing of it is captured: authorize this amount by this method, and only then void
    what is authorized. It is answered as `step`, twice where the customer has to act.
    """

    step: str
    amount: int
    method: TryMethod


class VoidAuthorization(Payload):
    """The order will not continue: void the authorization."""

    reason: str


class VoidAuthorizations(Payload):
    """Void all authorizations of an order whose PaymentWorkflow cannot.

    `dispatched` are the shares of dispatched parcels by number: what was not captured of them is captured before.
    """

    order_id: str
    reason: str
    dispatched: dict[int, int] = {}


ORDER_CHECK = "order-check"
"""The step of a signal that only asks whether the order is there."""


class PaymentUpdated(Payload):
    """The signal of PaymentWorkflow to the order: `step` is `authorize`, `capture-<n>`, `void`, or of a ChangeAmount.

    `reauthorize-<n>` is sent only when the authorization could not be renewed: the order has to be paid again.
    An attempt to authorize, counted by `attempt`, may be signalled twice: the customer has to act, and the outcome.
    """

    step: str
    outcome: Open[PaymentOutcome]
    payment_status: Open[PaymentStatus]
    amount: int = 0
    code: str | None = None
    message: str | None = None
    attempt: int = 0
    action: PaymentAction | None = None
    risk: str | None = None


class PaymentAnswer(Payload):
    """The outcome of a payment method that the customer gave."""

    outcome: Open[PaymentOutcome]
    code: str | None = None
    message: str | None = None
    retry_until: datetime | None = None


class PaymentResult(Payload):
    """The order's payment status at the end."""

    order_id: str
    payment_status: PaymentStatus
