"""How a Temporal worker is put together, in one place: tests and the replayer use the same pieces as production."""

import asyncio
import pkgutil
import signal
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, suppress
from datetime import timedelta

import structlog
from temporalio.client import Client
from temporalio.runtime import Runtime
from temporalio.service import RPCError
from temporalio.worker import Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

import workflows
from adapters.connections import Connections
from adapters.settings import Settings
from temporal_clients.connection import connect_temporal
from workers.build_activities import ActivitiesByQueue, build_activities
from workers.heartbeats import Heartbeats
from workers.operator_tasks import OperatorTasksEnd
from workers.store_steps import StoreSteps
from workers.unknown_values import UnknownValuesWait
from workflows.catalog import CatalogChangesWorkflow, PopularityWorkflow
from workflows.names import CATALOG_QUEUE, FULFILMENT_QUEUE, NOTIFICATIONS_QUEUE, ORDERS_QUEUE, PAYMENTS_QUEUE
from workflows.notifications import AccountMailWorkflow, CartReminderWorkflow, NotificationWorkflow
from workflows.orders.adoption import AdoptionWorkflow
from workflows.orders.checkout import CheckoutWorkflow
from workflows.orders.order_sweep import OrderSweepWorkflow
from workflows.orders.parcel_resolution import ParcelResolutionWorkflow
from workflows.orders.stock_upkeep import ReservationExpiryWorkflow, StockReconciliationWorkflow
from workflows.orders.watchdog import WatchdogWorkflow
from workflows.parcels.fulfilment import FulfilmentWorkflow
from workflows.payments.authorization_void import AuthorizationVoidWorkflow
from workflows.payments.disputes import DisputeWorkflow
from workflows.payments.failed_refunds import FailedRefundWorkflow
from workflows.payments.orphaned_payments import OrphanedPaymentWorkflow
from workflows.payments.payment import PaymentWorkflow
from workflows.payments.reconciliation import PaymentReconciliationWorkflow
from workflows.payments.refunds import RefundWorkflow
from workflows.payments.repair import PaymentRepairWorkflow
from workflows.reindex import ReindexWorkflow
from workflows.retention import RetentionWorkflow

_RECONNECT_SECONDS = 1.0

log = structlog.get_logger(__name__)

WORKFLOWS: dict[str, list[type]] = {
    ORDERS_QUEUE: [
        CheckoutWorkflow,
        AdoptionWorkflow,
        ParcelResolutionWorkflow,
        OrderSweepWorkflow,
        WatchdogWorkflow,
        ReservationExpiryWorkflow,
        StockReconciliationWorkflow,
        RetentionWorkflow,
    ],
    PAYMENTS_QUEUE: [
        PaymentWorkflow,
        RefundWorkflow,
        DisputeWorkflow,
        OrphanedPaymentWorkflow,
        FailedRefundWorkflow,
        AuthorizationVoidWorkflow,
        PaymentReconciliationWorkflow,
        PaymentRepairWorkflow,
    ],
    FULFILMENT_QUEUE: [FulfilmentWorkflow],
    NOTIFICATIONS_QUEUE: [NotificationWorkflow, AccountMailWorkflow, CartReminderWorkflow],
    CATALOG_QUEUE: [ReindexWorkflow, CatalogChangesWorkflow, PopularityWorkflow],
}


def workflow_modules() -> set[str]:
    """Every module and package below `workflows`, by its full name."""
    return {module.name for module in pkgutil.walk_packages(workflows.__path__, "workflows.")}


def new_sandbox_runner() -> SandboxedWorkflowRunner:
    """The one sandbox, which imports the modules that define workflows again for each run, and nothing else of ours.

    All the rest is pure and holds no state (tests/test_architecture.py sees to it). Imported once, it keeps one
    identity for every message class, and a run costs the worker much less.
    """
    defining = {workflow.__module__ for served in WORKFLOWS.values() for workflow in served}
    others = workflow_modules() - defining - {module.rpartition(".")[0] for module in defining}
    passed_through = ("schemas", "domain", "activities", "pydantic", "pydantic_core", *sorted(others))
    # What is imported again is read as bytecode, whatever the environment says of writing it.
    sys.dont_write_bytecode = False
    return SandboxedWorkflowRunner(restrictions=SandboxRestrictions.default.with_passthrough_modules(*passed_through))


def build_worker(
    client: Client, queue: str, activities: ActivitiesByQueue, pool: ThreadPoolExecutor, settings: Settings
) -> Worker:
    """A worker for one task queue; `pool` must have a thread for every activity slot of all its workers."""
    return Worker(
        client,
        task_queue=queue,
        workflows=WORKFLOWS[queue],
        activities=activities[queue],
        activity_executor=pool,
        workflow_runner=new_sandbox_runner(),
        interceptors=[Heartbeats(), StoreSteps(), UnknownValuesWait(), OperatorTasksEnd()],
        max_concurrent_workflow_tasks=settings.workflow_slots,
        max_concurrent_activities=settings.activity_slots,
        max_concurrent_local_activities=settings.local_activity_slots,
        graceful_shutdown_timeout=timedelta(seconds=settings.graceful_shutdown_seconds),
    )


def threads_needed(settings: Settings, queues: Sequence[str]) -> int:
    """A thread per slot: an activity that waits for a thread would run into its own time-out."""
    return len(queues) * (settings.activity_slots + settings.local_activity_slots)


async def run_workers(client: Client, connections: Connections, queues: Sequence[str], stop: asyncio.Event) -> None:
    """Poll the queues until `stop` is set, then let running activities finish within the grace period."""
    settings = connections.settings
    activities = build_activities(connections, client)
    with ThreadPoolExecutor(threads_needed(settings, queues), thread_name_prefix="activity") as pool:
        async with AsyncExitStack() as stack:
            for queue in queues:
                await stack.enter_async_context(build_worker(client, queue, activities, pool, settings))
                log.info("polling", queue=queue)
            await stop.wait()
            log.info("stopping", grace_seconds=settings.graceful_shutdown_seconds)


async def reach_temporal(settings: Settings, stop: asyncio.Event, runtime: Runtime | None = None) -> Client | None:
    """A client, however long the server takes to answer; None when `stop` is set before it does."""
    while not stop.is_set():
        try:
            return await connect_temporal(settings, runtime=runtime)
        except (RuntimeError, RPCError) as outage:
            log.warning("Temporal does not answer yet, trying again", at=settings.temporal_address, error=str(outage))
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), _RECONNECT_SECONDS)
    return None


def stop_on_signals() -> asyncio.Event:
    """An event that SIGTERM and SIGINT set."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop
