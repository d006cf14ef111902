"""Webhooks whose amounts contradict the ledger, for staff."""

from typing import Annotated

from fastapi import APIRouter, Body, Path, Query

from api.deps import Flagged
from api.errors import problems
from api.permissions import CurrentPrincipal, acting, require
from schemas.webhooks import FlaggedWebhookPage, FlaggedWebhookView, ReviewRequest

router = APIRouter(prefix="/v1/ops/webhooks/flagged", tags=["operations"])
_EXAMPLES = {"reviewed": {"value": {"reason": "captured by hand in the provider's dashboard; corrected there"}}}


@router.get("", dependencies=[require("ops:reconcile")], responses=problems(401, 403, 422, 503))
def list_flagged_webhooks(
    flagged: Flagged,
    cursor: Annotated[str | None, Query(pattern=r"^[01]-[0-9]{1,18}$")] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
) -> FlaggedWebhookPage:
    """Payment webhooks that contradict our ledger and were not applied; those without a review first."""
    after = None
    if cursor is not None:
        reviewed, _, number = cursor.partition("-")
        after = (reviewed == "1", int(number))
    return flagged.page(after, limit)


@router.post("/{event_id}/review", dependencies=[require("ops:reconcile")], responses=problems(401, 403, 404, 422, 503))
def review_flagged_webhook(
    event_id: Annotated[str, Path(pattern=r"^[A-Za-z0-9_-]{1,255}$")],
    body: Annotated[ReviewRequest, Body(openapi_examples=_EXAMPLES)],
    flagged: Flagged,
    asker: CurrentPrincipal,
) -> FlaggedWebhookView:
    """Record who has reviewed it and what they found; the first review stays."""
    return flagged.review(event_id, acting(asker, "ops:reconcile"), body.reason)
