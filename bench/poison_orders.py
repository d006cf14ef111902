"""Checkouts through the API beside poison orders, whose own data can never be stored, beside sound ones, and alone.

The API lets no such order in, so these are started as an earlier release might have: with an e-mail address, or the id
or version of a cart, that has no room in its column. Four come at once, then one a second. Blocks of checkouts alone,
beside as many sound orders, and beside poison orders alternate, so that whatever else the machine does meets all three;
the ratios say what others pay for a poison order, and what they pay for any.
"""

import asyncio
import itertools
import random
import time
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

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
from temporal_clients.connection import connect_temporal
from workflows.names import ORDERS_QUEUE, order_workflow_id
from workflows.orders.checkout import CheckoutWorkflow

BLOCKS, CHECKOUTS, AT_ONCE = 4, 12, 2
AT_FIRST, EVERY_SECONDS, _REST_SECONDS = 4, 1.0, 5  # the rest of those orders does not count in the next block
SKUS = 100

SOUND: tuple[Mapping[str, object], ...] = ({},)
# What has no room where it is stored.
POISON: tuple[Mapping[str, object], ...] = (
    {"email": f"{'e' * 300}@shop.example.com"},
    {"cart_id": "c" * 300},
    {"cart_version": 2**40},
)
ENDS_WITHIN_SECONDS = 60.0


def main() -> None:
    """Measure checkouts beside poison orders, beside sound ones, and alone."""
    ensure_servers()
    bed = Testbed.create()
    try:
        bed.start("mail", "payment-simulator", "carrier-simulator", "order-worker")
        bed.start("api", ORDERS_CHECKOUT_ANSWER_SECONDS="60")  # a slow checkout is measured, not answered with 202
        with connect(bed.settings, pool_size=8) as stores:
            stores.redis.flushdb()
            found = asyncio.run(measure(bed, stores))
    finally:
        bed.close()
    poison = found.poison_seconds
    rows = [row(name, AT_ONCE, times) for name, times in found.times.items()]
    console.print(table_of(f"Checkouts of {LINES} lines, alone, beside sound and beside poison orders", rows))
    alone, sound, beside = (percentile(times.placed, 50) for times in found.times.values())
    ratios = {"ratio_to_alone": round(beside / alone, 2), "ratio_to_sound": round(beside / sound, 2)}
    ended = {
        "poison": len(poison),
        "poison_p50_ms": percentile(poison, 50),
        "poison_longest_ms": round(max(poison) * 1000, 1),
    }
    console.print(f"The median beside poison, as a ratio: {ratios}; {len(poison)} poison orders ended: {ended}")
    keep("poison_orders", **ratios, **ended, rows=rows)


@dataclass
class Found:
    """The checkouts by what was beside them, and the seconds after which each poison order had ended."""

    times: dict[str, Times]
    poison_seconds: list[float]


async def measure(bed: Testbed, stores: Connections) -> Found:
    """Checkouts alone, beside sound orders and beside poison orders, in turns."""
    open_shop(stores)
    skus = [f"POISON-{uuid.uuid4().hex[:12].upper()}" for _ in range(SKUS)]
    put_on_sale(stores, skus, [(sku, "BER", 10_000) for sku in skus])
    temporal = await connect_temporal(bed.settings)
    headers = headers_of(bed.settings, open_accounts(stores.engine, CHECKOUTS * (3 * BLOCKS + 1)))
    buyers = iter([headers[first : first + CHECKOUTS] for first in range(0, len(headers), CHECKOUTS)])
    alone, beside_sound, beside_poison = Times(), Times(), Times()
    poison_seconds, ignored = list[float](), list[float]()
    async with httpx2.AsyncClient(base_url=bed.url("API_PORT"), timeout=90) as client:
        await checkouts(client, next(buyers), skus, AT_ONCE)  # warm
        for number in range(BLOCKS):
            console.print(f"block {number + 1} of {BLOCKS}, three times {CHECKOUTS} checkouts …")
            add(alone, await checkouts(client, next(buyers), skus, AT_ONCE))
            await asyncio.sleep(_REST_SECONDS)
            async with other_orders(temporal, skus, SOUND, ignored):
                add(beside_sound, await checkouts(client, next(buyers), skus, AT_ONCE))
            await asyncio.sleep(_REST_SECONDS)
            async with other_orders(temporal, skus, POISON, poison_seconds):
                add(beside_poison, await checkouts(client, next(buyers), skus, AT_ONCE))
            await asyncio.sleep(_REST_SECONDS)
    times = {"alone": alone, "beside sound orders": beside_sound, "beside poison orders": beside_poison}
    return Found(times, poison_seconds)


@asynccontextmanager
async def other_orders(
    temporal: Client, skus: list[str], kinds: Sequence[Mapping[str, object]], ended: list[float]
) -> AsyncIterator[None]:
    """Other orders arrive for the length of the block; then all of them have to end."""
    kind, running = itertools.cycle(kinds), list[asyncio.Task[float]]()

    async def arrive() -> None:
        while True:
            for _ in range(1 if running else AT_FIRST):
                running.append(asyncio.create_task(seconds_of(temporal, skus, next(kind))))
            await asyncio.sleep(EVERY_SECONDS)

    arriving = asyncio.create_task(arrive())
    try:
        yield
    finally:
        arriving.cancel()
        ended += await asyncio.gather(*running)


async def seconds_of(temporal: Client, skus: list[str], kind: Mapping[str, object]) -> float:
    """How long a sound order takes to its first answer, and a poison order to its end, which has to say why."""
    order = order_of(random.sample(skus, LINES)).order.model_copy(update=kind)
    began = time.perf_counter()
    async with asyncio.timeout(ENDS_WITHIN_SECONDS):
        handle = await temporal.start_workflow(
            CheckoutWorkflow.run, order, id=order_workflow_id(order.order_id), task_queue=ORDERS_QUEUE
        )
        if not kind:
            await handle.execute_update(CheckoutWorkflow.first_answer)
        elif (result := await handle.result()).reason != InvalidData.code:
            raise RuntimeError(f"a poison order has ended {result.status}: {result.reason}")
    return time.perf_counter() - began


def add(times: Times, block: Times) -> None:
    """What one more block has measured."""
    times.placed += block.placed
    times.seconds += block.seconds


if __name__ == "__main__":
    typer.run(main)
