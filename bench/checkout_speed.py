"""Checkouts through the API with stock reserved and payment authorised, beside the bare start of a Temporal workflow.

The payment provider answers without delay. A bare start is what the Temporal server itself needs to take an order down:
the same input, a queue nobody works on. What an order does after its answer (parcel, events, mails) goes on meanwhile,
so at higher concurrency each checkout also waits for the others' orders, as it would in a shop.
"""

import asyncio
import json
import os
import platform
import random
import time
import uuid
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
from rich.console import Console
from rich.table import Table
from temporalio.client import Client

from adapters.connections import Connections, connect
from adapters.mysql.catalog import Catalog
from adapters.mysql.inventory import Stock
from adapters.mysql.shelves import Shelves
from bench.stock_rush import WAREHOUSES, Times, check_out, order_of, percentile, put_all
from dev.crowd import headers_of, open_accounts
from dev.stack import ensure_servers
from dev.testbed import Testbed
from domain.catalog import ProductStatus
from schemas.catalog import Brand, Category, Price, Product, Variant
from workflows.connection import connect_temporal

RESULT = Path(__file__).parent / "results" / "checkout_speed.json"
CASES = {1: 60, 4: 120, 16: 192}  # at once → checkouts
SKUS, LINES = 100, 2
console = Console(highlight=False)


def main() -> None:
    """Measure, show, keep."""
    ensure_servers()
    bed = Testbed.create()
    try:
        bed.start("mail", "payment-simulator", "carrier-simulator", "order-worker", "api")
        with connect(bed.settings, pool_size=8) as stores:
            stores.redis.flushdb()
            found = asyncio.run(measure(bed, stores))
    finally:
        bed.close()
    show(found)
    keep(found)


async def measure(bed: Testbed, stores: Connections) -> list[dict[str, object]]:
    """Both, in turns, at each concurrency."""
    skus = shelf(stores)
    temporal = await connect_temporal(bed.settings.temporal_address, bed.settings.temporal_namespace)
    headers = headers_of(bed.settings, open_accounts(stores.engine, max(CASES.values())))
    async with httpx2.AsyncClient(base_url=bed.url("API_PORT"), timeout=60) as client:
        await checkouts(client, headers[:16], skus, 4)  # warm
        rows = []
        for at_once, count in CASES.items():
            console.print(f"{at_once} at once, {count} checkouts …")
            rows.append(row("checkout", at_once, await checkouts(client, headers[:count], skus, at_once)))
            await asyncio.sleep(10)  # what those orders go on with does not belong to the next row
            rows.append(row("bare start", at_once, await bare_starts(temporal, skus, at_once, count)))
    return rows


def shelf(stores: Connections) -> list[str]:
    """Plenty of each SKU."""
    Stock(stores.engine).ensure_warehouses(WAREHOUSES)
    Shelves(stores.engine).ensure([Brand(code="bench", name="Bench")], [Category(code="bench", name="Bench")])
    moment = datetime.now(UTC)
    price = Price(amount=1999, currency="EUR", valid_from=moment - timedelta(days=1))
    skus = [f"SPEED-{uuid.uuid4().hex[:12].upper()}" for _ in range(SKUS)]
    products = [
        Product(
            code=sku,
            name=f"Lamp {sku}",
            brand="bench",
            category="bench",
            status=ProductStatus.ACTIVE,
            variants=[Variant(sku=sku, weight_grams=100, prices=[price])],
            created_at=moment,
            updated_at=moment,
        )
        for sku in skus
    ]
    Catalog(stores.engine).put_many(products)
    Stock(stores.engine).receive([(sku, "BER", 10_000) for sku in skus], "staff:bench", "delivery")
    return skus


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
    """The version of a cart that holds these; the buyer's last order may be emptying it at this moment."""
    for _ in range(50):
        if version := await put_all(client, whose, lines):
            return version
        await asyncio.sleep(0.2)
    raise RuntimeError("a cart could not be filled")


async def bare_starts(temporal: Client, skus: list[str], at_once: int, count: int) -> Times:
    """The same input to a workflow that nobody runs."""
    times, inputs = Times(), iter([order_of(random.sample(skus, LINES)).order for _ in range(count)])

    async def next_one() -> bool:
        for order in inputs:
            began = time.perf_counter()
            handle = await temporal.start_workflow(
                "CheckoutWorkflow", order, id=f"bench-{order.order_id}", task_queue="bench-nobody"
            )
            times.placed.append(time.perf_counter() - began)
            await handle.terminate("measured")
            return True
        return False

    await side_by_side(next_one, at_once, times)
    return times


async def side_by_side(next_one: Callable[[], Awaitable[bool]], at_once: int, times: Times) -> None:
    """So many at once, each one after the other, until there is none left."""

    async def one_after_the_other() -> None:
        while await next_one():
            pass

    began = time.perf_counter()
    await asyncio.gather(*(one_after_the_other() for _ in range(at_once)))
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


def show(found: list[dict[str, object]]) -> None:
    """The rows as a table."""
    table = Table(title=f"Checkouts of {LINES} lines: stock reserved, payment authorised")
    for column in found[0]:
        table.add_column(column.removesuffix("_ms").replace("_", " "), justify="right")
    for one in found:
        table.add_row(*(str(value) for value in one.values()))
    console.print(table)


def keep(found: list[dict[str, object]]) -> None:
    """The rows as JSON, with where and when they were measured."""
    RESULT.parent.mkdir(exist_ok=True)
    where = {"cpus": os.cpu_count(), "load_average": os.getloadavg()[0], "python": platform.python_version()}
    result = {"measured_at": datetime.now(UTC).isoformat(timespec="seconds"), **where, "rows": found}
    RESULT.write_text(json.dumps(result, indent=2) + "\n")
    console.print(f"Kept in {RESULT}")


if __name__ == "__main__":
    main()
