"""Every process ends cleanly when asked to, and loses nothing."""

import asyncio
from typing import Any

import httpx2
import pytest

from dev.testbed import Testbed


@pytest.mark.parametrize("name", ["relay", "notification-worker", "search-indexer", "api", "order-worker"])
async def test_process_ends_with_status_0_on_sigterm(engine: Testbed, name: str) -> None:
    status = engine.stop(name)
    engine.start(name)
    assert status == 0


async def test_order_placed_while_relay_and_notifications_are_down_is_told_later(
    engine: Testbed, shopper: Any, make_product: Any, mailed_seqs: Any
) -> None:
    engine.kill("relay")
    engine.kill("notification-worker")
    try:
        answer = await shopper.check_out(await shopper.fill_cart(**{make_product(stock=2): 1}))
        assert answer.status_code == httpx2.codes.CREATED
        order = await shopper.until(answer.json()["id"], "delivered")
        assert mailed_seqs(shopper.email, order["id"]) == []
    finally:
        engine.start("relay", "notification-worker")
    wanted = list(range(1, order["last_seq"] + 1))
    async with asyncio.timeout(40):
        while len(seen := mailed_seqs(shopper.email, order["id"])) < len(wanted):
            await asyncio.sleep(0.2)
    assert seen == wanted
