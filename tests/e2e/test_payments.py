"""Payments that take more than one step, through every real part: the bank's page, its webhook, another card."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable

import httpx2
import pytest
from temporalio.client import Client

from dev.carrier_simulator.wire import WAITING_POSTAL_CODE
from dev.testbed import Testbed
from schemas.order_requests import SettleCompensation
from tests.e2e.conftest import Charges, MailedSeqs, MoveParcel, OnKafka, Reserved, Shopper
from tests.fixture_types import Json, MakeProduct
from workflows.names import order_workflow_id, payment_workflow_id
from workflows.orders.checkout import CheckoutWorkflow

AtTheBank = Callable[[Json, str], None]
Ordered = Callable[[], Awaitable[tuple[str, str]]]
DECLINED, SECURE = "pm_card_chargeDeclinedInsufficientFunds", "pm_card_threeDSecure2Required"


@pytest.fixture
def at_the_bank(engine: Testbed) -> AtTheBank:
    """The customer answers on their bank's page, as its buttons do."""

    def say(order: Json, outcome: str) -> None:
        page = httpx2.get(order["payment_action"]["url"])
        assert page.status_code == httpx2.codes.OK, page.text
        said = {"payment_intent": order["payment_action"]["url"].rpartition("/")[2], "outcome": outcome}
        address = f"{engine.url('PAYMENT_SIMULATOR_PORT')}/_control/authenticate"
        httpx2.post(address, json=said).raise_for_status()

    return say


async def pay(shopper: Shopper, order_id: str, method: str) -> httpx2.Response:
    answer: httpx2.Response = await shopper.client.post(
        f"/v1/orders/{order_id}/payment",
        json={"payment_method": method, "payment_return_url": "https://shop.example.com/thanks"},
        headers={"Idempotency-Key": str(uuid.uuid4())},
    )
    return answer


async def test_declined_then_another_card_is_delivered_and_its_events_have_no_gap(
    shopper: Shopper,
    make_product: MakeProduct,
    reserved: Reserved,
    charges: Charges,
    on_kafka: OnKafka,
    mailed_seqs: MailedSeqs,
) -> None:
    sku = make_product(stock=5)
    declined = await shopper.check_out(await shopper.fill_cart(**{sku: 2}), DECLINED)
    assert declined.status_code == httpx2.codes.PAYMENT_REQUIRED
    order_id = declined.json()["order_id"]
    assert len((await shopper.client.get("/v1/cart")).json()["items"]) == 1, "the cart stays usable"
    paid = await pay(shopper, order_id, "pm_card_mastercard")
    assert paid.status_code == httpx2.codes.OK, paid.text
    order = await shopper.until(order_id, "delivered")
    assert [effect for effect, _ in charges(order_id)] == ["authorization", "capture"]
    assert (reserved(sku), (await shopper.client.get("/v1/cart")).json()["items"]) == ((0, 3), [])
    seqs = list(range(1, order["last_seq"] + 1))
    async with asyncio.timeout(120):
        while await asyncio.to_thread(mailed_seqs, shopper.email, order_id) != seqs:
            await asyncio.sleep(0.2)
    assert [event["seq"] for event in await asyncio.to_thread(on_kafka, order_id)] == seqs


async def test_authenticated_at_the_bank_is_delivered(
    engine: Testbed,
    shopper: Shopper,
    make_product: MakeProduct,
    charges: Charges,
    at_the_bank: AtTheBank,
    on_kafka: OnKafka,
) -> None:
    version = await shopper.fill_cart(**{make_product(stock=5): 1})
    declined = await shopper.check_out(version, DECLINED)
    order_id = declined.json()["order_id"]
    asked = (await pay(shopper, order_id, SECURE)).json()
    await asyncio.to_thread(at_the_bank, asked, "failed")
    async with asyncio.timeout(120):
        while (await shopper.order(order_id))["payment_action"] is not None:
            await asyncio.sleep(0.1)
    asked = (await pay(shopper, order_id, SECURE)).json()
    engine.kill("order-worker")  # while the bank is asked
    await asyncio.to_thread(at_the_bank, asked, "succeeded")
    engine.start("order-worker")
    await shopper.until(order_id, "delivered")
    assert [effect for effect, _ in charges(order_id)] == ["authorization", "capture"]
    published = str(await asyncio.to_thread(on_kafka, order_id))
    assert "_secret_" not in published, "what is for the customer alone is not published"


@pytest.fixture
def ordered(shopper: Shopper, make_product: MakeProduct, temporal_client: Client) -> Ordered:
    """An order whose parcel waits at the carrier, and its SKU."""

    async def order() -> tuple[str, str]:
        sku = make_product(stock=5)
        answer = await shopper.check_out(await shopper.fill_cart(**{sku: 1}), postal_code=WAITING_POSTAL_CODE)
        async with asyncio.timeout(120):
            while (await shopper.history(answer.json()["id"]))[-1]["type"] != "parcel.booked":
                await asyncio.sleep(0.1)
        return answer.json()["id"], sku

    return order


async def needs_operator(shopper: Shopper, order_id: str) -> list[str]:
    async with asyncio.timeout(120):
        while (await shopper.order(order_id))["status"] != "compensation_blocked":
            await asyncio.sleep(0.1)
    found: list[str] = (await shopper.history(order_id))[-1]["data"]["needs_operator"]
    return found


async def settle(client: Client, order_id: str, *, retry: bool) -> None:
    order = client.get_workflow_handle(order_workflow_id(order_id))
    decision = SettleCompensation(actor="staff:test", reason="looked at", retry=retry)
    await order.execute_update(CheckoutWorkflow.settle_compensation, decision)


# On the time-skipping server no parent sees that its child was terminated, so these two need a real one.


async def test_an_order_whose_payment_was_terminated_cancels_its_parcels(
    shopper: Shopper, ordered: Ordered, reserved: Reserved, charges: Charges, temporal_client: Client
) -> None:
    order_id, sku = await ordered()
    await temporal_client.get_workflow_handle(payment_workflow_id(order_id)).terminate("by mistake")
    assert await needs_operator(shopper, order_id) == [
        "void the payment: Processing of the order was stopped by our staff."
    ]
    assert "parcel.cancelled" in [event["type"] for event in await shopper.history(order_id)]
    assert [effect for effect, _ in await asyncio.to_thread(charges, order_id)] == ["authorization"]
    await settle(temporal_client, order_id, retry=True)
    await shopper.until(order_id, "failed")
    assert (await shopper.history(order_id))[-1]["data"]["code"] == "terminated"
    assert [effect for effect, _ in await asyncio.to_thread(charges, order_id)] == ["authorization", "void"]
    assert reserved(sku) == (0, 5)


async def test_goods_dispatched_while_their_payment_is_terminated_need_an_operator(
    engine: Testbed,
    shopper: Shopper,
    ordered: Ordered,
    reserved: Reserved,
    charges: Charges,
    move_parcel: MoveParcel,
    temporal_client: Client,
) -> None:
    order_id, sku = await ordered()
    engine.stop("order-worker")
    await temporal_client.get_workflow_handle(payment_workflow_id(order_id)).terminate("by mistake")
    await asyncio.to_thread(move_parcel, order_id, "dispatched")
    engine.start("order-worker")
    assert await needs_operator(shopper, order_id) == [
        "cancel the parcels: Processing of the order was stopped by our staff.",
        "void the payment: Parcel 1 was dispatched and is not captured: the authorization is kept.",
    ]
    assert [effect for effect, _ in await asyncio.to_thread(charges, order_id)] == ["authorization"]
    await settle(temporal_client, order_id, retry=False)
    await shopper.until(order_id, "failed")
    assert [effect for effect, _ in await asyncio.to_thread(charges, order_id)] == ["authorization", "void"]
    assert reserved(sku)[0] == 0
