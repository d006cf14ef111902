"""order-admin: compares provider, ledger and orders."""

import asyncio
from contextlib import suppress

from rich.console import Console
from rich.table import Table
from temporalio.client import WorkflowHandle
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.service import RPCError

from adapters.connections import Connections
from adapters.mysql.payments.differences import PaymentDifferences
from domain.reconciliation import DifferenceStatus
from schemas.payment_reconciliation import PaymentDifference, PaymentsReconciled
from temporal_clients.connection import connect_temporal
from workers.steps import Step, StepFailed
from workflows.names import PAYMENT_RECONCILIATION_ID, PAYMENTS_QUEUE
from workflows.payments.reconciliation import PaymentReconciliationWorkflow

_LOOK_SECONDS = 0.5
_MOST_SHOWN = 50


def reconcile_payments_step(stores: Connections, console: Console) -> Step:
    """Run the reconciliation now, show its progress and result; fails when there are differences."""

    def act() -> str:
        found = asyncio.run(_followed(stores, console))
        if found.open:
            page = PaymentDifferences(stores.engine, stores.settings.reconciliation_grace).page(None, _MOST_SHOWN)
            console.print(_table([found for found in page.items if found.status is DifferenceStatus.OPEN]))
            raise StepFailed(
                f"The reconciliation found {found.open} open difference(s). "
                "GET /v1/ops/reconciliation/payments names them, and takes your decision about each."
            )
        watched = f"; {found.watched} watched, because their orders are running" if found.watched else ""
        return f"provider, ledger and orders agree on {found.payments:,} payment(s), {found.orders:,} order(s){watched}"

    return Step(
        "Payments",
        act,
        "Are Temporal and a worker of the queue `payments` running? `make status` shows the development stack.",
    )


async def _followed(stores: Connections, console: Console) -> PaymentsReconciled:
    """Start the workflow, or join the run that was started before."""
    client = await connect_temporal(stores.settings)
    handle: WorkflowHandle[PaymentReconciliationWorkflow, PaymentsReconciled] = await client.start_workflow(
        PaymentReconciliationWorkflow.run,
        id=f"{PAYMENT_RECONCILIATION_ID}-now",
        task_queue=PAYMENTS_QUEUE,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
        static_summary="started by order-admin",
    )
    waiting = asyncio.create_task(handle.result())
    with console.status("Payments …") as status:
        while not (await asyncio.wait({waiting}, timeout=_LOOK_SECONDS))[0]:
            with suppress(RPCError):  # no worker answers yet
                place = await handle.query(PaymentReconciliationWorkflow.place)
                status.update(f"{place.phase.replace('_', ' ')}: {place.so_far.payments:,} payment(s) so far")
    return await waiting


def _table(differences: list[PaymentDifference]) -> Table:
    table = Table(title="Open differences, in minor units")
    for column in ("id", "what", "order", "order is"):
        table.add_column(column)
    for column in ("at the provider", "in the ledger"):
        table.add_column(column, justify="right")
    table.add_column("proposed repair")
    for found in differences:
        what = f"{found.kind} ({found.effect})" if found.effect else str(found.kind)
        amounts = ("–" if amount is None else str(amount) for amount in (found.provider_amount, found.ledger_amount))
        table.add_row(str(found.id), what, found.order_id, str(found.order_status), *amounts, found.proposed_repair)
    return table
