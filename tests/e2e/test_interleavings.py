"""Many times each: what customers do at once, and a worker that is killed, never make a second order or charge.

`make test` plays a few rounds of each, `make soak` a hundred.
"""

import asyncio
import os
import random
import uuid
from collections.abc import Awaitable, Callable
from contextlib import suppress

import httpx2
import pytest

from dev.testbed import Testbed
from tests.e2e.conftest import Charges, MakeShopper, Shopper
from tests.fixture_types import Json, MakeProduct

ROUNDS, SHOPPERS = int(os.environ.get("ORDERS_TEST_ROUNDS", "5")), 5
OK = (httpx2.codes.CREATED, httpx2.codes.ACCEPTED)
Round = Callable[[Shopper, random.Random], Awaitable[None]]
Repeat = Callable[[Round], Awaitable[None]]


@pytest.fixture
def repeat(make_shopper: MakeShopper) -> Repeat:
    """Play a round so many times, by a few customers side by side; the seed is shown when it fails."""

    async def play(attempt_round: Round) -> None:
        seed = random.randrange(2**32)
        print(f"seed {seed}")  # noqa: T201 - shown when it fails

        async def customer(number: int) -> None:
            shopper, dice = make_shopper(), random.Random(seed + number)
            for _ in range(ROUNDS // SHOPPERS):
                await attempt_round(shopper, dice)

        await asyncio.gather(*(customer(number) for number in range(SHOPPERS)))

    return play


async def late(dice: random.Random, act: Callable[[], Awaitable[httpx2.Response]]) -> httpx2.Response:
    await asyncio.sleep(dice.random() * 0.3)
    return await act()


async def orders_of(shopper: Shopper) -> list[Json]:
    items: list[Json] = (await shopper.client.get("/v1/orders", params={"limit": 100})).json()["items"]
    return items


async def check_one_order(shopper: Shopper, before: int, charges: Charges) -> Json:
    """There is one order more, its payment is authorized once, and it is delivered."""
    async with asyncio.timeout(120):
        while len(orders := await orders_of(shopper)) == before:  # after a 202 it is on its way
            await asyncio.sleep(0.2)
    assert len(orders) == before + 1
    order = await shopper.until(orders[0]["id"], "delivered", 180)
    effects = [effect for effect, _ in await asyncio.to_thread(charges, order["id"])]
    assert effects == ["authorization", "capture"]
    found: Json = order
    return found


@pytest.mark.timeout(1200)
async def test_submitted_twice(repeat: Repeat, make_product: MakeProduct, charges: Charges) -> None:
    sku = make_product(stock=10_000)

    async def attempt_round(shopper: Shopper, dice: random.Random) -> None:
        before = len(await orders_of(shopper))
        version, key = await shopper.fill_cart(**{sku: 1}), str(uuid.uuid4())
        keys = [key, key, str(uuid.uuid4())]
        answers = await asyncio.gather(
            *(late(dice, lambda key=key: shopper.check_out(version, key=key)) for key in keys)  # type: ignore[misc]
        )
        refused = {answer.json()["code"] for answer in answers if answer.status_code not in OK}
        assert refused <= {"request_in_progress", "cart_changed", "empty_cart"}
        await check_one_order(shopper, before, charges)
        assert (await shopper.client.get("/v1/cart")).json()["items"] == []

    await repeat(attempt_round)


@pytest.mark.timeout(1200)
async def test_two_tabs_with_different_versions_of_the_cart(
    repeat: Repeat, make_product: MakeProduct, charges: Charges
) -> None:
    sku, added = make_product(stock=10_000), make_product(stock=10_000)

    async def attempt_round(shopper: Shopper, dice: random.Random) -> None:
        before = len(await orders_of(shopper))
        stale = await shopper.fill_cart(**{sku: 1})
        fresh = await shopper.fill_cart(**{added: 1})
        old, new = await asyncio.gather(
            late(dice, lambda: shopper.check_out(stale)), late(dice, lambda: shopper.check_out(fresh))
        )
        assert (old.status_code, old.json()["code"]) == (httpx2.codes.CONFLICT, "cart_changed")
        assert new.status_code in OK, new.text
        order = await check_one_order(shopper, before, charges)
        assert {line["sku"] for line in order["lines"]} == {sku, added}
        assert (await shopper.client.get("/v1/cart")).json()["items"] == []

    await repeat(attempt_round)


@pytest.mark.timeout(1200)
async def test_the_cart_is_edited_during_the_payment(
    repeat: Repeat, make_product: MakeProduct, charges: Charges
) -> None:
    sku, added = make_product(stock=10_000), make_product(stock=10_000)

    async def attempt_round(shopper: Shopper, dice: random.Random) -> None:
        before = len(await orders_of(shopper))
        version = await shopper.fill_cart(**{sku: 1})
        edit = {"quantity": 1}
        answer, edited = await asyncio.gather(
            late(dice, lambda: shopper.check_out(version)),
            late(dice, lambda: shopper.client.put(f"/v1/cart/items/{added}", json=edit)),
        )
        assert edited.status_code == httpx2.codes.OK
        cart = {line["sku"] for line in (await shopper.client.get("/v1/cart")).json()["items"]}
        assert added in cart, "what was put in is never lost"
        if answer.status_code in OK:
            order = await check_one_order(shopper, before, charges)
            assert [(line["sku"], line["quantity"]) for line in order["lines"]] == [(sku, 1)]
        else:
            assert (answer.json()["code"], cart) == ("cart_changed", {sku, added})
            assert len(await orders_of(shopper)) == before
        await shopper.client.delete("/v1/cart")

    await repeat(attempt_round)


@pytest.mark.timeout(1200)
async def test_a_guest_signs_in_during_the_checkout(
    repeat: Repeat, make_product: MakeProduct, charges: Charges
) -> None:
    """That is: their cart becomes one with the account's, in which a checkout is on its way."""
    sku, added = make_product(stock=10_000), make_product(stock=10_000)

    async def attempt_round(shopper: Shopper, dice: random.Random) -> None:
        before = len(await orders_of(shopper))
        token = (await shopper.client.post("/v1/cart/guest-token")).json()["token"]
        merge = {"X-Cart-Token": token}
        async with httpx2.AsyncClient(base_url=shopper.client.base_url, headers=merge) as guest:
            filled = await guest.put(f"/v1/cart/items/{added}", json={"quantity": 2})
        assert filled.status_code == httpx2.codes.OK, filled.text
        version = await shopper.fill_cart(**{sku: 1})
        answer, merged = await asyncio.gather(
            late(dice, lambda: shopper.check_out(version)),
            late(dice, lambda: shopper.client.post("/v1/cart/merge", headers=merge)),
        )
        assert merged.status_code == httpx2.codes.OK, merged.text
        ordered = answer.status_code in OK
        if ordered:
            order = await check_one_order(shopper, before, charges)
            assert [(line["sku"], line["quantity"]) for line in order["lines"]] == [(sku, 1)]
        else:
            assert answer.json()["code"] == "cart_changed"
        again = await shopper.client.post("/v1/cart/merge", headers=merge)
        cart = {line["sku"]: line["quantity"] for line in again.json()["items"]}
        assert cart == ({added: 2} if ordered else {sku: 1, added: 2}), "nothing is lost, and nothing comes twice"
        await shopper.client.delete("/v1/cart")

    await repeat(attempt_round)


@pytest.mark.timeout(1800)
async def test_the_worker_is_killed_between_any_two_steps(
    engine: Testbed, repeat: Repeat, make_product: MakeProduct, charges: Charges
) -> None:
    sku, dice, kills = make_product(stock=10_000), random.Random(), 0

    async def kill_and_start() -> None:
        nonlocal kills
        await asyncio.sleep(dice.random())  # few rounds are done soon: the first kill must meet them
        while True:
            engine.kill("order-worker")
            kills += 1
            await asyncio.to_thread(engine.start, "order-worker")
            # A worker is up after some seconds; one that is killed before that does no step at all.
            await asyncio.sleep(4 + dice.random() * 10)

    async def attempt_round(shopper: Shopper, dice: random.Random) -> None:
        before = len(await orders_of(shopper))
        version = await shopper.fill_cart(**{sku: 1})
        answer = await late(dice, lambda: shopper.check_out(version))
        assert answer.status_code in OK, answer.text
        await check_one_order(shopper, before, charges)
        async with asyncio.timeout(120):
            while (await shopper.client.get("/v1/cart")).json()["items"]:  # emptied beside the parcel
                await asyncio.sleep(0.2)

    killing = asyncio.create_task(kill_and_start())
    try:
        await repeat(attempt_round)
    finally:
        killing.cancel()
        with suppress(asyncio.CancelledError):
            await killing
    assert kills


@pytest.mark.timeout(1200)
async def test_a_refused_payment_paid_in_one_tab_and_checked_out_again_in_another(
    repeat: Repeat, make_product: MakeProduct, charges: Charges
) -> None:
    sku = make_product(stock=10_000)

    async def attempt_round(shopper: Shopper, dice: random.Random) -> None:
        version = await shopper.fill_cart(**{sku: 1})
        waiting = (await shopper.check_out(version, "pm_card_chargeDeclined")).json()["order_id"]
        key = {"Idempotency-Key": str(uuid.uuid4())}
        method = {"payment_method": "pm_card_visa"}
        answers = await asyncio.gather(
            late(dice, lambda: shopper.client.post(f"/v1/orders/{waiting}/payment", json=method, headers=key)),
            late(dice, lambda: shopper.check_out(version)),
        )
        won = [answer for answer in answers if answer.is_success]
        assert len(won) == 1, [answer.text for answer in answers]
        winner = won[0].json()["id"]
        await shopper.until(winner, "delivered", 180)
        ours = {waiting, winner}
        effects = [effect for one in ours for effect, _ in await asyncio.to_thread(charges, one)]
        assert effects == ["authorization", "capture"]
        assert (await shopper.client.get("/v1/cart")).json()["items"] == []

    await repeat(attempt_round)
