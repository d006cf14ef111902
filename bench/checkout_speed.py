"""Checkouts through the API with stock reserved and payment authorised, beside the bare start of a Temporal workflow.

The payment provider answers without delay. A bare start is what the Temporal server itself needs to accept an order:
the same input, on a queue without workers. What an order does after its answer (parcel, events, mails) continues
meanwhile, so at higher concurrency each checkout also waits for other orders, as it would in a shop.
"""

import asyncio
import random
import time
import uuid
from collections.abc import Awaitable, Callable

import httpx2
import typer
from temporalio.client import Client

from adapters.connections import Connections, connect
from bench.report import console, keep, percentile, table_of
from bench.stock_rush import Times, check_out, order_of, put_all
from dev.crowd import headers_of, open_accounts
from dev.shop import open_shop, put_on_sale
from dev.stack import ensure_servers
from dev.testbed import Testbed
from temporal_clients.connection import connect_temporal

CASES = {1: 60, 4: 120, 16: 192}  # at once → checkouts
SKUS, LINES = 100, 2


def main() -> None:
    """Measure checkouts with stock reserved and payment authorized, beside a bare Temporal start."""
    ensure_servers()
    bed = Testbed.create()
    try:
        bed.start("mail", "payment-simulator", "carrier-simulator", "order-worker", "api")
        with connect(bed.settings, pool_size=8) as stores:
            stores.redis.flushdb()
            found = asyncio.run(measure(bed, stores))
    finally:
        bed.close()
    console.print(table_of(f"Checkouts of {LINES} lines: stock reserved, payment authorized", found))
    keep("checkout_speed", rows=found)


async def measure(bed: Testbed, stores: Connections) -> list[dict[str, object]]:
    """Checkouts and bare starts in turn, at each concurrency."""
    open_shop(stores)
    skus = [f"SPEED-{uuid.uuid4().hex[:12].upper()}" for _ in range(SKUS)]
    put_on_sale(stores, skus, [(sku, "BER", 10_000) for sku in skus])
    temporal = await connect_temporal(bed.settings)
    headers = headers_of(bed.settings, open_accounts(stores.engine, max(CASES.values())))
    async with httpx2.AsyncClient(base_url=bed.url("API_PORT"), timeout=60) as client:
        await checkouts(client, headers[:16], skus, 4)  # warm
        rows = []
        for at_once, count in CASES.items():
            console.print(f"{at_once} at once, {count} checkouts …")
            rows.append(row("checkout", at_once, await checkouts(client, headers[:count], skus, at_once)))
            await asyncio.sleep(10)  # so that the rest of those orders does not count in the next row
            rows.append(row("bare start", at_once, await bare_starts(temporal, skus, at_once, count)))
    return rows


async def checkouts(client: httpx2.AsyncClient, headers: list[dict[str, str]], skus: list[str], at_once: int) -> Times:
    """One checkout per buyer, whose cart is filled before."""
    times, late = Times(), list[tuple[str, dict[str, str], float]]()
    versions = [await filled(client, whose, random.sample(skus, LINES)) for whose in headers]
    buyers = iter(list(zip(headers, versions, strict=True)))

    async def next_one() -> bool:
        for whose, version in buyers:
            await check_out(client, whose, version, times, late)
            return True
        return False

    await side_by_side(next_one, at_once, times)
    if late or times.refused:
        raise RuntimeError(f"not every checkout was answered with its order: {dict(times.answers)}")
    return times


async def filled(client: httpx2.AsyncClient, whose: dict[str, str], lines: list[str]) -> int:
    """The version of a cart with these lines; the buyer's last order may be emptying it at this moment."""
    for _ in range(50):
        if version := await put_all(client, whose, lines):
            return version
        await asyncio.sleep(0.2)
    raise RuntimeError("a cart could not be filled")


async def bare_starts(temporal: Client, skus: list[str], at_once: int, count: int) -> Times:
    """The same input for a workflow that no worker runs."""
    times, inputs = Times(), iter([order_of(random.sample(skus, LINES)).order for _ in range(count)])

    async def next_one() -> bool:
        for order in inputs:
            began = time.perf_counter()
            handle = await temporal.start_workflow(
                "CheckoutWorkflow", order, id=f"bench-{order.order_id}", task_queue="bench-no-worker"
            )
            times.placed.append(time.perf_counter() - began)
            await handle.terminate("measured")
            return True
        return False

    await side_by_side(next_one, at_once, times)
    return times


async def side_by_side(next_one: Callable[[], Awaitable[bool]], at_once: int, times: Times) -> None:
    """Run `at_once` loops side by side until nothing is left."""

    async def loop() -> None:
        while await next_one():
            pass

    began = time.perf_counter()
    await asyncio.gather(*(loop() for _ in range(at_once)))
    times.seconds = time.perf_counter() - began


def row(what: str, at_once: int, times: Times) -> dict[str, object]:
    """Percentiles in milliseconds."""
    return {
        "what": what,
        "at_once": at_once,
        "count": len(times.placed),
        "p50_ms": percentile(times.placed, 50),
        "p99_ms": percentile(times.placed, 99),
        "per_second": round(len(times.placed) / times.seconds, 1),
    }


if __name__ == "__main__":
    typer.run(main)
