"""Money: commands to the provider, what it answered, what the ledger keeps. Amounts are minor units."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, StringConstraints

from domain.events import EventType
from domain.ledger import EntryKind
from domain.orders import PaymentStatus
from schemas.base import Payload, Request

PaymentMethodToken = Annotated[str, StringConstraints(pattern=r"^pm_[A-Za-z0-9_]{1,64}$")]
ReturnUrl = Annotated[
    str,
    StringConstraints(pattern=r"^https?://[A-Za-z0-9.:\[\]-]+(/[!-~]*)?$", max_length=1000),
    Field(description="Where the bank's page leads back to; without it the provider's own dialogue is used."),
]


class RetryPayment(Request):
    """`POST /v1/orders/{id}/payment`: another method, for an order whose payment is still open."""

    payment_method: PaymentMethodToken
    payment_return_url: ReturnUrl | None = None


class TryMethod(Payload):
    """One attempt, counted from 1. A bank that wants to see its customer first waits for them so many seconds.

    There is no method where store credit was enough when the customer last looked.
    """

    attempt: int = 1
    payment_method: str | None
    return_url: str | None = None
    authentication_seconds: int


class PaymentInput(Payload):
    """What PaymentWorkflow is started with: hold this amount for this order.

    With `may_retry` a refusal is not the end of it: it waits for another method, or to be let go. With
    `use_store_credit` as much of the amount as the customer has is held as that, and only the rest by card. An
    authorization lasts `authorization_seconds` unless the provider says otherwise, and is renewed before it ends; 0
    renews none. With `keep_method` the provider saves the method for that.
    """

    order_id: str
    amount: int
    currency: str
    first: TryMethod
    may_retry: bool = False
    use_store_credit: bool = False
    authorization_seconds: int = 0
    keep_method: bool = False


class PaymentAction(Payload):
    """What the bank wants of its customer, as the provider gave it: a page to open or a secret for its own dialogue.

    Of the type `processing` it wants nothing: it has not decided yet.
    """

    type: str
    url: str | None = None
    client_secret: str | None = None
    expires_at: datetime | None = None


class ProviderCommand(Payload):
    """A deed at the provider. Its key is `<workflow id>:<step>`, and an automatic retry keeps it.

    With `unknown_since` an earlier attempt under another key may have done it, at that time or later: the provider is
    asked first, and only what it does not know is sent.
    """

    order_id: str
    idempotency_key: str
    unknown_since: datetime | None = None

    @property
    def step(self) -> str:
        """What all attempts have in common, whatever their keys."""
        return self.idempotency_key.partition("#")[0]

    def asking_first(self, attempt: int, since: datetime) -> Self:
        """The same deed under another key, once the provider has been asked."""
        return self.model_copy(update={"idempotency_key": f"{self.step}#{attempt}", "unknown_since": since})


class AuthorizePayment(ProviderCommand):
    """Hold the amount. With `keep_method` the provider keeps the method, for a `customer` that it names in its answer.

    `off_session` is without the customer, by a method that was kept.
    """

    amount: int
    currency: str
    payment_method: str
    return_url: str | None = None
    keep_method: bool = False
    customer: str | None = None
    off_session: bool = False


class RetrievePayment(Payload):
    """Ask the provider how the payment stands, which was to hold so much."""

    order_id: str
    provider_id: str
    amount: int | None = None
    currency: str | None = None


class AbandonPayment(ProviderCommand):
    """Stop waiting for the customer's bank: cancel what was not authenticated, unless it was meanwhile."""

    provider_id: str
    amount: int | None = None
    currency: str | None = None


class CapturePayment(ProviderCommand):
    """Take this much of the hold; `final` gives the rest of the hold back. So much was `captured` of it before."""

    provider_id: str
    amount: int
    currency: str
    final: bool
    captured: int = 0


class VoidPayment(ProviderCommand):
    """Give back what is held and not captured."""

    provider_id: str


class RefundPayment(ProviderCommand):
    """Give back so much of what was captured."""

    provider_id: str
    refund_id: str
    amount: int


class RetrieveRefund(Payload):
    """Ask the provider how a refund stands, by its id there."""

    order_id: str
    provider_id: str


class PaymentOutcome(StrEnum):
    """What the provider said. A refusal is a result; an outage is an exception and is retried."""

    SUCCEEDED = "succeeded"
    DECLINED = "declined"
    ACTION_REQUIRED = "action_required"
    PENDING = "pending"


AUTHORIZATION_EXPIRED = "authorization_expired"
"""The code of a capture that comes after the bank has let go of the money."""


class ProviderResult(Payload):
    """One answer of the provider; `code` and `message` are the bank's words for a refusal, `action` is what it wants.

    The amount of a refusal is what was authorized for a moment and is voided already. An authorization lasts
    `authorization_seconds` from now, and can be repeated by this `payment_method` where it was saved for a `customer`
    of the provider's. Its `risk` is the provider's own assessment: `normal`, `elevated`, `highest`. The `fee` is what
    the provider keeps of what was taken. What is held `captures_once` is let go of with the first capture, however little that takes.
    """

    outcome: PaymentOutcome
    provider_id: str | None = None
    amount: int = 0
    fee: int = 0
    code: str | None = None
    message: str | None = None
    action: PaymentAction | None = None
    risk: str | None = None
    authorization_seconds: int | None = None
    payment_method: str | None = None
    customer: str | None = None
    captures_once: bool = False


class RecordPayment(Payload):
    """Write one ledger entry with its event and the derived payment status; repeat-safe by idempotency key.

    What the provider keeps of it, its `fee`, is an entry of its own in the same transaction.
    The event is the kind's own unless `event_type` names another.
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
    """The parcel has left: take its share of the money; `final` when no other parcel can follow.

    Where the hold lets go of the rest with that, it is held anew, unless the order is being taken back.
    """

    parcel: int
    amount: int
    final: bool
    taken_back: bool = False


class VoidAuthorization(Payload):
    """The order will not go on: void the hold."""

    reason: str


class VoidAuthorizations(Payload):
    """Give back all that is held for the order, whose PaymentWorkflow cannot."""

    order_id: str
    reason: str


class PaymentUpdated(Payload):
    """What PaymentWorkflow tells the order: `step` is `authorize`, `capture-<n>` or `void`.

    `reauthorize-<n>` is told only when the bank does not hold the money any longer: the order is to be paid anew.

    Of an attempt to authorize, which `attempt` counts, it may tell twice: that the bank wants its customer, and what
    came of it.
    """

    step: str
    outcome: PaymentOutcome
    payment_status: PaymentStatus
    amount: int = 0
    code: str | None = None
    message: str | None = None
    attempt: int = 0
    action: PaymentAction | None = None
    risk: str | None = None


class PaymentAnswer(Payload):
    """What came of a method the customer gave."""

    outcome: PaymentOutcome
    code: str | None = None
    message: str | None = None
    retry_until: datetime | None = None


class PaymentResult(Payload):
    """How the money of the order ended."""

    order_id: str
    payment_status: PaymentStatus
