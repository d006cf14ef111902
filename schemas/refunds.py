"""Refunds: requests by staff, the workflow's commands, and views."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import Field, StringConstraints

from domain.actors import SYSTEM_ACTOR
from domain.errors import Conflict, PaymentDisputed
from domain.events import EventType
from schemas.base import Currency, Money, Open, Payload, Request
from schemas.problem_codes import ProblemCode

_DISPUTED_MEANWHILE = "charge_disputed"  # the provider's code


class RefundAmount(Request):
    """An amount in minor units of the order's currency."""

    amount: Annotated[int, Field(gt=0, strict=True)]
    currency: Currency


class RefundRequest(Request):
    """`POST /v1/ops/orders/{id}/refunds`: refund this amount, or all that is left when there is none."""

    amount: RefundAmount | None = None
    parcel: Annotated[
        int | None, Field(ge=1, le=10_000, description="What the refund is for: at most what is left of its share.")
    ] = None
    reason: Annotated[str, StringConstraints(min_length=1, max_length=500)]


class RefundStatus(StrEnum):
    """The status of a refund: requested, refunded, or refused by the provider."""

    PENDING = "pending"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


class RefundInput(Payload):
    """The input of RefundWorkflow; `actor` is who decided it.

    With `parcel` it is for that parcel: at most what is left of its share, and all of that without an amount. The
    order's own payment is refunded unless `payment_id` names another; `event_type` likewise overrides the event's.
    """

    refund_id: str
    order_id: str
    amount: int | None = None
    currency: str | None = None
    parcel: int | None = None
    reason: str
    actor: str
    payment_id: str | None = None
    event_type: EventType | None = None


class RefundRefusal(Payload):
    """Why a refund was refused, with what a caller needs to act on it."""

    code: str
    message: str
    details: dict[str, object] = {}


class RefundView(Payload):
    """A refund: what is refunded to the customer's card, and what as store credit.

    A refund that was refused in part is `succeeded` with the amount refunded, and has a `failure_code`. `failed_at` is
    set when the bank returned a refund after it had succeeded: the money has not reached the customer.
    """

    id: str
    order_id: str
    parcel: int | None = None
    amount: Money
    card: Money | None = None
    store_credit: Money | None = None
    reason: str
    status: Open[RefundStatus]
    actor: str
    failure_code: str | None = None
    created_at: datetime
    settled_at: datetime | None = None
    failed_at: Annotated[
        datetime | None, Field(description="It had succeeded and has failed since; refund the customer another way.")
    ] = None

    @property
    def refusal(self) -> RefundRefusal | None:
        """Why the payment provider has refused it, or a part of it."""
        if self.failure_code is None and self.status is not RefundStatus.FAILED:
            return None
        details = {"refund_id": self.id, "provider_code": self.failure_code}
        if self.failure_code == _DISPUTED_MEANWHILE:
            return RefundRefusal(code=PaymentDisputed.code, message="The payment has been disputed.", details=details)
        message = "The payment provider refused the refund."
        return RefundRefusal(code=ProblemCode.REFUND_REFUSED, message=message, details=details)


def part_key(key: str, number: int) -> str:
    """The idempotency key of a part of a refund: the first part has the refund's own."""
    return key if number == 1 else f"{key}-{number}"


class CardPart(Payload):
    """The part of a refund from one payment; an order whose authorization was renewed has several payments."""

    number: int
    provider_id: str
    amount: int


class RefundOpened(Payload):
    """A refund is recorded, and its amount is no longer available to other refunds."""

    refund: RefundView
    parts: list[CardPart] | None = None
    provider_id: str = ""

    @property
    def card_parts(self) -> list[CardPart]:
        """The parts to refund at the provider; a refund from before there were parts is all from one payment."""
        if self.parts is None:
            return [CardPart(number=1, provider_id=self.provider_id, amount=self.refund.amount.amount)]
        return self.parts


class PartSettled(Payload):
    """The result of a part: `provider_id` is its id at the provider, `failure_code` why there is none."""

    number: int
    provider_id: str | None = None
    failure_code: str | None = None


class SettleRefund(Payload):
    """The provider's results. A part that is not named was not requested; store credit follows what was refunded."""

    refund_id: str
    order_id: str
    idempotency_key: str
    parts: list[PartSettled]
    event_type: EventType | None = None


class RefundAnswer(Payload):
    """The result: the refund, or why none was started."""

    refund: RefundView | None = None
    code: str | None = None
    message: str | None = None
    refundable: Money | None = None

    @property
    def refusal(self) -> RefundRefusal | None:
        """Why nothing was refunded."""
        if self.refund is not None:
            return self.refund.refusal if self.refund.status is RefundStatus.FAILED else None
        details = {"refundable": self.refundable.model_dump()} if self.refundable is not None else {}
        return RefundRefusal(
            code=self.code or Conflict.code, message=self.message or "The refund was refused.", details=dict(details)
        )


class RefundList(Payload):
    """All refunds of an order, oldest first, and how much can still be refunded."""

    items: list[RefundView]
    refundable: Money


# --- refunds that fail after they had succeeded


class FailedRefundInput(Payload):
    """The input of FailedRefundWorkflow: the provider's id of a refund, and ours where it is known."""

    order_id: str
    provider_id: str
    refund_id: str | None = None


class ReverseRefund(Payload):
    """The provider says that this refund has failed: what the ledger has of it was returned to us."""

    order_id: str
    provider_id: str
    code: str
    actor: str = SYSTEM_ACTOR
    refund_id: str | None = None


class RefundReversed(Payload):
    """The amount recorded as returned. `pending` until the refund's own workflow has recorded anything."""

    amount: int = 0
    currency: str = ""
    pending: bool = False
