"""Webhooks whose amounts our books contradict: kept for staff, acted on by nobody."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import StringConstraints

from schemas.base import Payload, Request


class FlaggedWebhook(Payload):
    """What a webhook told and our books do not: `differences` has both, by field."""

    event_id: str
    type: str
    order_id: str
    payment_id: str
    differences: dict[str, Any]


class FlaggedWebhookView(FlaggedWebhook):
    """The same as staff see it; `review` is what somebody found when they looked at it."""

    received_at: datetime
    reviewed: bool = False
    reviewed_at: datetime | None = None
    reviewed_by: str | None = None
    review: str | None = None


class FlaggedWebhookPage(Payload):
    """Those that nobody has looked at first, of these the newest; `next_cursor` is None on the last page."""

    items: list[FlaggedWebhookView]
    next_cursor: str | None = None


class ReviewRequest(Request):
    """`POST /v1/ops/webhooks/flagged/{event_id}/review`: somebody has looked at it, and what they found."""

    reason: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500)]
