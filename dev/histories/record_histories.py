"""`make histories`: run an order down every path on the real servers and keep the histories that Temporal recorded.

`tests/replay` replays the files with the current code, so that a change of a workflow that would break running orders
fails there. Files that exist are kept and only missing ones are written; `--overwrite` records all of them again.
"""

import asyncio
import uuid
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress
from temporalio.client import Client
from temporalio.service import RPCError

from adapters.connections import Connections, connect
from dev.histories.record_authorization_void import record_authorization_void
from dev.histories.record_failed_refund import record_failed_refund
from dev.histories.record_orphaned_payment import record_orphaned_payment
from dev.histories.record_staff_decisions import record_staff_decisions
from dev.histories.recorded_orders import PATIENCE_SECONDS, Keep, first_of
from dev.histories.recorded_paths import Recorder
from dev.seed import fill
from dev.seed_catalog import catalog
from dev.stack import ensure_servers
from dev.testbed import Testbed
from domain.actors import staff_actor
from schemas.refunds import RefundInput
from temporal_clients.catalog import start_reindex
from temporal_clients.connection import connect_temporal
from workers.schedules import SCHEDULES
from workflows.names import (
    PAYMENTS_QUEUE,
    dispute_workflow_id,
    fulfilment_workflow_id,
    notification_workflow_id,
    order_workflow_id,
    payment_workflow_id,
    refund_workflow_id,
    reindex_workflow_id,
)
from workflows.payments.refunds import RefundWorkflow

HISTORIES = Path(__file__).resolve().parents[2] / "tests" / "replay" / "histories"
PATHS = (
    "delivered",
    "two_parcels",
    "captured_once",
    "declined",
    "payment_retried",
    "authenticated",
    "unauthenticated",
    "undecided",
    "voucher",
    "refused",
    "cancelled",
    "lines_cancelled",
    "partly_available",
    "backordered",
    "address_changed",
    "store_credit",
    "credit_voided",
    "reauthorized",
    "slow_bank",
    "outcome_unknown",
    "dispute_won",
    "dispute_lost",
)
# The order to refund, and the amount in minor units; None is all of it.
REFUNDS = {
    "refund": ("outcome_unknown", 100),
    "refund-too_much": ("outcome_unknown", 10**9),
    "refund-split": ("store_credit", None),
    "refund-slow_bank": ("slow_bank", 100),
}
_AUTHORIZATION_SECONDS = "24"  # so that the payment is reauthorized after 18 s
console = Console(highlight=False)


async def _write_history(overwrite: bool, client: Client, workflow_id: str, name: str) -> None:
    handle = client.get_workflow_handle(workflow_id)
    try:
        await asyncio.wait_for(handle.result(), PATIENCE_SECONDS)
        history = await handle.fetch_history()
    except RPCError:
        return  # this path has no such workflow: a declined order has no parcel
    file = HISTORIES / f"{name}.json"
    if file.exists() and not overwrite:
        console.print(f"[dim]{name}: exists[/dim]")
        return
    file.write_text(history.to_json() + "\n")
    console.print(f"[green]✓[/green] {name}: {len(history.events)} events")


async def _record(bed: Testbed, stores: Connections, keep: Keep) -> None:
    client = await connect_temporal(bed.settings)
    recorder = await asyncio.to_thread(Recorder, bed, stores)
    orders: dict[str, str] = {}
    for path in PATHS:
        order_id = orders[path] = await asyncio.to_thread(getattr(recorder, path))
        await keep(client, order_workflow_id(order_id), f"checkout-{path}")
        await keep(client, payment_workflow_id(order_id), f"payment-{path}")
        await keep(client, fulfilment_workflow_id(order_id, 1), f"fulfilment-{path}")
    for name, (path, amount) in REFUNDS.items():
        refund = RefundInput(
            refund_id=str(uuid.uuid4()),
            order_id=orders[path],
            amount=amount,
            reason="recording histories",
            actor=staff_actor("1"),
        )
        workflow_id = refund_workflow_id(refund.refund_id)
        await client.start_workflow(RefundWorkflow.run, refund, id=workflow_id, task_queue=PAYMENTS_QUEUE)
        await keep(client, workflow_id, name)
    first = (await asyncio.to_thread(recorder.event_ids, order_id))[0]
    await keep(client, notification_workflow_id(first), "notification")
    await keep(client, await first_of(client, "AccountMailWorkflow"), "account_mail")
    delivered = await asyncio.to_thread(recorder.delivered)
    await record_orphaned_payment(client, recorder, stores, delivered, keep)
    await record_failed_refund(client, recorder, keep)
    await record_authorization_void(client, recorder, keep)
    await record_staff_decisions(client, recorder, keep)
    for row in SCHEDULES:
        run = await client.start_workflow(row.workflow, id=f"recorded-{row.id}", task_queue=row.queue)
        await keep(client, run.id, row.id)
    for outcome, dispute_id in recorder.disputes.items():
        await keep(client, dispute_workflow_id(dispute_id), f"dispute-{outcome}")
    await start_reindex(client, "products")
    await keep(client, reindex_workflow_id("products"), "reindex")


def main(
    overwrite: Annotated[
        bool, typer.Option(envvar="OVERWRITE", help="Record all histories again, not only missing ones.")
    ] = False,
) -> None:
    """Run an order down every path on the real servers and keep its histories in tests/replay/histories."""
    HISTORIES.mkdir(parents=True, exist_ok=True)
    ensure_servers()
    bed = Testbed.create()
    try:
        with connect(bed.settings, pool_size=2) as stores, Progress(console=console) as progress:
            fill(stores, list(catalog(300)), progress)
        bed.start("payment-simulator", PAYMENT_AUTHORIZATION_SECONDS=_AUTHORIZATION_SECONDS)
        bed.start("mail", "carrier-simulator", "order-worker", "relay", "notification-worker")
        bed.start("api", ORDERS_PAYMENT_RETRY_MINUTES="0.2", ORDERS_PAYMENT_AUTHENTICATION_MINUTES="0.1")
        with connect(bed.settings, pool_size=2) as stores:
            asyncio.run(_record(bed, stores, partial(_write_history, overwrite)))
    finally:
        bed.close()


if __name__ == "__main__":
    typer.run(main)
