"""The cart as it changes, on every tab and device of its owner."""

import time
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Request
from fastapi.sse import EventSourceResponse, ServerSentEvent

from api.cart_feeds import MOST_STREAMS, TooManyStreams, Watcher
from api.deps import Feeds, RequestAuthenticator
from api.errors import HttpProblem, problems
from api.permissions import require
from api.routes.carts import Owner
from schemas.carts import CartView
from schemas.problem_codes import ProblemCode

router = APIRouter(prefix="/v1/cart", tags=["cart"])
_CHECK_SECONDS = 3.0
_EVENTS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "`cart` events: first the cart as it is, then whenever it, a price or the stock changes",
        "content": {"text/event-stream": {"schema": CartView.model_json_schema()}},
    }
}


async def _watching(owner: Owner, feeds: Feeds) -> AsyncIterator[Watcher]:
    try:
        async with feeds.watch(owner) as watcher:
            yield watcher
    except TooManyStreams:
        detail = f"A cart has at most {MOST_STREAMS} streams at once. Please close one of them."
        raise HttpProblem(429, ProblemCode.TOO_MANY_STREAMS, detail, {"Retry-After": "5"}) from None


@router.get(
    "/events",
    dependencies=[require("cart:use")],
    response_class=EventSourceResponse,
    responses={**_EVENTS, **problems(400, 401, 429, 503)},
)
async def follow_cart(
    watcher: Annotated[Watcher, Depends(_watching)],
    request: Request,
    authenticator: RequestAuthenticator,
    last_event_id: Annotated[str | None, Header()] = None,
) -> AsyncIterator[ServerSentEvent]:
    """Your whole cart, as `GET /v1/cart` shows it, each time that it, a price or the stock changes.

    An event's id is the cart's version, with a suffix while there are changes that are not acknowledged. With
    Last-Event-ID nothing is sent until the cart differs from it. Of several changes in a row only the last may be sent.
    The stream ends when the token expires; connect again with a new one.
    """
    seen, check_at = last_event_id, time.monotonic() + _CHECK_SECONDS
    while not watcher.ended:
        shown = await watcher.newer_than(seen, max(0, check_at - time.monotonic()))
        if time.monotonic() >= check_at:
            if not await authenticator.still_holds(request):
                return
            check_at = time.monotonic() + _CHECK_SECONDS
        if shown is not None:
            seen = shown.state
            yield ServerSentEvent(raw_data=shown.text, event="cart", id=seen)
