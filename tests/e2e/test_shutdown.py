"""Every process ends cleanly when asked to, and loses nothing."""

import asyncio
import time
import uuid

import httpx2
import pytest
import sqlalchemy as sa

from adapters.connections import Connections
from adapters.mysql.clock import now
from adapters.mysql.outbox import product_outbox
from adapters.mysql.tables.catalog import product_events
from dev.testbed import Testbed
from tests.e2e.conftest import MailedSeqs, Shopper
from tests.fixture_types import MakeProduct


@pytest.mark.parametrize("name", ["relay", "notification-worker", "search-indexer", "api", "order-worker"])
async def test_process_ends_with_status_0_on_sigterm(engine: Testbed, name: str) -> None:
    status = engine.stop(name)
    engine.start(name)
    assert status == 0


def test_relay_that_cannot_go_on_with_products_ends_for_a_new_start(engine: Testbed, connections: Connections) -> None:
    until_published(connections)
    unreadable = {
        "event_id": str(uuid.uuid4()), "product": "UNREADABLE", "revision": 1, "type": "product.changed", "data": [],
        "occurred_at": now(), "partition_no": 0,
    }  # fmt: skip
    with connections.engine.begin() as connection:
        connection.execute(sa.insert(product_events).values(unreadable))
    try:
        assert engine.processes["relay"].wait(timeout=30) == 1
    finally:
        with connections.engine.begin() as connection:
            connection.execute(sa.delete(product_events).where(product_events.c.product == "UNREADABLE"))
        engine.start("relay")
    until_published(connections)


def until_published(connections: Connections) -> None:
    """Wait for the relay to have nothing left to do."""
    deadline = time.monotonic() + 120
    while product_outbox(connections.engine).lag().unpublished:
        assert time.monotonic() < deadline
        time.sleep(0.1)


async def test_an_order_placed_while_relay_and_notifications_are_down_is_mailed_later(
    engine: Testbed, shopper: Shopper, make_product: MakeProduct, mailed_seqs: MailedSeqs
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
    async with asyncio.timeout(120):
        while len(seen := mailed_seqs(shopper.email, order["id"])) < len(wanted):
            await asyncio.sleep(0.2)
    assert seen == wanted
