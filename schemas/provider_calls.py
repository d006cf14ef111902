"""Calls to the payment provider, and its answers. Amounts are minor units."""

from datetime import datetime
from enum import StrEnum
from typing import Self

from schemas.base import Payload


class ProviderCommand(Payload):
    """A call that changes something at the provider. Its key is `<workflow id>:<step>`; automatic retries keep it.

    With `unknown_since` the outcome of an earlier attempt under another key, made at that time or later, is unknown:
    the provider is asked first, and only what it does not know is sent. `search_after` is where a search in its list is
    continued.
    """

    order_id: str
    idempotency_key: str
    unknown_since: datetime | None = None
    search_after: str | None = None

    @property
    def step(self) -> str:
        """The part of the key that all attempts share."""
        return self.idempotency_key.partition("#")[0]

    def asking_first(self, attempt: int, since: datetime) -> Self:
        """The same call under another key, sent once the provider has been asked."""
        key = f"{self.step}#{attempt}"
        return self.model_copy(update={"idempotency_key": key, "unknown_since": since, "search_after": None})

    def searching_on(self, after: str) -> Self:
        """The same call, whose search for an earlier attempt continues there."""
        return self.model_copy(update={"search_after": after})


class AuthorizePayment(ProviderCommand):
    """Authorize the amount. With `keep_method` the provider saves the method, for a `customer` that its answer names.

    `off_session` is without the customer, with a saved method.
    """

    amount: int
    currency: str
    payment_method: str
    return_url: str | None = None
    keep_method: bool = False
    customer: str | None = None
    off_session: bool = False


class RetrievePayment(Payload):
    """Retrieve the payment, which was to authorize this amount."""

    order_id: str
    provider_id: str
    amount: int | None = None
    currency: str | None = None


class AbandonPayment(ProviderCommand):
    """Abandon an attempt: cancel a payment that was not authenticated, unless it was meanwhile."""

    provider_id: str
    amount: int | None = None
    currency: str | None = None


class CapturePayment(ProviderCommand):
    """Capture this amount; `final` voids the rest of the authorization. `captured` is what was captured before."""

    provider_id: str
    amount: int
    currency: str
    final: bool
    captured: int = 0


class VoidPayment(ProviderCommand):
    """Void what is authorized and not captured."""

    provider_id: str


class RefundPayment(ProviderCommand):
    """Refund this amount of what was captured."""

    provider_id: str
    refund_id: str
    amount: int


class RetrieveRefund(Payload):
    """Retrieve a refund by its id at the provider."""

    order_id: str
    provider_id: str


class PaymentOutcome(StrEnum):
    """The provider's answer. A decline is a result; an outage is an exception and is retried."""

    SUCCEEDED = "succeeded"
    DECLINED = "declined"
    ACTION_REQUIRED = "action_required"
    PENDING = "pending"


class PaymentAction(Payload):
    """What the customer has to do for the bank, from the provider: a page to open, or a secret for its own dialogue.

    With the type `processing` there is nothing to do: the bank has not decided yet.
    """

    type: str
    url: str | None = None
    client_secret: str | None = None
    expires_at: datetime | None = None


AUTHORIZATION_EXPIRED = "authorization_expired"
"""The code of a capture after the authorization has expired."""


class ProviderResult(Payload):
    """An answer of the provider; `code` and `message` are the bank's for a decline, `action` is for the customer.

    The amount of a decline is what was authorized for a moment and voided already. An authorization lasts
    `authorization_seconds` from now, and the amount can be authorized again by this `payment_method` where it was kept
    for a `customer` of the provider's. Its `risk` is the provider's own assessment: `normal`, `elevated`, `highest`.
    The `fee` is what the provider keeps of a capture. An authorization that `captures_once` ends with its first
    capture, however small. With `search_after` nothing was sent yet: the search for an earlier attempt continues there.
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
    search_after: str | None = None
