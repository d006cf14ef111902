"""Giving money back: what staff ask for, what the workflow does about it, what is shown of it."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import Field, StringConstraints

from domain.actors import SYSTEM_ACTOR
from domain.events import EventType
from schemas.base import Currency, Money, Payload, Request


class RefundAmount(Request):
    """So much, in minor units of the order's currency."""

    amount: Annotated[int, Field(gt=0, strict=True)]
    currency: Currency


class RefundRequest(Request):
    """`POST /v1/ops/orders/{id}/refunds`: give back so much, or without an amount all that is left."""

    amount: RefundAmount | None = None
    reason: Annotated[str, StringConstraints(min_length=1, max_length=500)]


class RefundStatus(StrEnum):
    """Where a refund stands: asked for, given back, or refused by the provider."""

    PENDING = "pending"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


class RefundInput(Payload):
    """What RefundWorkflow is started with; `actor` is who decided it.

    It is of the payment the order was paid by unless `payment_id` names another; so is `event_type`.
    """

    refund_id: str
    order_id: str
    amount: int | None = None
    currency: str | None = None
    reason: str
    actor: str
    payment_id: str | None = None
    event_type: EventType | None = None


class RefundView(Payload):
    """A refund as shown: what goes back to the customer's card, and what comes back as store credit.

    A refund that was refused in part is `succeeded` with what was given back, and a `failure_code`. One that the bank
    sent back after it had succeeded says since when we know: its money has not reached the customer.
    """

    id: str
    order_id: str
    amount: Money
    card: Money | None = None
    store_credit: Money | None = None
    reason: str
    status: RefundStatus
    actor: str
    failure_code: str | None = None
    created_at: datetime
    settled_at: datetime | None = None
    failed_at: Annotated[
        datetime | None, Field(description="It had succeeded, and has failed since; give it back another way.")
    ] = None


def part_key(key: str, number: int) -> str:
    """The idempotency key of a refund's part: the first has the refund's own."""
    return key if number == 1 else f"{key}-{number}"


class CardPart(Payload):
    """What goes back to one payment of the provider's; an order whose hold was renewed has several."""

    number: int
    provider_id: str
    amount: int


class RefundOpened(Payload):
    """A refund is noted, and what it takes can be promised to nobody else."""

    refund: RefundView
    parts: list[CardPart] | None = None
    provider_id: str = ""

    @property
    def card_parts(self) -> list[CardPart]:
        """What the provider is asked for; one that was noted before there were parts is all of one payment."""
        if self.parts is None:
            return [CardPart(number=1, provider_id=self.provider_id, amount=self.refund.amount.amount)]
        return self.parts


class PartSettled(Payload):
    """What the provider did about a part: `provider_id` is its id there, `failure_code` why there is none."""

    number: int
    provider_id: str | None = None
    failure_code: str | None = None


class SettleRefund(Payload):
    """What the provider did. A part that is not named was not asked for; store credit follows what was given back."""

    refund_id: str
    order_id: str
    idempotency_key: str
    parts: list[PartSettled]
    event_type: EventType | None = None


class RefundAnswer(Payload):
    """What came of it: the refund, or why nothing was even begun."""

    refund: RefundView | None = None
    code: str | None = None
    message: str | None = None
    refundable: Money | None = None


class RefundList(Payload):
    """All refunds of an order, oldest first, and how much may still be given back."""

    items: list[RefundView]
    refundable: Money


# --- refunds that fail after they had succeeded


class FailedRefundInput(Payload):
    """What FailedRefundWorkflow is started with: the provider's id of a refund, and ours where it is known."""

    order_id: str
    provider_id: str
    refund_id: str | None = None


class ReverseRefund(Payload):
    """The provider says that this refund has failed: whatever the ledger has of it came back to us."""

    order_id: str
    provider_id: str
    code: str
    actor: str = SYSTEM_ACTOR
    refund_id: str | None = None


class RefundReversed(Payload):
    """How much of it is booked as come back. `pending` while the refund's own workflow has yet to book anything."""

    amount: int = 0
    currency: str = ""
    pending: bool = False
