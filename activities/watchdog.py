"""The watchdog looks at all orders: what takes longer than expected, or than was promised, is listed for staff."""

import asyncio
from collections import defaultdict
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from temporalio import activity

from activities.failures import typed_failures
from activities.found_tasks import FoundTasks
from domain.orders import OrderStatus
from schemas.operator_tasks import OperatorTask, OperatorTaskCode
from schemas.watchdog import OrdersWatched

if TYPE_CHECKING:
    from adapters.mysql.orders.operator_tasks import OperatorTaskStore
    from adapters.mysql.orders.promises import Promised, Promises
    from adapters.mysql.orders.sweeping import UnfinishedOrders

REMIND_CUSTOMER = timedelta(days=3)
"""So long before the wait for goods ends its customer is reminded."""
_SOURCE = "watchdog-"
_MOST_NAMED = 50


class WatchdogActivities:
    """Many short transactions on our own database; a repeat finds what is recorded."""

    def __init__(
        self,
        orders: "UnfinishedOrders",
        promises: "Promises",
        tasks: "OperatorTaskStore",
        expected: Mapping[OrderStatus, timedelta],
    ) -> None:
        self._orders = orders
        self._promises = promises
        self._tasks = FoundTasks(tasks, _SOURCE)
        self._expected = expected

    @activity.defn
    async def watch_orders(self) -> OrdersWatched:
        """List orders that have stayed in a stage longer than expected, parcels that should have been dispatched, and
        backorders whose time is over; customers learn of the latter two.
        """
        moment = datetime.now(UTC)
        found: dict[str, list[OperatorTask]] = defaultdict(list)
        for overdue in await asyncio.to_thread(self._orders.overdue, moment, self._expected):
            text = f"order {overdue.number} has been {overdue.status} since {overdue.changed_at:%d.%m. %H:%M} UTC"
            found[overdue.order_id].append(_task(OperatorTaskCode.ORDER_OVERDUE, overdue.changed_at, text))
        late = await self._late(moment)
        backorders = await self._backorders(moment)
        for promised, task in late + backorders:
            found[promised.order_id].append(task)
        for order_id, tasks in found.items():
            await self._tasks.record(order_id, tasks)
            activity.heartbeat()
        return OrdersWatched(
            overdue=len(found),
            late_parcels=len(late),
            backorders=len(backorders),
            ended=await self._tasks.end_others(found.keys()),
            orders=sorted(found)[:_MOST_NAMED],
        )

    async def _late(self, moment: datetime) -> "list[tuple[Promised, OperatorTask]]":
        tasks = []
        for late in await asyncio.to_thread(self._promises.late, moment):
            if not late.late:
                with typed_failures():
                    await asyncio.to_thread(self._promises.record_late, late)
                activity.heartbeat()
            text = f"parcel {late.parcel} of order {late.number} was not dispatched by {late.until:%d.%m. %H:%M} UTC"
            tasks.append((late, _task(OperatorTaskCode.PARCEL_LATE, late.until, text, late.parcel)))
        return tasks

    async def _backorders(self, moment: datetime) -> "list[tuple[Promised, OperatorTask]]":
        tasks = []
        for waiting in await asyncio.to_thread(self._promises.backordered, moment + REMIND_CUSTOMER):
            if waiting.until > moment:
                with typed_failures():
                    await asyncio.to_thread(self._promises.remind, waiting)
                continue
            text = f"the goods of parcel {waiting.parcel} of order {waiting.number} have not arrived in time"
            task = _task(OperatorTaskCode.BACKORDER_OVERDUE, waiting.until, text, waiting.parcel)
            route = f"POST /v1/orders/{waiting.order_id}/backorder"
            tasks.append((waiting, task.model_copy(update={"route": route})))
            activity.heartbeat()
        return tasks


def _task(code: OperatorTaskCode, since: datetime, text: str, parcel: int | None = None) -> OperatorTask:
    about = f"parcel {parcel}" if parcel else ""
    return OperatorTask(code=code, about=about, parcel=parcel, text=text, since=since)
