"""The cart as it changes, on every tab and device of its owner."""

import time
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Request
from fastapi.sse import EventSourceResponse, ServerSentEvent

from api.cart_feeds import MOST_STREAMS, TooManyStreams, Watcher
from api.deps import Feeds
from api.errors import HttpProblem, problems
from api.identity import still_signed_in
from api.permissions import require
from api.routes.carts import Owner
from schemas.carts import CartView

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
        detail = f"A cart can be watched from {MOST_STREAMS} places; close one of them."
        raise HttpProblem(429, "too_many_streams", detail, {"Retry-After": "5"}) from None


@router.get(
    "/events",
    dependencies=[require("cart:use")],
    response_class=EventSourceResponse,
    responses={**_EVENTS, **problems(400, 401, 429, 503)},
)
async def follow_cart(
    watcher: Annotated[Watcher, Depends(_watching)],
    request: Request,
    last_event_id: Annotated[str | None, Header()] = None,
) -> AsyncIterator[ServerSentEvent]:
    """My cart whenever it changes, whole, as `GET /v1/cart` shows it; also when a price or the stock does.

    An event's id is the cart's version, followed by a mark while there are changes not taken note of. With
    Last-Event-ID nothing is sent until the cart is otherwise. Of several changes in a row only the last may be told.
    The stream ends when the token does; then connect again with a new one.
    """
    told, check_at = last_event_id, time.monotonic() + _CHECK_SECONDS
    while not watcher.ended:
        shown = await watcher.newer_than(told, max(0, check_at - time.monotonic()))
        if time.monotonic() >= check_at:
            if not await still_signed_in(request):
                return
            check_at = time.monotonic() + _CHECK_SECONDS
        if shown is not None:
            told = shown.state
            yield ServerSentEvent(raw_data=shown.text, event="cart", id=told)
