"""Redis flushed and cut while many shop: no write is lost, no read is older than its reader's. MongoDB cut: 503."""

import random
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from urllib.parse import urlsplit

import httpx2
import pytest

from adapters.connections import Connections
from dev.testbed import Testbed
from tests.fixture_types import Json, MakeCustomer, MakeProduct
from tests.proxy import Wire

CARTS, SHOPPERS, REQUESTS = 5, 2, 100


def through(url: str, wire: Wire) -> str:
    """The same server, reached by the wire."""
    parts = urlsplit(url)
    return parts._replace(netloc=f"{parts.hostname}:{wire.port}").geturl()


def port_of(url: str) -> int:
    port = urlsplit(url).port
    assert port is not None
    return port


class Chaos(threading.Thread):
    """Flushes Redis and cuts one process's way to it, again and again."""

    def __init__(self, wire: Wire, connections: Connections) -> None:
        super().__init__(daemon=True)
        self.over = threading.Event()
        self.flushes = self.cuts = 0
        self._wire = wire
        self._redis = connections.redis
        self._chance = random.Random(7)

    def run(self) -> None:
        while not self.over.is_set():
            if self._chance.random() < 0.6:
                self._redis.flushdb()
                self.flushes += 1
            elif self._chance.random() < 0.7:
                self._wire.cut()
                self.cuts += 1
                self.over.wait(self._chance.uniform(0.05, 1.5))
                self._wire.mend()
            else:
                self._wire.silence()
                self.cuts += 1
                self.over.wait(self._chance.uniform(0.05, 1.5))
                self._wire.mend()
            self.over.wait(self._chance.uniform(0.05, 0.6))


class Shopper:
    """Sets one line of a cart ever higher, over either process, and looks at it over either.

    Nobody else changes the line. So what it sees of it is never less than it has seen or had answered before, and
    never more than it has asked for; and the cart is never of a version before its own last change. Once somebody has
    had the answer to a change, that is: between a change in MongoDB and its answer either state may be seen.
    """

    def __init__(self, addresses: list[str], token: str, sku: str, seed: int) -> None:
        self._addresses = addresses
        self._headers = {"X-Cart-Token": token}
        self._sku = sku
        self._chance = random.Random(seed)
        self.acknowledged = self.version = self.asked = 0
        self.reads = self.writes = self.refused = 0

    def shop(self) -> None:
        with ExitStack() as stack:
            clients = [
                stack.enter_context(httpx2.Client(base_url=one, headers=self._headers, timeout=30))
                for one in self._addresses
            ]
            for _ in range(REQUESTS):
                client = self._chance.choice(clients)
                if self._chance.random() < 0.5:
                    self._write(client)
                else:
                    self._read(client)

    def _write(self, client: httpx2.Client) -> None:
        self.asked += 1
        answer = client.put(f"/v1/cart/items/{self._sku}", json={"quantity": self.asked})
        if answer.status_code == 503:
            self.refused += 1
            return
        assert answer.status_code == 200, answer.text
        self.writes += 1
        self._learn(answer.json(), exactly=self.asked)
        self.version = answer.json()["version"]

    def _read(self, client: httpx2.Client) -> None:
        answer = client.get("/v1/cart")
        assert answer.status_code == 200, answer.text
        self.reads += 1
        self._learn(answer.json())

    def _learn(self, cart: Json, exactly: int | None = None) -> None:
        mine = next((line["quantity"] for line in cart["items"] if line["sku"] == self._sku), 0)
        assert cart["version"] >= self.version, f"version {cart['version']} after {self.version}"
        assert self.acknowledged <= mine <= self.asked, f"{mine} units after {self.acknowledged}"
        assert exactly is None or mine == exactly
        self.acknowledged = mine


@pytest.fixture
def wire(bed: Testbed) -> Iterator[Wire]:
    with Wire(port_of(bed.environment["ORDERS_REDIS_URL"])) as wire:
        yield wire


@pytest.mark.timeout(400)
def test_a_thousand_requests_while_redis_is_flushed_and_cut(
    engine: Testbed, wire: Wire, make_product: MakeProduct, connections: Connections
) -> None:
    skus = [make_product(stock=999) for _ in range(SHOPPERS)]
    with engine.another_api(ORDERS_REDIS_URL=through(engine.environment["ORDERS_REDIS_URL"], wire)) as shaky:
        addresses = [engine.url("API_PORT"), shaky]
        tokens = [uuid.uuid4().hex for _ in range(CARTS)]
        shoppers = [
            Shopper(addresses, token, sku, seed)
            for seed, (token, sku) in enumerate((token, sku) for token in tokens for sku in skus)
        ]
        chaos = Chaos(wire, connections)
        chaos.start()
        with ThreadPoolExecutor(len(shoppers)) as pool:
            for done in [pool.submit(shopper.shop) for shopper in shoppers]:
                done.result()
        chaos.over.set()
        chaos.join()
        assert sum(one.reads + one.writes + one.refused for one in shoppers) == CARTS * SHOPPERS * REQUESTS
        assert not sum(one.refused for one in shoppers), "Redis is not what a cart depends on"
        assert min(chaos.flushes, chaos.cuts) >= 3
        for number, token in enumerate(tokens):
            acknowledged = [one.acknowledged for one in shoppers[number * SHOPPERS : (number + 1) * SHOPPERS]]
            for address in addresses:
                cart = httpx2.get(f"{address}/v1/cart", headers={"X-Cart-Token": token}).json()
                found = {line["sku"]: line["quantity"] for line in cart["items"]}
                assert [found.get(sku, 0) for sku in skus] == acknowledged


@pytest.mark.parametrize("how", ["cut", "silence"])
def test_without_mongo_carts_answer_503_quickly_and_come_back_by_themselves(
    engine: Testbed, make_customer: MakeCustomer, make_product: MakeProduct, how: str
) -> None:
    sku, customer = make_product(), make_customer()
    with (
        Wire(port_of(engine.environment["ORDERS_MONGO_URL"])) as wire,
        engine.another_api(ORDERS_MONGO_URL=through(engine.environment["ORDERS_MONGO_URL"], wire)) as address,
        httpx2.Client(base_url=address, headers=customer.headers, timeout=30) as client,
    ):
        before = client.put(f"/v1/cart/items/{sku}", json={"quantity": 1}).json()
        getattr(wire, how)()
        time.sleep(6)
        calls: tuple[Callable[[], httpx2.Response], ...] = (
            lambda: client.get("/v1/cart"),
            lambda: client.put(f"/v1/cart/items/{sku}", json={"quantity": 2}),
            lambda: client.delete("/v1/cart"),
            lambda: client.post("/v1/cart/merge", headers={"X-Cart-Token": uuid.uuid4().hex}),
        )
        for call in calls:
            began = time.monotonic()
            answer = call()
            assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
            assert int(answer.headers["retry-after"]) > 0
            assert time.monotonic() - began < 2
        assert client.get("/v1/orders").status_code == 200, "the rest of the shop goes on"
        wire.mend()
        deadline = time.monotonic() + 30
        while (answer := client.get("/v1/cart")).status_code != 200:
            assert time.monotonic() < deadline
            time.sleep(0.2)
        assert answer.json() == before
