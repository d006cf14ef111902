"""Requests to a running order: carried out by its workflow once per key, answered with the order."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from fastapi import Depends, Response
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel

from adapters.mysql.idempotency import Begun
from adapters.mysql.orders.orders import OrderStore
from api.answers import Answer, accepted
from api.deps import Orders
from api.errors import problems
from api.idempotency import OnceInWorkflow, OnceWithAnyKey
from schemas.orders import OrderView

RESPONSES: dict[int | str, dict[str, Any]] = {
    202: {"model": OrderView, "description": "Still being processed; send the same request again"},
    **problems(400, 401, 402, 403, 404, 409, 422, 503),
}


class _OrderRequests:
    def __init__(self, once: OnceInWorkflow, orders: OrderStore) -> None:
        self._once = once
        self._orders = orders

    async def answer(
        self, path: str, order: OrderView, request: BaseModel, ask: Callable[[Begun], Awaitable[Answer]]
    ) -> Response:
        """The answer of a POST to this path, or the order as it is while there is none."""
        _, answer = await self._once.answer(f"POST {path}", request, ask)
        if answer is not None:
            return answer.response()
        return accepted(await self._now(order), self._once.key_of(request))

    async def as_it_is(self, order: OrderView) -> Answer:
        """The order as it is now."""
        return Answer.showing(await self._now(order))

    async def _now(self, order: OrderView) -> OrderView:
        return await run_in_threadpool(self._orders.get, order.id) or order


async def _order_requests(once: OnceInWorkflow, orders: Orders) -> _OrderRequests:
    return _OrderRequests(once, orders)


async def _cancel_requests(once: OnceWithAnyKey, orders: Orders) -> _OrderRequests:
    return _OrderRequests(once, orders)


OrderRequests = Annotated[_OrderRequests, Depends(_order_requests)]
CancelRequests = Annotated[_OrderRequests, Depends(_cancel_requests)]
