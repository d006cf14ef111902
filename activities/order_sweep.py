"""Compares the orders in MySQL with the workflows that run, page by page, and lists for staff what does not agree."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Protocol

from temporalio import activity

from activities.found_tasks import FoundTasks
from schemas.operator_tasks import OperatorTask, OperatorTaskCode
from schemas.order_sweep import FindWorkflow, OrdersSwept

if TYPE_CHECKING:
    from adapters.mysql.orders.operator_tasks import OperatorTaskStore
    from adapters.mysql.orders.sweeping import Unfinished, UnfinishedOrders

GRACE = timedelta(hours=1)  # long before that, a workflow that runs has begun the next step
_LOOK_BACK = timedelta(days=30)  # for the first finding in orders that have ended; no authorization lasts longer
_PAGE, _AT_ONCE, _MOST_NAMED = 100, 8, 50
_SOURCE = "order-sweep-"


class OrderWorkflows(Protocol):
    """What Temporal knows of orders."""

    async def runs(self, workflow_id: str) -> bool:
        """Whether the workflow runs."""

    async def is_running(self, order_id: str, parcels: Iterable[int]) -> bool:
        """Whether the workflow of the order, or of one of the parcels, runs."""

    async def lost_parts(self, order_id: str, parcels: tuple[int, ...], *, holds_money: bool) -> list[str]:
        """Which of these parts of an ended order no workflow looks after."""

    def order_pages(self, started_before: datetime, size: int) -> AsyncIterator[list[str]]:
        """The ids of the orders whose workflow runs, page by page."""


class OrderSweepActivities:
    """Reads; what it writes are operator tasks, one for each order, so that a repeat finds them there."""

    def __init__(self, orders: "UnfinishedOrders", tasks: "OperatorTaskStore", workflows: OrderWorkflows) -> None:
        self._orders = orders
        self._tasks = FoundTasks(tasks, _SOURCE)
        self._workflows = workflows

    @activity.defn
    async def is_running(self, command: FindWorkflow) -> bool:
        """Whether a workflow of this id runs."""
        return await self._workflows.runs(command.workflow_id)

    @activity.defn
    async def sweep_orders(self) -> OrdersSwept:
        """List what has no workflow, and workflows whose order has ended; resolve what is mended.

        A repeat continues after the last heartbeat. While Temporal does not answer nothing is listed.
        """
        started = datetime.now(UTC)
        after, looked_at, found = 0, 0, list[str]()
        if activity.info().heartbeat_details:
            after, looked_at, found, begun = activity.info().heartbeat_details
            started = datetime.fromisoformat(begun)
        times = (started - _LOOK_BACK, started - GRACE)
        numbers = await asyncio.to_thread(self._orders.numbers, *times, await self._tasks.orders())
        for page in _pages([number for number in numbers if number > after]):
            found += await self._examine(await asyncio.to_thread(self._orders.some, page, started - GRACE))
            after, looked_at = page[-1], looked_at + len(page)
            activity.heartbeat(after, looked_at, found, started.isoformat())
        async for order_ids in self._workflows.order_pages(started - GRACE, _PAGE):
            found += await self._find_ended(order_ids, started - GRACE)
            activity.heartbeat(after, looked_at, found, started.isoformat())
        mended = await self._tasks.end_others(set(found))
        if found:
            activity.logger.error("needs operator: %d order(s) and their workflows do not agree", len(found))
        return OrdersSwept(
            looked_at=looked_at,
            without_workflow=len(set(found)),
            mended=mended,
            orders=sorted(set(found))[:_MOST_NAMED],
        )

    async def _examine(self, page: "list[Unfinished]") -> list[str]:
        found: list[str] = []
        for first in range(0, len(page), _AT_ONCE):
            orders = page[first : first + _AT_ONCE]
            texts = await asyncio.gather(*(self._lost(order) for order in orders))
            for order, text in zip(orders, texts, strict=True):
                if text:
                    await self._list(order.order_id, text, order.changed_at, adoptable=True)
                    found.append(order.order_id)
        return found

    async def _lost(self, order: "Unfinished") -> str | None:
        if not order.has_ended:
            runs = await self._workflows.is_running(order.order_id, ())
            return None if runs else f"order {order.number} is {order.status} and its workflow does not run"
        parts = await self._workflows.lost_parts(order.order_id, order.parcels, holds_money=order.holds_money)
        what = " and ".join(parts)
        return f"order {order.number} is {order.status}, and no workflow looks after {what}" if parts else None

    async def _find_ended(self, order_ids: list[str], until: datetime) -> list[str]:
        """Of orders whose workflow runs, those that had ended long before."""
        ended = await asyncio.to_thread(self._orders.ended, order_ids, until)
        for order_id, since in ended.items():
            await self._list(order_id, "the order has ended and its workflow runs on", since, adoptable=False)
        return list(ended)

    async def _list(self, order_id: str, text: str, since: datetime, *, adoptable: bool) -> None:
        task = OperatorTask(
            code=OperatorTaskCode.ORDER_WITHOUT_WORKFLOW if adoptable else OperatorTaskCode.WORKFLOW_OF_ENDED_ORDER,
            text=text,
            since=since,
            route=f"POST /v1/ops/orders/{order_id}/adopt" if adoptable else None,
            outlasts=True,
        )
        await self._tasks.record(order_id, [task])


def _pages(numbers: list[int]) -> Iterator[list[int]]:
    return (numbers[first : first + _PAGE] for first in range(0, len(numbers), _PAGE))
