"""Giving money back: what staff ask for, what the workflow does about it, what is shown of it."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import Field, StringConstraints

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
    """What RefundWorkflow is started with; `actor` is who decided it."""

    refund_id: str
    order_id: str
    amount: int | None = None
    currency: str | None = None
    reason: str
    actor: str


class RefundView(Payload):
    """A refund as shown."""

    id: str
    order_id: str
    amount: Money
    reason: str
    status: RefundStatus
    actor: str
    failure_code: str | None = None
    created_at: datetime
    settled_at: datetime | None = None


class RefundOpened(Payload):
    """A refund is noted, and what it takes can be promised to nobody else; `provider_id` is the payment it is of."""

    refund: RefundView
    provider_id: str


class SettleRefund(Payload):
    """What the provider did about a refund: `provider_id` is its id there, `failure_code` why there is none."""

    refund_id: str
    order_id: str
    idempotency_key: str
    provider_id: str | None = None
    failure_code: str | None = None


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
