"""A rush on scarce stock: checkouts through the API at growing crowds, beside the bare transaction.

Every basket has four of six SKUs, all share one of them, and there is stock for three in ten. Orders and refusals are
timed separately, because a refusal should cost next to nothing. A checkout that was answered with 202 counts as placed
or refused by its outcome; its time is that of the 202.
"""

import asyncio
import time
import uuid
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import httpx2
import typer

from adapters.connections import Connections, connect
from adapters.mysql.orders.orders import OrderStore
from adapters.mysql.orders.stock_reconciliations import StockReconciliations
from bench.report import console, keep, percentile, table_of
from dev.crowd import headers_of, open_accounts
from dev.shop import PRICE, open_shop, put_on_sale
from dev.stack import ensure_servers
from dev.testbed import Testbed
from domain.errors import OutOfStock
from schemas.base import Address
from schemas.checkout import CheckoutInput, OrderLineInput, PricedLine, PricedOrder
from schemas.orders import PlaceOrder
from schemas.users import Account

CROWDS = {1: 40, 16: 96, 64: 192, 200: 200}  # buyers at once → checkouts
POSSIBLE = 0.3
SKUS, LINES = 6, 4
# The carrier moves no parcel to this postal code, so that only the placing of orders is measured.
ADDRESS = {"name": "Bench", "line1": "Weg 1", "city": "Berlin", "postal_code": "11111", "country": "DE"}


@dataclass
class Times:
    """Seconds of each checkout by its outcome, and how often each status was answered."""

    placed: list[float] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)
    answers: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0


def main() -> None:
    """Measure checkouts in a rush on scarce stock, beside the bare transaction."""
    ensure_servers()
    bed = Testbed.create()
    try:
        bed.start("mail", "payment-simulator", "carrier-simulator", "order-worker", "api")
        with connect(bed.settings, pool_size=max(CROWDS)) as stores:
            stores.redis.flushdb()
            found = measure(bed, stores)
    finally:
        bed.close()
    show(found)
    keep("stock_rush", rows=found)


def measure(bed: Testbed, stores: Connections) -> list[dict[str, object]]:
    """Every number of buyers through the API, and the same number at the bare transaction."""
    open_shop(stores)
    accounts = open_accounts(stores.engine, max(CROWDS))
    asyncio.run(rush(bed, stores, accounts, 16, 32))  # warm
    rows = []
    for buyers, checkouts in CROWDS.items():
        console.print(f"{buyers} at once, {checkouts} checkouts …")
        rows.append(row("API", buyers, asyncio.run(rush(bed, stores, accounts, buyers, checkouts))))
        rows.append(row("transaction", buyers, bare(stores, buyers, checkouts)))
    differences = [
        difference for page in StockReconciliations(stores.engine).check() for difference in page.differences
    ]
    if differences:
        raise RuntimeError(f"the stock does not match its ledger: {differences[:3]}")
    return rows


def stock_up(stores: Connections, checkouts: int) -> list[str]:
    """New SKUs with stock for three in ten of the baskets."""
    units = int(checkouts * POSSIBLE)
    skus = [f"RUSH-{uuid.uuid4().hex[:12].upper()}" for _ in range(SKUS)]
    halves = [
        (sku, warehouse, part) for sku in skus for warehouse, part in (("BER", units - units // 3), ("AMS", units // 3))
    ]
    put_on_sale(stores, skus, [line for line in halves if line[2]])
    return skus


def basket(skus: Sequence[str], number: int) -> list[str]:
    """The first SKU and three of the others, in an order of the buyer's own."""
    core, *others = skus
    lines = [core, *(others[(number + step) % len(others)] for step in range(LINES - 1))]
    return lines[number % LINES :] + lines[: number % LINES]


async def rush(bed: Testbed, stores: Connections, accounts: list[Account], at_once: int, checkouts: int) -> Times:
    """Check out carts that were filled before, each by another buyer, `at_once` of them side by side."""
    skus, headers, times = stock_up(stores, checkouts), headers_of(bed.settings, accounts[:checkouts]), Times()
    limits = httpx2.Limits(max_connections=at_once, max_keepalive_connections=at_once, keepalive_expiry=1)
    late: list[tuple[str, dict[str, str], float]] = []
    async with httpx2.AsyncClient(base_url=bed.url("API_PORT"), timeout=120, limits=limits) as client:
        waiting = iter(list(zip(headers, await fill(client, headers, skus), strict=True)))

        async def buy() -> None:
            for buyer, version in waiting:
                await check_out(client, buyer, version, times, late)

        began = time.perf_counter()
        await asyncio.gather(*(buy() for _ in range(at_once)))
        times.seconds = time.perf_counter() - began
        for order_id, buyer, seconds in late:
            placed = await became_an_order(client, order_id, buyer)
            (times.placed if placed else times.refused).append(seconds)
    expected = int(checkouts * POSSIBLE)
    if len(times.placed) != expected:
        raise RuntimeError(f"{len(times.placed)} orders were placed, {expected} were possible")
    return times


async def fill(client: httpx2.AsyncClient, headers: list[dict[str, str]], skus: list[str]) -> list[int]:
    """Put a basket into every cart; answers the versions of the carts."""
    slots = asyncio.Semaphore(8)

    async def fill_cart(number: int, buyer: dict[str, str]) -> int:
        async with slots:
            for _ in range(20):
                if version := await put_all(client, buyer, basket(skus, number)):
                    return version
                await asyncio.sleep(0.2)  # the buyer's last order is emptying its cart at this moment
            raise RuntimeError("a cart could not be filled")

    return await asyncio.gather(*(fill_cart(number, buyer) for number, buyer in enumerate(headers)))


async def put_all(client: httpx2.AsyncClient, buyer: dict[str, str], lines: list[str]) -> int | None:
    """The version of a cart with exactly these lines; None when it was changed meanwhile."""
    version = None
    for answer in [
        await client.delete("/v1/cart", headers=buyer),
        *[await client.put(f"/v1/cart/items/{sku}", json={"quantity": 1}, headers=buyer) for sku in lines],
    ]:
        if answer.status_code == httpx2.codes.CONFLICT:
            return None
        version = int(answer.raise_for_status().json()["version"])
    return version


async def check_out(
    client: httpx2.AsyncClient,
    buyer: dict[str, str],
    version: int,
    times: Times,
    late: list[tuple[str, dict[str, str], float]],
) -> None:
    """One checkout, timed."""
    body = {"cart_version": version, "shipping_address": ADDRESS, "payment_method": "pm_card_visa"}
    headers = buyer | {"Idempotency-Key": uuid.uuid4().hex}
    began = time.perf_counter()
    answer = await client.post("/v1/checkouts", json=body, headers=headers)
    seconds = time.perf_counter() - began
    times.answers[str(answer.status_code)] += 1
    if answer.status_code == httpx2.codes.ACCEPTED:
        late.append((answer.json()["id"], buyer, seconds))
    elif answer.status_code == httpx2.codes.CREATED:
        times.placed.append(seconds)
    elif answer.json().get("code") == "out_of_stock":
        times.refused.append(seconds)
    else:
        raise RuntimeError(answer.text)


async def became_an_order(client: httpx2.AsyncClient, order_id: str, buyer: dict[str, str]) -> bool:
    """Whether a checkout that was answered with 202 became an order."""
    async with asyncio.timeout(180):
        while (answer := await client.get(f"/v1/orders/{order_id}", headers=buyer)).status_code != 404:
            if answer.json().get("payment_status") == "authorized":
                return True
            await asyncio.sleep(0.5)
    return False


def bare(stores: Connections, buyers: int, checkouts: int) -> Times:
    """The same baskets with the bare transaction that records an order and reserves its stock."""
    skus, times, store = stock_up(stores, checkouts), Times(), OrderStore(stores.engine)

    def place(number: int) -> None:
        command = order_of(basket(skus, number))
        began = time.perf_counter()
        try:
            store.place(command)
        except OutOfStock:
            times.refused.append(time.perf_counter() - began)
        else:
            times.placed.append(time.perf_counter() - began)

    with ThreadPoolExecutor(buyers) as pool:
        began = time.perf_counter()
        list(pool.map(place, range(checkouts)))
        times.seconds = time.perf_counter() - began
    return times


def order_of(skus: Sequence[str]) -> PlaceOrder:
    """The command that CheckoutWorkflow would send."""
    lines = [
        PricedLine(sku=sku, name=sku, quantity=1, unit_price=PRICE, weight_grams=100, subtotal=PRICE, tax=0)
        for sku in skus
    ]
    total = PRICE * len(lines)
    order = CheckoutInput(
        order_id=str(uuid.uuid4()),
        customer_id=str(uuid.uuid4()),
        email="bench@shop.example.com",
        cart_id=str(uuid.uuid4()),
        cart_version=1,
        lines=[OrderLineInput(sku=sku, quantity=1) for sku in skus],
        shipping_address=Address.model_validate(ADDRESS),
        shipping_method="standard",
        payment_method="pm_card_visa",
    )
    return PlaceOrder(
        order=order, quote=PricedOrder(currency="EUR", lines=lines, subtotal=total, shipping=0, tax=0, total=total)
    )


def row(what: str, buyers: int, times: Times) -> dict[str, object]:
    """Percentiles in milliseconds."""
    found: dict[str, object] = {"through": what, "at_once": buyers}
    for name, seconds in (("placed", times.placed), ("refused", times.refused)):
        found |= {
            name: len(seconds),
            f"{name}_p50_ms": percentile(seconds, 50),
            f"{name}_p99_ms": percentile(seconds, 99),
        }
    checkouts = len(times.placed) + len(times.refused)
    return found | {"per_second": round(checkouts / times.seconds, 1), "answers": dict(sorted(times.answers.items()))}


def show(found: list[dict[str, object]]) -> None:
    """The rows as a table, with an explanation of the times."""
    console.print(table_of(f"Checkouts of {LINES} lines, stock for {POSSIBLE:.0%} of them", found))
    console.print("Times are milliseconds; a 202 is timed when it was answered and counted by its outcome.")


if __name__ == "__main__":
    typer.run(main)
