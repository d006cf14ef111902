"""Every worker is away: orders can be read all the while, and go on when one is back.

That it lasts an hour is not waited for: what is read, an API answers that cannot reach Temporal at all, so for how long
workers have been away cannot make a difference.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import httpx2
import pytest

from dev.carrier_simulator.wire import WAITING_POSTAL_CODE
from dev.testbed import Testbed, free_port
from tests.e2e.conftest import Charges, MailedSeqs, MoveParcel, Shopper
from tests.fixture_types import Json, MakeProduct

WORKERS = ("order-worker", "notification-worker", "relay", "search-indexer")


@contextmanager
def no_worker(engine: Testbed) -> Iterator[None]:
    """Everything of ours is stopped but the API."""
    for name in WORKERS:
        engine.stop(name)
    try:
        yield
    finally:
        engine.start(*WORKERS)


@pytest.mark.timeout(400)
async def test_orders_are_read_and_cancelled_clearly_while_every_worker_is_away(
    engine: Testbed,
    shopper: Shopper,
    make_product: MakeProduct,
    move_parcel: MoveParcel,
    charges: Charges,
    mailed_seqs: MailedSeqs,
) -> None:
    sku = make_product(stock=5)
    delivered, regretted = [await booked(shopper, sku) for _ in range(2)]
    cancel = f"/v1/orders/{regretted}/cancel"
    with no_worker(engine):
        known = await read(shopper.client, delivered, regretted)
        assert [order["fulfilment_status"] for order in known["orders"]] == ["unfulfilled"] * 2
        refused = await shopper.client.post(cancel, json={"reason": "takes too long"})
        assert (refused.status_code, refused.json()["code"]) == (503, "unavailable"), refused.text
        assert int(refused.headers["Retry-After"]) > 0
        for status in ("dispatched", "delivered"):
            await asyncio.to_thread(move_parcel, delivered, status)
        assert await read(shopper.client, delivered, regretted) == known
        with engine.another_api(TEMPORAL_ADDRESS=f"127.0.0.1:{free_port()}") as address:
            async with httpx2.AsyncClient(base_url=address, headers=shopper.client.headers, timeout=30) as client:
                assert await read(client, delivered, regretted) == known

    key = {"Idempotency-Key": refused.json()["idempotency_key"]}
    cancelled = await until_answered(shopper, cancel, {"reason": "takes too long"}, key)
    assert (cancelled.status_code, cancelled.json()["status"]) == (200, "cancelled"), cancelled.text
    order = await shopper.until(delivered, "delivered")
    assert [effect for effect, _ in charges(delivered)] == ["authorization", "capture"]
    assert [effect for effect, _ in charges(regretted)] == ["authorization", "void"]
    seqs = list(range(1, order["last_seq"] + 1))
    assert await until(lambda: mailed_seqs(shopper.email, delivered), seqs) == seqs


async def booked(shopper: Shopper, sku: str) -> str:
    """The id of an order whose parcel waits at the carrier."""
    answer = await shopper.check_out(await shopper.fill_cart(**{sku: 1}), postal_code=WAITING_POSTAL_CODE)
    order_id = str(answer.json()["id"])
    async with asyncio.timeout(120):
        while (await shopper.history(order_id))[-1]["type"] != "parcel.booked":
            await asyncio.sleep(0.1)
    return order_id


async def read(client: httpx2.AsyncClient, *order_ids: str) -> Json:
    """What a customer reads of these orders."""

    async def got(path: str) -> Json:
        answer = await client.get(path)
        assert answer.status_code == httpx2.codes.OK, answer.text
        body: Json = answer.json()
        return body

    return {
        "list": await got("/v1/orders"),
        "orders": [await got(f"/v1/orders/{order_id}") for order_id in order_ids],
        "histories": [await got(f"/v1/orders/{order_id}/history") for order_id in order_ids],
    }


async def until_answered(shopper: Shopper, path: str, body: Json, headers: dict[str, str]) -> httpx2.Response:
    """As a client does that was asked to ask again."""
    async with asyncio.timeout(120):
        while (answer := await shopper.client.post(path, json=body, headers=headers)).status_code in (202, 503):
            await asyncio.sleep(0.2)
    return answer


async def until(look: Callable[[], list[int]], wanted: list[int]) -> list[int]:
    async with asyncio.timeout(120):
        while (seen := await asyncio.to_thread(look)) != wanted:
            await asyncio.sleep(0.2)
    return seen
