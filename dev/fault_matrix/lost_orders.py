"""What follows when an order or its payment has lost its workflow: staff adopt it, and the provider's event repeats."""

import asyncio
from collections import Counter
from contextlib import suppress
from datetime import UTC, datetime

import httpx2
import sqlalchemy as sa
from temporalio.common import WorkflowIDConflictPolicy

from activities.order_sweep import GRACE
from adapters.mysql.clock import naive
from adapters.mysql.orders.operator_tasks import OperatorTaskStore
from adapters.mysql.orders.orders import OrderStore
from adapters.mysql.tables.orders import orders
from dev.fault_matrix.order import REASON, STAFF, OrderUnderTest
from domain.errors import NothingToAdopt
from domain.ledger import EntryKind
from domain.orders import FINAL_STATUSES
from schemas.checkout import Adoption
from schemas.provider_events import ProviderEvent
from temporal_clients.checkouts import CheckoutClient
from temporal_clients.payments import start_orphaned_payment
from workflows.names import ORDERS_QUEUE, order_workflow_id, orphaned_payment_workflow_id
from workflows.orders.checkout import CheckoutWorkflow
from workflows.orders.order_sweep import OrderSweepWorkflow

_PATIENCE_SECONDS = 120.0
_WORKFLOW_TASK_SECONDS = 10.0
_HOLDS = {EntryKind.AUTHORIZATION: 1, EntryKind.CAPTURE: -1, EntryKind.VOID: -1}


async def adopt(run: OrderUnderTest) -> bool:
    """Have it adopted once the sweep lists it; False when it was never placed, or had ended with nothing left to do."""
    if not await _placed(run):
        return False
    while not (await _has_ended(run) or await _is_listed(run)):
        pass  # something has happened in it meanwhile
    with suppress(NothingToAdopt):
        await _adopt(run)
        return True
    return False


async def _placed(run: OrderUnderTest) -> bool:
    """Whether it is; the worker learns only with its workflow task that the workflow was terminated, and goes on."""
    with suppress(TimeoutError):
        async with asyncio.timeout(_WORKFLOW_TASK_SECONDS):
            await run.order_when(lambda _: True)
            return True
    return False


async def _has_ended(run: OrderUnderTest) -> bool:
    """Its parcel may have ended it meanwhile."""
    order = await asyncio.to_thread(run.order)
    return order is not None and order.status in FINAL_STATUSES


async def _is_listed(run: OrderUnderTest) -> bool:
    """Sweep as if nothing had happened in it for hours. One run looks at all orders, so those that wait share it."""
    await asyncio.to_thread(_age, run)
    await run.environment.client.execute_workflow(
        OrderSweepWorkflow.run,
        id="sweep-matrix",
        task_queue=ORDERS_QUEUE,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
    )
    store = OperatorTaskStore(run.environment.sides.stores.engine)
    listed = await asyncio.to_thread(store.page, None, 1000)
    return f"order-sweep-{run.order_id}" in {task.workflow_id for task in listed.items}


def _age(run: OrderUnderTest) -> None:
    past = naive(datetime.now(UTC) - 2 * GRACE)
    with run.environment.sides.stores.engine.begin() as connection:
        connection.execute(sa.update(orders).where(orders.c.id == run.order_id).values(updated_at=past))


async def _adopt(run: OrderUnderTest) -> None:
    client, store = run.environment.client, OrderStore(run.environment.sides.stores.engine)
    order = await asyncio.to_thread(store.checkout_of, run.order_id, Adoption(actor=STAFF, reason=REASON))
    assert order is not None
    await CheckoutClient(client, _PATIENCE_SECONDS).adopt(order, run.follow_up_id)
    run.follow(client.get_workflow_handle_for(CheckoutWorkflow.run, order_workflow_id(run.order_id)))


async def return_unrecorded(run: OrderUnderTest) -> None:
    """What a payment authorized and could not record is returned at the provider's next event about it."""
    for intent in await asyncio.to_thread(_authorized_at_provider, run):
        event = ProviderEvent(event_id=f"evt_{intent}", type="payment_intent.updated", provider_id=intent)
        await start_orphaned_payment(run.environment.client, run.order_id, event)
        await run.environment.client.get_workflow_handle(orphaned_payment_workflow_id(intent)).result()


def _authorized_at_provider(run: OrderUnderTest) -> list[str]:
    answer = httpx2.get(f"{run.environment.sides.provider}/_ledger", params={"order_id": run.order_id}, timeout=30)
    held = Counter[str]()
    for row in answer.raise_for_status().json()["data"]:
        if row["effect"] in _HOLDS:
            held[row["intent"]] += _HOLDS[row["effect"]] * row["amount"]
    return [intent for intent, amount in held.items() if amount > 0]
