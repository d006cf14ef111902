"""An order through every real part: API, Temporal, MySQL, MongoDB, Redis, Kafka, provider, carrier and mail."""

import asyncio
import uuid
from collections.abc import Callable
from typing import TypeVar

import httpx2
import pytest

from dev.carrier_simulator.wire import UNDELIVERABLE_POSTAL_CODE, WAITING_POSTAL_CODE
from dev.testbed import Testbed
from tests.e2e.conftest import Charges, MailedSeqs, MakeShopper, OnKafka, Reserved, Shopper
from tests.fixture_types import MakeProduct


async def test_an_order_goes_from_cart_to_doorstep_and_its_events_have_no_gap(
    shopper: Shopper,
    make_product: MakeProduct,
    reserved: Reserved,
    charges: Charges,
    on_kafka: OnKafka,
    mailed_seqs: MailedSeqs,
) -> None:
    sku = make_product(stock=5)
    version = await shopper.fill_cart(**{sku: 2})
    answer = await shopper.check_out(version)
    assert answer.status_code == httpx2.codes.CREATED, answer.text
    placed = answer.json()
    assert answer.headers["Location"] == f"/v1/orders/{placed['id']}"
    # On a slow machine the parcel is booked before the answer is read from the database.
    assert placed["status"] in ("confirmed", "processing")
    assert placed["payment_status"] == "authorized"
    assert (await shopper.client.get("/v1/cart")).json()["items"] == []

    order = await shopper.until(placed["id"], "delivered")
    assert (order["payment_status"], order["fulfilment_status"]) == ("captured", "delivered")
    assert charges(order["id"]) == [("authorization", order["total"]["amount"]), ("capture", order["total"]["amount"])]
    assert reserved(sku) == (0, 3)

    seqs = [event["seq"] for event in await shopper.history(order["id"])]
    assert seqs == list(range(1, order["last_seq"] + 1))
    assert [event["seq"] for event in await until(on_kafka, seqs, order["id"])] == seqs
    assert await until(mailed_seqs, seqs, shopper.email, order["id"]) == seqs


async def test_declined_card_is_a_402_and_checking_out_again_replaces_the_order(
    shopper: Shopper, make_product: MakeProduct, reserved: Reserved, charges: Charges
) -> None:
    sku = make_product(stock=5)
    version = await shopper.fill_cart(**{sku: 2})
    answer = await shopper.check_out(version, "pm_card_chargeDeclinedInsufficientFunds")
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (402, "payment_declined")
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert reserved(sku) == (2, 3), "the stock stays reserved for another method"
    assert charges(problem["order_id"]) == []
    cart = (await shopper.client.get("/v1/cart")).json()
    assert [(line["sku"], line["quantity"]) for line in cart["items"]] == [(sku, 2)]

    again = await shopper.check_out(cart["version"])
    assert again.status_code == httpx2.codes.CREATED, again.text
    earlier = await shopper.order(problem["order_id"])
    assert (earlier["status"], earlier["failure_code"]) == ("cancelled", "cancelled")
    await shopper.until(again.json()["id"], "delivered")
    assert charges(problem["order_id"]) == []


async def test_a_refused_parcel_voids_the_payment_and_releases_the_stock(
    shopper: Shopper, make_product: MakeProduct, reserved: Reserved, charges: Charges
) -> None:
    sku = make_product(stock=5)
    answer = await shopper.check_out(await shopper.fill_cart(**{sku: 1}), postal_code=UNDELIVERABLE_POSTAL_CODE)
    order_id = answer.json().get("id") or answer.json()["order_id"]
    order = await shopper.until(order_id, "failed")
    assert (order["payment_status"], order["failure_code"]) == ("voided", "shipment_refused")
    assert [effect for effect, _ in charges(order_id)] == ["authorization", "void"]
    assert reserved(sku) == (0, 5)


async def test_the_same_key_many_times_at_once_is_one_order_with_one_answer(
    shopper: Shopper, make_product: MakeProduct, reserved: Reserved, charges: Charges
) -> None:
    sku = make_product(stock=5)
    version, key = await shopper.fill_cart(**{sku: 1}), str(uuid.uuid4())
    answers = await asyncio.gather(*(shopper.check_out(version, key=key) for _ in range(8)))
    codes = {answer.status_code for answer in answers}
    assert codes <= {httpx2.codes.CREATED, httpx2.codes.CONFLICT}
    assert all(a.json()["code"] == "request_in_progress" for a in answers if a.status_code == httpx2.codes.CONFLICT)

    later = await shopper.check_out(version, key=key)
    assert later.status_code == httpx2.codes.CREATED
    ids = {a.json()["id"] for a in [later, *answers] if a.status_code == httpx2.codes.CREATED}
    assert len(ids) == 1
    assert len((await shopper.client.get("/v1/orders")).json()["items"]) == 1
    order = await shopper.until(ids.pop(), "delivered")
    assert [effect for effect, _ in charges(order["id"])] == ["authorization", "capture"]


async def test_two_tabs_with_keys_of_their_own_order_a_cart_once(shopper: Shopper, make_product: MakeProduct) -> None:
    version = await shopper.fill_cart(**{make_product(stock=5): 1})
    answers = await asyncio.gather(*(shopper.check_out(version) for _ in range(4)))
    placed = [answer for answer in answers if answer.status_code == httpx2.codes.CREATED]
    refused = [answer.json()["code"] for answer in answers if answer.status_code != httpx2.codes.CREATED]
    assert len(placed) == 1
    assert set(refused) <= {"cart_changed", "empty_cart"}
    await shopper.until(placed[0].json()["id"], "delivered")


async def test_two_buyers_of_the_last_unit_make_one_order_and_one_409(
    make_shopper: MakeShopper, make_product: MakeProduct, reserved: Reserved
) -> None:
    sku = make_product(stock=1)
    buyers = [make_shopper(), make_shopper()]
    versions = [await buyer.fill_cart(**{sku: 1}) for buyer in buyers]
    answers = await asyncio.gather(*(b.check_out(v) for b, v in zip(buyers, versions, strict=True)))
    assert sorted(answer.status_code for answer in answers) == [201, 409]
    loser = next(answer.json() for answer in answers if answer.status_code == httpx2.codes.CONFLICT)
    assert (loser["code"], loser["lines"]) == ("out_of_stock", [{"sku": sku, "wanted": 1, "available": 0}])
    winner = next(i for i, answer in enumerate(answers) if answer.status_code == httpx2.codes.CREATED)
    await buyers[winner].until(answers[winner].json()["id"], "delivered")
    assert (await buyers[1 - winner].client.get("/v1/orders")).json()["items"] == []
    assert reserved(sku) == (0, 0)


@pytest.mark.parametrize("moment", ["order.stock_reserved", "payment.authorized", "parcel.booked", "parcel.dispatched"])
async def test_order_survives_a_killed_worker(
    engine: Testbed,
    shopper: Shopper,
    make_product: MakeProduct,
    reserved: Reserved,
    charges: Charges,
    move_parcel: Callable[[str, str], None],
    moment: str,
) -> None:
    sku = make_product(stock=5)
    version = await shopper.fill_cart(**{sku: 1})
    checkout = asyncio.create_task(shopper.check_out(version, postal_code=WAITING_POSTAL_CODE))
    if moment == "parcel.dispatched":
        await asyncio.to_thread(move_parcel, await reached(shopper, "parcel.booked"), "dispatched")
    order_id = await reached(shopper, moment)
    engine.kill("order-worker")
    engine.start("order-worker")
    await asyncio.to_thread(move_parcel, order_id, "delivered")
    order = await shopper.until(order_id, "delivered")
    assert (await checkout).status_code in (httpx2.codes.CREATED, httpx2.codes.ACCEPTED)
    assert [effect for effect, _ in charges(order_id)] == ["authorization", "capture"]
    assert (reserved(sku), order["payment_status"]) == ((0, 4), "captured")
    history = [event["seq"] for event in await shopper.history(order_id)]
    assert history == list(range(1, order["last_seq"] + 1))


async def test_checkout_without_a_worker_is_accepted_and_done_later(
    engine: Testbed, shopper: Shopper, make_product: MakeProduct, charges: Charges
) -> None:
    version, key = await shopper.fill_cart(**{make_product(stock=5): 1}), str(uuid.uuid4())
    engine.kill("order-worker")
    try:
        answer = await shopper.check_out(version, key=key)
        assert answer.status_code == httpx2.codes.ACCEPTED, answer.text
        order_id = answer.json()["id"]
        assert answer.headers["Location"] == f"/v1/orders/{order_id}"
        assert (await shopper.order(order_id))["status"] == "pending"
    finally:
        engine.start("order-worker")
    await shopper.until(order_id, "delivered")
    again = await shopper.check_out(version, key=key)
    assert (again.status_code, again.json()["id"]) == (httpx2.codes.CREATED, order_id)
    assert [effect for effect, _ in charges(order_id)] == ["authorization", "capture"]


T = TypeVar("T")


async def until(look: Callable[..., list[T]], seqs: list[int], *arguments: str) -> list[T]:
    """Look until as many are seen as there are events; what is seen last is returned, complete or not."""
    seen: list[T] = []
    for _ in range(1200):
        seen = await asyncio.to_thread(look, *arguments)
        if len(seen) >= len(seqs):
            break
        await asyncio.sleep(0.1)
    return seen


async def reached(shopper: Shopper, event_type: str) -> str:
    """The id of the shopper's order, once this has happened to it."""
    async with asyncio.timeout(120):
        while True:
            for order in (await shopper.client.get("/v1/orders")).json()["items"]:
                if any(event["type"] == event_type for event in await shopper.history(order["id"])):
                    return str(order["id"])
            await asyncio.sleep(0.02)
