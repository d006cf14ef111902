"""Histories of orphaned payments, and of a repair of the ledger."""

import asyncio
import uuid
from contextlib import suppress
from datetime import timedelta

import httpx2
import sqlalchemy as sa
from temporalio.client import Client
from temporalio.service import RPCError

from adapters.connections import Connections
from adapters.mysql.payments.differences import PaymentDifferences
from adapters.mysql.tables.orders import orders, parcels
from dev.histories.recorded_orders import PATIENCE_SECONDS, VISA, Keep, RecordedOrders, sku_in
from domain.actors import staff_actor
from schemas.payment_reconciliation import DecideDifference, DecisionAction
from workflows.names import (
    PAYMENTS_QUEUE,
    orphaned_payment_workflow_id,
    payment_repair_workflow_id,
    payment_workflow_id,
)
from workflows.payments.reconciliation import PaymentReconciliationWorkflow
from workflows.payments.repair import PaymentRepairWorkflow

ORPHANED_PAYMENTS = ("payment-abandoned", "orphaned-payment-abandoned", "orphaned-payment-refunded", "payment-repair")
_SECURE = "pm_card_threeDSecure2Required"


class OrphanedPaymentPaths(RecordedOrders):
    """Payments that succeed although no order waits for them; `orphaned` is the provider's id of the last one."""

    orphaned = ""

    def after_another_card(self) -> str:
        """The customer has paid by another card."""

        def retry_payment(order_id: str) -> None:
            self._remember(order_id)
            key, method = {"Idempotency-Key": str(uuid.uuid4())}, {"payment_method": VISA}
            self._client.post(f"/v1/orders/{order_id}/payment", json=method, headers=key).raise_for_status()
            self._succeed(captured=False)

        return self._order({sku_in("BER"): 1}, payment_method=_SECURE, then=retry_payment)

    def after_the_cancel(self) -> str:
        """The customer has cancelled."""

        def cancel(order_id: str) -> None:
            self._remember(order_id)
            self._client.post(f"/v1/orders/{order_id}/cancel", json={}).raise_for_status()
            self._succeed(captured=True)

        return self._order({sku_in("BER"): 1}, payment_method=_SECURE, then=cancel)

    def _remember(self, order_id: str) -> None:
        order = self._client.get(f"/v1/orders/{order_id}").json()
        self.orphaned = order["payment_action"]["client_secret"].partition("_secret_")[0]

    def _succeed(self, *, captured: bool) -> None:
        late = {"payment_intent": self.orphaned, "captured": captured}
        address = f"{self._bed.url('PAYMENT_SIMULATOR_PORT')}/_control/succeed_late"
        httpx2.post(address, json=late).raise_for_status()


async def record_orphaned_payment(
    client: Client, paths: OrphanedPaymentPaths, stores: Connections, delivered: str, keep: Keep
) -> None:
    """An abandoned attempt that succeeds, a payment after the cancellation, and a charge of a cancelled order."""
    order_id = await asyncio.to_thread(paths.after_another_card)
    await keep(client, payment_workflow_id(order_id), "payment-abandoned")
    await keep(client, await _when_started(client, paths.orphaned), "orphaned-payment-abandoned")
    await asyncio.to_thread(paths.after_the_cancel)
    await keep(client, await _when_started(client, paths.orphaned), "orphaned-payment-refunded")
    await keep(client, payment_repair_workflow_id(await _repair(client, stores, delivered)), "payment-repair")


async def _when_started(client: Client, intent: str) -> str:
    """The id of the workflow that a webhook starts."""
    workflow_id = orphaned_payment_workflow_id(intent)
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            with suppress(RPCError):
                await client.get_workflow_handle(workflow_id).describe()
                return workflow_id
            await asyncio.sleep(0.1)


async def _repair(client: Client, stores: Connections, order_id: str) -> str:
    """Have the captured amount of an order refunded that the database calls cancelled."""
    with stores.engine.begin() as connection:
        connection.execute(sa.update(orders).where(orders.c.id == order_id).values(status="cancelled"))
        connection.execute(sa.update(parcels).where(parcels.c.order_id == order_id).values(status="cancelled"))
    run, decision_id = PaymentReconciliationWorkflow.run, str(uuid.uuid4())
    await client.execute_workflow(run, id=f"reconciliation-{decision_id}", task_queue=PAYMENTS_QUEUE)
    items = PaymentDifferences(stores.engine, timedelta(0)).page(None, 100).items
    decision = DecideDifference(
        decision_id=decision_id,
        difference_id=next(item.id for item in items if item.order_id == order_id),
        action=DecisionAction.APPLY,
        reason="recording histories",
        actor=staff_actor("1"),
    )
    workflow_id = payment_repair_workflow_id(decision_id)
    await client.execute_workflow(PaymentRepairWorkflow.run, decision, id=workflow_id, task_queue=PAYMENTS_QUEUE)
    return decision_id
