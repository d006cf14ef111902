"""`make histories`: run one order down every path on the real servers and keep what Temporal recorded.

`tests/replay` replays the files with the current code: a change of a workflow that would break an order that is
running somewhere fails there. Record anew only together with such a change, once it is gated by `workflow.patched`.
"""

import asyncio
import threading
import uuid
from pathlib import Path

import httpx2
from rich.console import Console
from rich.progress import Progress
from temporalio.client import Client
from temporalio.service import RPCError

from adapters.connections import Connections, connect
from adapters.mysql.vouchers import Vouchers
from dev.dispute_histories import DisputePaths
from dev.recorded_orders import in_
from dev.seed import fill
from dev.seed_catalog import catalog
from dev.stack import ensure_servers
from dev.testbed import Testbed
from domain.vouchers import VoucherKind
from schemas.refunds import RefundInput
from schemas.vouchers import NewVoucher
from workers.schedules import SCHEDULES
from workers.service_accounts import SUPPLIER_SIMULATOR
from workers.service_client import ServiceClient, service_client
from workflows.connection import connect_temporal
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
from workflows.refund import RefundWorkflow
from workflows.reindexing import start_reindex

HISTORIES = Path(__file__).resolve().parent.parent / "tests" / "replay" / "histories"
_PATIENCE_SECONDS = 60
_VISA, _DECLINED, _SECURE = "pm_card_visa", "pm_card_chargeDeclined", "pm_card_threeDSecure2Required"
PATHS = (
    "delivered",
    "two_parcels",
    "declined",
    "paid_again",
    "authenticated",
    "unauthenticated",
    "voucher",
    "refused",
    "cancelled",
    "taken_in_part",
    "backordered",
    "in_doubt",
    "dispute_won",
    "dispute_lost",
)
REFUNDS = {"refund": 100, "refund-too_much": 10**9}  # minor units
console = Console(highlight=False)


class Recorder(DisputePaths):
    """Orders as a customer does, one per path."""

    def delivered(self) -> str:
        """Everything goes well."""
        return self._order({in_("BER"): 2})

    def two_parcels(self) -> str:
        """What no single warehouse has ships as two parcels."""
        return self._order({in_("BER", not_in="AMS"): 1, in_("AMS", not_in="BER"): 1})

    def declined(self) -> str:
        """The bank says no, and nobody pays before the time is over."""
        return self._order({in_("BER"): 1}, payment_method=_DECLINED)

    def paid_again(self) -> str:
        """The bank says no, and another card pays."""
        return self._order({in_("BER"): 1}, payment_method=_DECLINED, then=self._pay_by_another_card)

    def authenticated(self) -> str:
        """The bank wants to see its customer, and then says yes."""
        return self._order({in_("BER"): 1}, payment_method=_SECURE, then=self._go_to_the_bank)

    def unauthenticated(self) -> str:
        """The bank wants to see its customer, who never comes."""
        return self._order({in_("BER"): 1}, payment_method=_SECURE)

    def voucher(self) -> str:
        """Something is given off."""
        Vouchers(self._stores.engine).create(NewVoucher(code="HISTORY", kind=VoucherKind.PERCENT, basis_points=1000))
        return self._order({in_("BER"): 1}, discount_code="HISTORY")

    def refused(self) -> str:
        """The carrier says no."""
        return self._order({in_("BER"): 1}, postal_code="00000")

    def cancelled(self) -> str:
        """The customer changes their mind while the bank is thinking."""
        self._fault("latency", "create", seconds=3)
        placing = threading.Thread(target=lambda: self._order({in_("BER"): 1}))
        placing.start()
        order_id = self._newest_at("order.stock_reserved")
        self._client.post(f"/v1/orders/{order_id}/cancel", json={}).raise_for_status()
        placing.join()
        return order_id

    def in_doubt(self) -> str:
        """The provider keeps failures under our keys, once having done what was asked and once not."""
        self._fault("error_after", "create")
        self._fault("500", "capture")
        return self._order({in_("BER"): 1})

    def backordered(self) -> str:
        """The goods have yet to arrive when they are ordered."""
        sku = in_("BER", not_in="AMS")
        with service_client(self._bed.settings, SUPPLIER_SIMULATOR) as staff:
            if there := staff.get(f"/v1/stock/{sku}").json()["totals"]["on_hand"]:
                _move(staff, sku, kind="adjusted", quantity=-there, reason="recording histories")
            staff.patch(f"/v1/stock/{sku}", json={"backorderable": True}).raise_for_status()
            placing = threading.Thread(target=lambda: self._order({sku: 1}))
            placing.start()
            order_id = self._newest_at("order.confirmed")
            _move(staff, sku, kind="received", quantity=1)
            placing.join()
        return order_id

    def taken_in_part(self) -> str:
        """Not everything is there any more, and the customer takes what there is."""
        sku = in_("BER", not_in="AMS")

        def lose_all_but_one() -> None:
            with service_client(self._bed.settings, SUPPLIER_SIMULATOR) as staff:
                there = staff.get(f"/v1/stock/{sku}").json()["totals"]["available"]
                _move(staff, sku, kind="adjusted", quantity=1 - there, reason="recording histories")

        def decide(order_id: str) -> None:
            key = {"Idempotency-Key": str(uuid.uuid4())}
            choice = {"choice": "take_available"}
            self._client.post(f"/v1/orders/{order_id}/decision", json=choice, headers=key).raise_for_status()

        with service_client(self._bed.settings, SUPPLIER_SIMULATOR) as staff:
            _move(staff, sku, kind="received", quantity=2)
        return self._order({sku: 2}, meanwhile=lose_all_but_one, then=decide, on_shortage="ask")

    def event_ids(self, order_id: str) -> list[str]:
        """The ids of the order's events."""
        items = self._client.get(f"/v1/orders/{order_id}/history").raise_for_status().json()["items"]
        return [item["id"] for item in items]

    def _fault(self, kind: str, operation: str, seconds: float = 0) -> None:
        fault = {"kind": kind, "match": {"operation": operation}, "seconds": seconds}
        httpx2.post(f"{self._bed.url('PAYMENT_SIMULATOR_PORT')}/_control/faults", json=fault).raise_for_status()

    def _pay_by_another_card(self, order_id: str) -> None:
        key = {"Idempotency-Key": str(uuid.uuid4())}
        paid = self._client.post(f"/v1/orders/{order_id}/payment", json={"payment_method": _VISA}, headers=key)
        paid.raise_for_status()

    def _go_to_the_bank(self, order_id: str) -> None:
        order = self._client.get(f"/v1/orders/{order_id}").json()
        intent = order["payment_action"]["client_secret"].partition("_secret_")[0]
        address = f"{self._bed.url('PAYMENT_SIMULATOR_PORT')}/_control/authenticate"
        httpx2.post(address, json={"payment_intent": intent}).raise_for_status()


def _move(staff: ServiceClient, sku: str, **movement: object) -> None:
    headers = {"Idempotency-Key": str(uuid.uuid4())}
    answer = staff.post(f"/v1/stock/{sku}/movements", json={"warehouse": "BER", **movement}, headers=headers)
    answer.raise_for_status()


async def _keep(client: Client, workflow_id: str, name: str) -> None:
    handle = client.get_workflow_handle(workflow_id)
    try:
        await asyncio.wait_for(handle.result(), _PATIENCE_SECONDS)
        history = await handle.fetch_history()
    except RPCError:
        return  # this path has no such workflow: a declined order ships no parcel
    (HISTORIES / f"{name}.json").write_text(history.to_json() + "\n")
    console.print(f"[green]✓[/green] {name}: {len(history.events)} events")


async def _record(bed: Testbed, stores: Connections) -> None:
    client = await connect_temporal(bed.settings.temporal_address, bed.settings.temporal_namespace)
    recorder = await asyncio.to_thread(Recorder, bed, stores)
    for path in PATHS:
        order_id = await asyncio.to_thread(getattr(recorder, path))
        await _keep(client, order_workflow_id(order_id), f"checkout-{path}")
        await _keep(client, payment_workflow_id(order_id), f"payment-{path}")
        await _keep(client, fulfilment_workflow_id(order_id, 1), f"fulfilment-{path}")
    for name, amount in REFUNDS.items():
        refund = RefundInput(
            refund_id=str(uuid.uuid4()), order_id=order_id, amount=amount, reason="recording histories", actor="staff:1"
        )
        workflow_id = refund_workflow_id(refund.refund_id)
        await client.start_workflow(RefundWorkflow.run, refund, id=workflow_id, task_queue=PAYMENTS_QUEUE)
        await _keep(client, workflow_id, name)
    first = (await asyncio.to_thread(recorder.event_ids, order_id))[0]
    await _keep(client, notification_workflow_id(first), "notification")
    async for mail in client.list_workflows("WorkflowType = 'AccountMailWorkflow'", limit=1):
        await _keep(client, mail.id, "account_mail")
    for row in SCHEDULES:
        run = await client.start_workflow(row.workflow, id=f"recorded-{row.id}", task_queue=row.queue)
        await _keep(client, run.id, row.id)
    for outcome, dispute_id in recorder.disputes.items():
        await _keep(client, dispute_workflow_id(dispute_id), f"dispute-{outcome}")
    await start_reindex(client, "products")
    await _keep(client, reindex_workflow_id("products"), "reindex")


def main() -> None:
    """Record every path."""
    HISTORIES.mkdir(parents=True, exist_ok=True)
    ensure_servers()
    bed = Testbed.create()
    try:
        with connect(bed.settings, pool_size=2) as stores, Progress(console=console) as progress:
            fill(stores, list(catalog(300)), progress)
        bed.start("mail", "payment-simulator", "carrier-simulator", "order-worker", "relay", "notification-worker")
        bed.start("api", ORDERS_PAYMENT_RETRY_MINUTES="0.2", ORDERS_PAYMENT_AUTHENTICATION_MINUTES="0.1")
        with connect(bed.settings, pool_size=2) as stores:
            asyncio.run(_record(bed, stores))
    finally:
        bed.close()


if __name__ == "__main__":
    main()
