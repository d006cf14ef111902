"""Money: commands to the provider, what it answered, what the ledger keeps. Amounts are minor units."""

from datetime import datetime
from enum import StrEnum

from domain.orders import PaymentStatus
from schemas.base import Payload


class PaymentInput(Payload):
    """What PaymentWorkflow is started with: hold this amount on this method for this order."""

    order_id: str
    amount: int
    currency: str
    payment_method: str


class EntryKind(StrEnum):
    """What a ledger entry records."""

    AUTHORIZATION = "authorization"
    CAPTURE = "capture"
    VOID = "void"
    REFUND = "refund"


class AuthorizePayment(Payload):
    """Hold the amount. The idempotency key is `<workflow id>:<step>`; a retry keeps it."""

    order_id: str
    amount: int
    currency: str
    payment_method: str
    idempotency_key: str


class CapturePayment(Payload):
    """Take this much of the hold; `final` gives the rest of the hold back."""

    order_id: str
    provider_id: str
    amount: int
    currency: str
    final: bool
    idempotency_key: str


class VoidPayment(Payload):
    """Give back what is held and not captured."""

    order_id: str
    provider_id: str
    idempotency_key: str


class PaymentOutcome(StrEnum):
    """What the provider said. A refusal is a result; an outage is an exception and is retried."""

    SUCCEEDED = "succeeded"
    DECLINED = "declined"


class ProviderResult(Payload):
    """One answer of the provider; `code` and `message` are the bank's words for a refusal."""

    outcome: PaymentOutcome
    provider_id: str | None = None
    amount: int = 0
    code: str | None = None
    message: str | None = None


class RecordPayment(Payload):
    """Write one ledger entry with its event and the derived payment status; repeat-safe by idempotency key."""

    order_id: str
    kind: EntryKind
    amount: int
    currency: str
    provider_id: str
    idempotency_key: str
    data: dict[str, object] = {}


class RecordDecline(Payload):
    """Note in the order's history that the bank said no; no money moved, so the ledger stays as it is."""

    order_id: str
    idempotency_key: str
    code: str
    message: str


class PaymentRecorded(Payload):
    """The order's payment status after the entry."""

    payment_status: PaymentStatus


class PaymentEntry(Payload):
    """One line of the payments ledger."""

    kind: EntryKind
    amount: int
    currency: str
    provider_id: str
    idempotency_key: str
    occurred_at: datetime


# --- what PaymentWorkflow and CheckoutWorkflow tell each other, by signal


class CaptureParcel(Payload):
    """The parcel has left: take its share of the money; `final` when no other parcel can follow."""

    parcel: int
    amount: int
    final: bool


class ReleaseHold(Payload):
    """The order will not go on: void the hold."""

    reason: str


class PaymentTold(Payload):
    """What PaymentWorkflow tells the order: `step` is `authorize`, `capture-<n>` or `void`."""

    step: str
    outcome: PaymentOutcome
    payment_status: PaymentStatus
    amount: int = 0
    code: str | None = None
    message: str | None = None


class PaymentResult(Payload):
    """How the money of the order ended."""

    order_id: str
    payment_status: PaymentStatus


class ProviderEvent(Payload):
    """A verified webhook of the provider."""

    event_id: str
    type: str
    provider_id: str
    amount: int | None = None
