"""A crowd at the checkout: let in a few at a time, and nobody is turned away for lack of room."""

import asyncio
import time
import uuid
from concurrent.futures import ThreadPoolExecutor

import httpx2
import psutil  # type: ignore[import-untyped]
import pytest

from adapters.connections import OVERFLOW
from api.concurrency_limit import ConcurrencyLimit, Entry
from dev.stack.environment import port
from dev.testbed import Testbed
from tests.fixture_types import Customer, MakeCustomer, MakeProduct

ADDRESS = {"name": "Ada", "line1": "Weg 1", "city": "Berlin", "postal_code": "10117", "country": "DE"}


async def test_so_many_pass_at_once_and_the_others_in_their_turn() -> None:
    limit, inside, most = ConcurrencyLimit(3), 0, 0

    async def pass_through() -> Entry:
        nonlocal inside, most
        async with limit.enter(10) as entry:
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0.01)
            inside -= 1
            return entry

    entries = await asyncio.gather(*(pass_through() for _ in range(10)))
    assert most == 3
    assert entries == [Entry.AT_ONCE] * 3 + [Entry.AFTER_WAITING] * 7


async def test_who_has_waited_long_enough_takes_no_place() -> None:
    limit = ConcurrencyLimit(1)
    async with limit.enter(1), limit.enter(0.01) as entry:
        assert entry is Entry.TIMED_OUT
    async with limit.enter(0.01) as entry:
        assert entry is Entry.AT_ONCE


async def test_a_place_is_free_again_when_who_took_it_fails() -> None:
    limit = ConcurrencyLimit(1)

    async def fail_inside() -> None:
        async with limit.enter(0.1) as entry:
            assert entry is Entry.AT_ONCE
            raise ValueError("inside")

    for _ in range(3):
        with pytest.raises(ValueError, match="inside"):
            await fail_inside()


def test_who_finds_no_room_in_time_is_taken_all_the_same(
    engine: Testbed, make_customer: MakeCustomer, make_product: MakeProduct
) -> None:
    sku = make_product(stock=50)
    buyers = [make_customer() for _ in range(5)]
    with (
        engine.another_api(ORDERS_CHECKOUTS_AT_ONCE="1", ORDERS_CHECKOUT_ANSWER_SECONDS="0.2") as address,
        httpx2.Client(base_url=address, timeout=60) as client,
        ThreadPoolExecutor(5) as pool,
    ):

        def check_out(buyer: Customer) -> httpx2.Response:
            cart = client.put(f"/v1/cart/items/{sku}", json={"quantity": 1}, headers=buyer.headers).json()
            body = {"cart_version": cart["version"], "shipping_address": ADDRESS, "payment_method": "pm_card_visa"}
            headers = buyer.headers | {"Idempotency-Key": uuid.uuid4().hex}
            return client.post("/v1/checkouts", json=body, headers=headers)

        answers = list(pool.map(check_out, buyers))
        assert {answer.status_code for answer in answers} <= {201, 202}
        for buyer, answer in zip(buyers, answers, strict=True):
            path = f"/v1/orders/{answer.json()['id']}"
            for _ in range(1200):
                order = client.get(path, headers=buyer.headers).json()
                if order.get("payment_status") in ("authorized", "captured"):
                    break
                time.sleep(0.1)
            assert order["payment_status"] in ("authorized", "captured")


@pytest.mark.parametrize("threads", [2, 40])
def test_a_process_holds_no_more_connections_than_it_has_threads(
    engine: Testbed, customer: Customer, threads: int
) -> None:
    with engine.another_api(ORDERS_API_THREADS=str(threads)) as base, ThreadPoolExecutor(24) as pool:
        api = psutil.Process(engine.processes[f"api-{base.rpartition(':')[2]}"].pid)

        def ask(_: int) -> tuple[int, int]:
            status = httpx2.get(f"{base}/v1/users/me", headers=customer.headers, timeout=120).status_code
            return status, sum(bool(c.raddr) and c.raddr.port == port("MYSQL_PORT") for c in api.net_connections())

        answers = list(pool.map(ask, range(120)))
    assert {status for status, _ in answers} == {200}
    most = max(connections for _, connections in answers)
    assert most <= threads + OVERFLOW
    assert most > 2 + OVERFLOW or threads == 2, "others would not have been held back"
