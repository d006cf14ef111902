"""Checkouts through the API beside poison orders, whose own data can never be stored, and without them.

The API lets no such order in, so these are started as an earlier release might have: with an e-mail address, or the id
or version of a cart, that has no room in its column. Four come at once, then one a second. Blocks of checkouts without
them and beside them alternate, so that whatever else the machine does meets both; the ratio says what others pay.
"""

import asyncio
import itertools
import random
import time
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import httpx2
import typer
from temporalio.client import Client

from adapters.connections import Connections, connect
from bench.checkout_speed import LINES, checkouts, row
from bench.report import console, keep, percentile, table_of
from bench.stock_rush import Times, order_of
from dev.crowd import headers_of, open_accounts
from dev.shop import open_shop, put_on_sale
from dev.stack import ensure_servers
from dev.testbed import Testbed
from domain.errors import InvalidData
from domain.orders import OrderStatus
from temporal_clients.connection import connect_temporal
from workflows.names import ORDERS_QUEUE, order_workflow_id
from workflows.orders.checkout import CheckoutWorkflow

BLOCKS, CHECKOUTS, AT_ONCE = 4, 12, 2
POISON_AT_ONCE, POISON_EVERY_SECONDS = 4, 1.0
SKUS = 100
# What has no room where it is stored.
KINDS: tuple[Mapping[str, object], ...] = (
    {"email": f"{'e' * 300}@shop.example.com"},
    {"cart_id": "c" * 300},
    {"cart_version": 2**40},
)
ENDS_WITHIN_SECONDS = 60.0


def main() -> None:
    """Measure checkouts beside poison orders and without them."""
    ensure_servers()
    bed = Testbed.create()
    try:
        bed.start("mail", "payment-simulator", "carrier-simulator", "order-worker")
        bed.start("api", ORDERS_CHECKOUT_ANSWER_SECONDS="60")  # a slow checkout is measured, not answered with 202
        with connect(bed.settings, pool_size=8) as stores:
            stores.redis.flushdb()
            alone, beside, poison = asyncio.run(measure(bed, stores))
    finally:
        bed.close()
    rows = [row("without", AT_ONCE, alone), row("beside poison", AT_ONCE, beside)]
    console.print(table_of(f"Checkouts of {LINES} lines, without poison orders and beside them", rows))
    ratio = round(percentile(beside.placed, 50) / percentile(alone.placed, 50), 2)
    ended = {
        "poison": len(poison),
        "poison_p50_ms": percentile(poison, 50),
        "poison_longest_ms": round(max(poison) * 1000, 1),
    }
    console.print(f"The median beside them is {ratio} times that without; {len(poison)} poison orders ended: {ended}")
    keep("poison_orders", p50_ratio=ratio, **ended, rows=rows)


async def measure(bed: Testbed, stores: Connections) -> tuple[Times, Times, list[float]]:
    """Checkouts without and beside poison orders, and the seconds after which each of those had ended."""
    open_shop(stores)
    skus = [f"POISON-{uuid.uuid4().hex[:12].upper()}" for _ in range(SKUS)]
    put_on_sale(stores, skus, [(sku, "BER", 10_000) for sku in skus])
    temporal = await connect_temporal(bed.settings.temporal_address, bed.settings.temporal_namespace)
    headers = headers_of(bed.settings, open_accounts(stores.engine, CHECKOUTS * (2 * BLOCKS + 1)))
    buyers = iter([headers[first : first + CHECKOUTS] for first in range(0, len(headers), CHECKOUTS)])
    alone, beside, ended = Times(), Times(), list[float]()
    async with httpx2.AsyncClient(base_url=bed.url("API_PORT"), timeout=90) as client:
        await checkouts(client, next(buyers), skus, AT_ONCE)  # warm
        for number in range(BLOCKS):
            console.print(f"block {number + 1} of {BLOCKS}, {CHECKOUTS} checkouts without and beside poison orders …")
            add(alone, await checkouts(client, next(buyers), skus, AT_ONCE))
            await asyncio.sleep(5)  # so that the rest of those orders does not count in the next
            async with poison_orders(temporal, skus, ended):
                add(beside, await checkouts(client, next(buyers), skus, AT_ONCE))
            await asyncio.sleep(5)
    return alone, beside, ended


@asynccontextmanager
async def poison_orders(temporal: Client, skus: list[str], ended: list[float]) -> AsyncIterator[None]:
    """Poison orders arrive for the length of the block; then all of them have to end."""
    kinds, running = itertools.cycle(KINDS), list[asyncio.Task[float]]()

    async def arrive() -> None:
        while True:
            for _ in range(1 if running else POISON_AT_ONCE):
                running.append(asyncio.create_task(seconds_of(temporal, skus, next(kinds))))
            await asyncio.sleep(POISON_EVERY_SECONDS)

    arriving = asyncio.create_task(arrive())
    try:
        yield
    finally:
        arriving.cancel()
        ended += await asyncio.gather(*running)


async def seconds_of(temporal: Client, skus: list[str], kind: Mapping[str, object]) -> float:
    """How long one poison order takes to its end, which has to say what is wrong with it."""
    order = order_of(random.sample(skus, LINES)).order.model_copy(update=kind)
    began = time.perf_counter()
    async with asyncio.timeout(ENDS_WITHIN_SECONDS):
        result = await temporal.execute_workflow(
            CheckoutWorkflow.run, order, id=order_workflow_id(order.order_id), task_queue=ORDERS_QUEUE
        )
    if (result.status, result.reason) != (OrderStatus.FAILED, InvalidData.code):
        raise RuntimeError(f"a poison order has ended {result.status}: {result.reason}")
    return time.perf_counter() - began


def add(times: Times, block: Times) -> None:
    """What one more block has measured."""
    times.placed += block.placed
    times.seconds += block.seconds


if __name__ == "__main__":
    typer.run(main)
