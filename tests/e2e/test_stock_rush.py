"""Two hundred buyers and stock for sixty: exactly sixty orders, whoever dies meanwhile."""

import asyncio
import random
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from threading import Event, Thread

import httpx2
import pytest
import sqlalchemy as sa

from adapters.connections import Connections
from adapters.mysql.orders.stock import Stock
from adapters.mysql.orders.stock_reconciliations import StockReconciliations
from adapters.mysql.tables.stock import stock, stock_movements
from dev.carrier_simulator.wire import WAITING_POSTAL_CODE
from dev.crowd import headers_of, open_accounts
from dev.testbed import Testbed
from domain.stock import EFFECTS
from schemas.users import Account
from tests.e2e.conftest import ADDRESS
from tests.fixture_types import Headers, Json, MakeProduct

BUYERS, POSSIBLE = 200, 60
REFUSED = "refused"


@pytest.fixture(scope="module")
def accounts(connections: Connections) -> list[Account]:
    return open_accounts(connections.engine, BUYERS)


@pytest.fixture
def buyers(engine: Testbed, accounts: list[Account]) -> list[dict[str, str]]:
    """Their headers, with fresh tokens."""
    return headers_of(engine.settings, accounts)


@pytest.fixture
def skus_on_sale(make_product: MakeProduct) -> list[str]:
    """One SKU that every basket has, and five of which each has three; of each there is enough for sixty baskets.

    Sixty baskets use at most sixty of any SKU, so the first alone decides how many orders are possible: sixty.
    """
    return [make_product(stock={"BER": POSSIBLE - half, "AMS": half}) for half in (25, 30, 10, 20, 40, 50)]


def basket(skus_on_sale: list[str], number: int) -> list[str]:
    """The lines of a buyer's cart, in an order of their own."""
    core, *others = skus_on_sale
    lines = [core, *(others[(number + step) % len(others)] for step in range(3))]
    random.Random(number).shuffle(lines)
    return lines


class Rush:
    """Everybody fills a cart; then everybody checks out at the same moment."""

    def __init__(self, base_url: str, buyers: list[dict[str, str]], skus_on_sale: list[str]) -> None:
        limits = httpx2.Limits(max_connections=BUYERS, max_keepalive_connections=BUYERS)
        self._client = httpx2.AsyncClient(base_url=base_url, timeout=90, limits=limits)
        self._buyers = buyers
        self._skus = skus_on_sale

    async def fill_carts(self) -> list[int]:
        few = asyncio.Semaphore(16)

        async def fill(number: int) -> int:
            async with few:
                await self._ask("DELETE", "/v1/cart", self._buyers[number])
                for sku in basket(self._skus, number):
                    path = f"/v1/cart/items/{sku}"
                    cart = await self._ask("PUT", path, self._buyers[number], json={"quantity": 1})
                    assert cart.status_code == httpx2.codes.OK, cart.text
                return int(cart.json()["version"])

        return await asyncio.gather(*(fill(number) for number in range(BUYERS)))

    async def check_out_all(self, versions: list[int]) -> list[str]:
        """The id of each buyer's order, or that it was refused."""
        return await asyncio.gather(*(self._check_out(number, version) for number, version in enumerate(versions)))

    async def _check_out(self, number: int, version: int) -> str:
        order = {
            "cart_version": version,
            # The carrier leaves the parcel where it is, so what was reserved stays to be counted.
            "shipping_address": ADDRESS | {"postal_code": WAITING_POSTAL_CODE},
            "payment_method": "pm_card_visa",
        }
        headers = self._buyers[number] | {"Idempotency-Key": uuid.uuid4().hex}
        answer = await self._ask("POST", "/v1/checkouts", headers, json=order)
        if answer.status_code == httpx2.codes.CONFLICT:
            assert answer.json()["code"] == "out_of_stock", answer.text
            return REFUSED
        assert answer.status_code in (httpx2.codes.CREATED, httpx2.codes.ACCEPTED), answer.text
        return await self._end_of(answer.json()["id"], self._buyers[number])

    async def _end_of(self, order_id: str, headers: dict[str, str]) -> str:
        """An order that was accepted counts by what becomes of it."""
        async with asyncio.timeout(240):
            while True:
                answer = await self._ask("GET", f"/v1/orders/{order_id}", headers)
                assert answer.status_code < httpx2.codes.INTERNAL_SERVER_ERROR, answer.text
                if answer.status_code == httpx2.codes.NOT_FOUND:
                    return REFUSED
                if answer.json()["status"] not in ("pending", "awaiting_payment"):
                    assert answer.json()["status"] in ("confirmed", "processing"), answer.text
                    return order_id
                await asyncio.sleep(2)

    async def _ask(self, method: str, path: str, headers: Headers, json: Json | None = None) -> httpx2.Response:
        """Again where an idle connection was closed just as it was to be used: the key makes that safe."""
        for _ in range(10):  # a loaded machine closes many of them
            with suppress(httpx2.RemoteProtocolError, httpx2.ReadError):
                return await self._client.request(method, path, headers=headers, json=json)
        return await self._client.request(method, path, headers=headers, json=json)

    async def close(self) -> None:
        await self._client.aclose()


@contextmanager
def watching(connections: Connections, skus: list[str]) -> Iterator[list[int]]:
    """The least that was available of any of them, at every look."""
    seen: list[int] = []
    done = Event()
    query = sa.select(sa.func.min(stock.c.on_hand - stock.c.reserved)).where(stock.c.sku.in_(skus))

    def look() -> None:
        while not done.wait(0.02):
            with connections.engine.connect() as connection:
                seen.append(int(connection.scalar(query) or 0))

    thread = Thread(target=look)
    thread.start()
    try:
        yield seen
    finally:
        done.set()
        thread.join()


def lowest_by_the_ledger(connections: Connections, skus: list[str]) -> int:
    """The least that was ever available of any of them anywhere, from the first row of the ledger to the last."""
    available, lowest = Counter[tuple[str, str]](), 0
    query = sa.select(stock_movements).where(stock_movements.c.sku.in_(skus)).order_by(stock_movements.c.id)
    with connections.engine.connect() as connection:
        for row in connection.execute(query):
            on_hand, reserved = EFFECTS[row.kind]
            available[row.sku, row.warehouse] += (on_hand - reserved) * row.quantity
            lowest = min(lowest, available[row.sku, row.warehouse])
    return lowest


def check(connections: Connections, skus_on_sale: list[str], ends: list[str]) -> None:
    placed = [end for end in ends if end != REFUSED]
    assert (len(placed), len(set(placed))) == (POSSIBLE, POSSIBLE)
    inventory = Stock(connections.engine)
    wanted = Counter(sku for number, end in enumerate(ends) if end != REFUSED for sku in basket(skus_on_sale, number))
    for sku in skus_on_sale:
        levels = inventory.levels(sku)
        assert sum(level.reserved for level in levels) == wanted[sku]
        assert sum(level.on_hand for level in levels) == POSSIBLE
        assert all(level.available >= 0 for level in levels)
    assert lowest_by_the_ledger(connections, skus_on_sale) >= 0
    found = [one for page in StockReconciliations(connections.engine).check() for one in page.differences]
    assert [one for one in found if one.sku in skus_on_sale] == []


@pytest.fixture
async def rush(engine: Testbed, buyers: list[dict[str, str]], skus_on_sale: list[str]) -> AsyncIterator[Rush]:
    made = Rush(engine.url("API_PORT"), buyers, skus_on_sale)
    yield made
    await made.close()


@pytest.mark.timeout(600)
async def test_two_hundred_buyers_at_once_get_exactly_what_is_there(
    rush: Rush, skus_on_sale: list[str], connections: Connections
) -> None:
    versions = await rush.fill_carts()
    with watching(connections, skus_on_sale) as seen:
        ends = await rush.check_out_all(versions)
    check(connections, skus_on_sale, ends)
    assert len(seen) > 10
    assert min(seen) >= 0


@pytest.mark.timeout(600)
async def test_the_same_while_two_workers_are_killed(
    engine: Testbed, rush: Rush, skus_on_sale: list[str], connections: Connections
) -> None:
    engine.start("order-worker#2")
    versions = await rush.fill_carts()
    try:
        with watching(connections, skus_on_sale) as seen:
            rushing = asyncio.create_task(rush.check_out_all(versions))
            for name in ("order-worker", "order-worker#2"):
                await until_placed(connections, skus_on_sale, more=5)
                engine.kill(name)
                await asyncio.sleep(0.5)
                engine.start(name)
            assert not rushing.done(), "the workers were killed too late to matter"
            ends = await rushing
    finally:
        engine.stop("order-worker#2")
    check(connections, skus_on_sale, ends)
    assert min(seen) >= 0


async def until_placed(connections: Connections, skus_on_sale: list[str], more: int) -> None:
    """Wait until some more orders have been placed than have been now."""
    query = sa.select(sa.func.sum(stock.c.reserved)).where(stock.c.sku == skus_on_sale[0])

    def placed() -> int:
        with connections.engine.connect() as connection:
            return int(connection.scalar(query) or 0)

    begun = await asyncio.to_thread(placed)
    async with asyncio.timeout(120):
        while await asyncio.to_thread(placed) < begun + more:
            await asyncio.sleep(0.02)
