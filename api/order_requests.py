"""What is asked of an order that waits for somebody: done by its workflow once per key, told as the order stands."""

from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from adapters.mysql.idempotency import Begun
from api.deps import Services
from api.errors import problems
from api.idempotency import Answer, OnceInWorkflow
from api.temporal import OrderDesk
from schemas.orders import OrderView

RESPONSES: dict[int | str, dict[str, Any]] = {
    202: {"model": OrderView, "description": "The bank is still thinking; send the same request again"},
    **problems(400, 401, 402, 403, 404, 409, 422, 503),
}
Ask = Callable[[OrderDesk, Begun], Awaitable[Answer]]


async def answer_once(
    everything: Services, once: OnceInWorkflow, path: str, order: OrderView, wanted: BaseModel, ask: Ask
) -> Response:
    """The answer of a POST to this path, or the order as it stands while there is none."""
    desk = OrderDesk(everything.temporal, everything.settings.checkout_answer_seconds)
    _, answer = await once.answer(f"POST {path}", wanted, lambda begun: ask(desk, begun))
    if answer is not None:
        return answer.response()
    latest = await run_in_threadpool(everything.orders.get, order.id) or order
    return JSONResponse(latest.model_dump(mode="json"), 202, headers={"Retry-After": "1"})


def path_of(order: OrderView, what: str) -> str:
    """Where its customer asks it."""
    return f"/v1/orders/{order.id}/{what}"
