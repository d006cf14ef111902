"""The table of Temporal Schedules, and how the server is made to agree with it.

To add one, write a row; `order-admin setup` creates it, applies a changed row, and removes a schedule whose row is
gone. Each run must be repeat-safe and must mind only what is overdue, because a run may come late or not at all.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleSpec,
    ScheduleUpdate,
    ScheduleUpdateInput,
)
from temporalio.service import RPCError, RPCStatusCode
from temporalio.types import MethodAsyncNoParam

from adapters.settings import Settings
from temporal_clients.connection import connect_temporal
from workflows.catalog import CatalogChangesWorkflow, PopularityWorkflow
from workflows.names import (
    CART_REMINDERS_ID,
    CATALOG_CHANGES_ID,
    CATALOG_QUEUE,
    NOTIFICATIONS_QUEUE,
    ORDER_SWEEP_ID,
    ORDERS_QUEUE,
    PAYMENT_RECONCILIATION_ID,
    PAYMENTS_QUEUE,
    POPULARITY_ID,
    RESERVATION_EXPIRY_ID,
    RETENTION_ID,
    STOCK_RECONCILIATION_ID,
    WATCHDOG_ID,
)
from workflows.notifications import CartReminderWorkflow
from workflows.orders.order_sweep import OrderSweepWorkflow
from workflows.orders.stock_upkeep import ReservationExpiryWorkflow, StockReconciliationWorkflow
from workflows.orders.watchdog import WatchdogWorkflow
from workflows.payments.reconciliation import PaymentReconciliationWorkflow
from workflows.retention import RetentionWorkflow

_OWNER = "made_for"  # the memo by which our schedules differ from a person's or another engine's
_SHORTEST_CATCH_UP = timedelta(minutes=1)


@dataclass(frozen=True)
class Scheduled:
    """One row: a workflow that takes no argument, started every so often unless its last run is still going.

    `at` is how long after the beginning of an interval, of a day midnight UTC; `jitter` is by how much it may be late.
    """

    id: str
    workflow: MethodAsyncNoParam[Any, Any]
    every: timedelta
    queue: str
    what_for: str
    at: timedelta = timedelta()
    jitter: timedelta | None = None


SCHEDULES: tuple[Scheduled, ...] = (
    Scheduled(
        RESERVATION_EXPIRY_ID,
        ReservationExpiryWorkflow.run,
        timedelta(minutes=5),
        ORDERS_QUEUE,
        "release expired reservations of orders whose workflow no longer runs",
    ),
    Scheduled(
        ORDER_SWEEP_ID,
        OrderSweepWorkflow.run,
        timedelta(minutes=15),
        ORDERS_QUEUE,
        "list orders, parcels and payments that no workflow looks after any more",
    ),
    Scheduled(
        WATCHDOG_ID,
        WatchdogWorkflow.run,
        timedelta(minutes=5),
        ORDERS_QUEUE,
        "list orders that take too long, remind staff of what nobody has answered, and decide where a rule may",
    ),
    Scheduled(
        STOCK_RECONCILIATION_ID,
        StockReconciliationWorkflow.run,
        timedelta(hours=1),
        ORDERS_QUEUE,
        "prove that the ledger, the balances and the reservations of stock agree",
    ),
    Scheduled(
        PAYMENT_RECONCILIATION_ID,
        PaymentReconciliationWorkflow.run,
        timedelta(hours=1),
        PAYMENTS_QUEUE,
        "prove that the payment provider, the ledger and the orders agree",
    ),
    Scheduled(
        CART_REMINDERS_ID,
        CartReminderWorkflow.run,
        timedelta(hours=1),
        NOTIFICATIONS_QUEUE,
        "remind customers who want it of what they left in their carts",
    ),
    Scheduled(
        CATALOG_CHANGES_ID,
        CatalogChangesWorkflow.run,
        timedelta(minutes=1),
        CATALOG_QUEUE,
        "announce products whose price began or ended, and those whose brand or category was renamed or moved",
    ),
    Scheduled(
        POPULARITY_ID,
        PopularityWorkflow.run,
        timedelta(hours=1),
        CATALOG_QUEUE,
        "count what products sold lately, and have the search index follow",
    ),
    Scheduled(
        RETENTION_ID,
        RetentionWorkflow.run,
        timedelta(days=1),
        ORDERS_QUEUE,
        "purge what is kept for some time only, and archive the events of orders that ended long ago",
        at=timedelta(hours=2),
        jitter=timedelta(minutes=30),
    ),
)


async def ensure_schedules(settings: Settings, table: Sequence[Scheduled] = SCHEDULES) -> str:
    """Have the server's schedules be those of the table; answers what changed. What a person has paused stays so."""
    client = await asyncio.wait_for(connect_temporal(settings), timeout=10)
    prefix = settings.name_prefix
    done = []
    for row in table:
        what = await _ensure(client, f"{prefix}{row.id}", row, _owner(prefix))
        if what != "was there":
            done.append(f"{row.id} {what}")
    target = {f"{prefix}{row.id}" for row in table}
    done += [f"{name.removeprefix(prefix)} removed" for name in await _remove_others(client, target, _owner(prefix))]
    return ", ".join(done) or f"{len(table)} of them were there"


async def _ensure(client: Client, schedule_id: str, row: Scheduled, owner: str) -> str:
    target = _schedule(schedule_id, row)
    try:
        await client.create_schedule(schedule_id, target, memo={_OWNER: owner})
    except ScheduleAlreadyRunningError:
        handle = client.get_schedule_handle(schedule_id)
        before = _shape((await handle.describe()).schedule)

        async def with_current_state(current: ScheduleUpdateInput) -> ScheduleUpdate:
            target.state = current.description.schedule.state
            return ScheduleUpdate(target)

        # Always, because what a run is called is not worth comparing; the times of an interval do not move with it.
        await handle.update(with_current_state)
        return "was there" if before == _shape(target) else f"changed, every {row.every}"
    return f"made, every {row.every}"


async def _remove_others(client: Client, target: set[str], owner: str) -> list[str]:
    removed = []
    async for listed in await client.list_schedules():
        if listed.id in target or await listed.memo_value(_OWNER, None) != owner:
            continue
        try:
            await client.get_schedule_handle(listed.id).delete()
        except RPCError as error:  # the list is a little behind: it is gone already
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
            continue
        removed.append(listed.id)
    return removed


def _schedule(schedule_id: str, row: Scheduled) -> Schedule:
    return Schedule(
        action=ScheduleActionStartWorkflow(
            row.workflow,
            id=schedule_id,  # Temporal adds the time of the run
            task_queue=row.queue,
            static_summary=row.what_for,
        ),
        spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=row.every, offset=row.at)], jitter=row.jitter),
        # After an outage the run that was missed last is made up for; the ones before it would find nothing more to do.
        policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP, catchup_window=max(row.every, _SHORTEST_CATCH_UP)),
    )


def _shape(schedule: Schedule) -> tuple[object, ...]:
    """What of a schedule decides when it runs what."""
    action = schedule.action
    assert isinstance(action, ScheduleActionStartWorkflow)
    return (
        action.workflow,
        action.task_queue,
        [(interval.every, interval.offset or timedelta()) for interval in schedule.spec.intervals],
        schedule.spec.jitter or timedelta(),
        schedule.policy,
    )


def _owner(prefix: str) -> str:
    return f"{prefix}order-engine"
