"""Webhooks whose amounts contradict our ledger: kept for staff and not acted on."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import StringConstraints

from schemas.base import Payload, Request


class FlaggedWebhook(Payload):
    """A webhook that contradicts our ledger: `differences` has both values, by field."""

    event_id: str
    type: str
    order_id: str
    payment_id: str
    differences: dict[str, Any]


class FlaggedWebhookView(FlaggedWebhook):
    """The same as staff see it; `review` is the finding of the staff member who reviewed it."""

    received_at: datetime
    reviewed: bool = False
    reviewed_at: datetime | None = None
    reviewed_by: str | None = None
    review: str | None = None


class FlaggedWebhookPage(Payload):
    """Unreviewed webhooks first, newest first; `next_cursor` is null on the last page."""

    items: list[FlaggedWebhookView]
    next_cursor: str | None = None


class ReviewRequest(Request):
    """`POST /v1/ops/webhooks/flagged/{event_id}/review`: mark it as reviewed, with the finding."""

    reason: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500)]
