"""Money that arrives too late, through every real part; and a reconciliation whose worker is killed."""

import asyncio
import uuid

import httpx2
import pytest
from temporalio.client import Client

from adapters.settings import Settings
from dev.testbed import Testbed
from schemas.payment_reconciliation import Phase, ReconciliationPlace
from tests.e2e.conftest import Charges, MailedSeqs, OnKafka, Shopper
from tests.fixture_types import MakeProduct
from workflows.names import PAYMENTS_QUEUE
from workflows.payments.reconciliation import PaymentReconciliationWorkflow

SECURE = "pm_card_threeDSecure2Required"


@pytest.mark.parametrize("captured", [False, True])
async def test_an_orphaned_payment_is_refunded_and_its_customer_notified(
    captured: bool,
    engine: Testbed,
    shopper: Shopper,
    make_product: MakeProduct,
    charges: Charges,
    on_kafka: OnKafka,
    mailed_seqs: MailedSeqs,
) -> None:
    provider = engine.url("PAYMENT_SIMULATOR_PORT")
    answer = await shopper.check_out(await shopper.fill_cart(**{make_product(stock=5): 1}), SECURE)
    order_id = answer.json()["id"]
    secret = (await shopper.order(order_id))["payment_action"]["client_secret"]
    key = {"Idempotency-Key": str(uuid.uuid4())}
    cancelled = await shopper.client.post(f"/v1/orders/{order_id}/cancel", json={"reason": "too slow"}, headers=key)
    assert cancelled.is_success, cancelled.text
    await shopper.until(order_id, "cancelled")
    late = {"payment_intent": secret.partition("_secret_")[0], "captured": captured}
    await asyncio.to_thread(httpx2.post, f"{provider}/_control/succeed_late", json=late)
    async with asyncio.timeout(120):
        while (order := await shopper.order(order_id))["payment_status"] != ("refunded" if captured else "voided"):
            await asyncio.sleep(0.1)
    # Every webhook once more, as the provider's dashboard can.
    delivered = httpx2.get(f"{provider}/_control/webhooks", params={"limit": 20}).json()["data"]
    for event in {one["event_id"] for one in delivered}:
        httpx2.post(f"{provider}/_control/events/{event}/resend", json={})
    seqs = list(range(1, order["last_seq"] + 1))
    async with asyncio.timeout(120):
        while await asyncio.to_thread(mailed_seqs, shopper.email, order_id) != seqs:
            await asyncio.sleep(0.2)
    effects = [effect for effect, _ in await asyncio.to_thread(charges, order_id)]
    assert effects == (["authorization", "capture", "refund"] if captured else ["authorization", "void"])
    published = await asyncio.to_thread(on_kafka, order_id)
    assert [event["seq"] for event in published] == seqs
    assert (await shopper.history(order_id))[-1]["type"] == "payment.orphan_returned"
    mails = httpx2.get(f"{engine.url('MAIL_UI_PORT')}/api/v1/search", params={"query": f"to:{shopper.email}"}).json()
    assert any("returned your payment" in mail["Subject"] for mail in mails["messages"])


@pytest.mark.timeout(180)
async def test_a_killed_worker_goes_on_where_the_reconciliation_stood(
    engine: Testbed, settings: Settings, temporal_client: Client
) -> None:
    provider = engine.url("PAYMENT_SIMULATOR_PORT")
    # Unmatched payments, so that they fill pages of the provider's list and nothing more.
    form = {"amount": "100", "currency": "eur", "confirm": "false"}
    headers = {"Authorization": f"Bearer {settings.stripe_api_key.get_secret_value()}"}
    async with httpx2.AsyncClient(base_url=provider, headers=headers, timeout=30) as dashboard:
        for _ in range(120):
            (await dashboard.post("/v1/payment_intents", data=form)).raise_for_status()

    def arm(seconds: float, times: int) -> int:
        fault = {"kind": "latency", "match": {"operation": "list"}, "seconds": seconds, "times": times}
        return int(httpx2.post(f"{provider}/_control/faults", json=fault).raise_for_status().json()["id"])

    first, slow, rest = arm(0, 1), arm(30, 1), arm(0, 10_000)
    run = await temporal_client.start_workflow(
        PaymentReconciliationWorkflow.run, id=f"reconciliation-{uuid.uuid4()}", task_queue=PAYMENTS_QUEUE
    )
    async with asyncio.timeout(120):
        while not (place := await heartbeat(temporal_client, run.id)) or place.cursor is None:
            await asyncio.sleep(0.1)
    assert (place.phase, place.cursor is not None) == (Phase.PAYMENTS, True)
    engine.kill("order-worker")
    await asyncio.to_thread(engine.start, "order-worker")
    done = await asyncio.wait_for(run.result(), 120)
    hits = {one["id"]: one["hits"] for one in httpx2.get(f"{provider}/_control/faults").json()}
    assert (hits[first], hits[slow]) == (1, 1), "it was killed in the second page"
    again = await temporal_client.execute_workflow(
        PaymentReconciliationWorkflow.run, id=f"reconciliation-{uuid.uuid4()}", task_queue=PAYMENTS_QUEUE
    )
    after = {one["id"]: one["hits"] for one in httpx2.get(f"{provider}/_control/faults").json()}[rest]
    httpx2.delete(f"{provider}/_control/faults")
    # The second run reads every page; the first one, once killed, all but the page it had done.
    assert hits[rest] == after - hits[rest] - 1
    assert (done.payments, done.entries) == (again.payments, again.entries)


async def heartbeat(client: Client, workflow_id: str) -> ReconciliationPlace | None:
    described = await client.get_workflow_handle(workflow_id).describe()
    for pending in described.raw_description.pending_activities:
        if pending.HasField("heartbeat_details"):
            found = await client.data_converter.decode(pending.heartbeat_details.payloads, [ReconciliationPlace])
            place: ReconciliationPlace = found[0]
            return place
    return None
