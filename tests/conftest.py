"""The servers are brought up once per run; every test speaks to real ones."""

import asyncio
import itertools
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import httpx2
import pytest
import pytest_asyncio
import uuid_utils
from temporalio.client import Client

from adapters.connections import Connections, connect
from adapters.mysql.catalog.products import Catalog
from adapters.mysql.catalog.taxonomy import Taxonomy
from adapters.mysql.orders.stock import Stock
from adapters.settings import Settings
from dev.stack import ensure_servers
from dev.testbed import Testbed
from domain.catalog import ProductStatus
from schemas.catalog import Brand, Category, Price, Product, Variant
from schemas.stock import ChangeWarehouse
from temporal_clients.connection import connect_temporal
from tests.fixture_types import PASSWORD, Customer, MakeCustomer, MakeProduct

WAREHOUSES = [("BER", "Berlin", "DE", 1), ("AMS", "Amsterdam", "NL", 2), ("ROT", "Rotterdam", "NL", 3)]
_numbers = itertools.count(1)
T = TypeVar("T")


def _without_traceback(record: logging.LogRecord) -> bool:
    """Writing one for each failed attempt of an activity is a quarter of what a test of an outage costs."""
    if record.exc_info:
        record.msg, record.args, record.exc_info = f"{record.getMessage()}: {record.exc_info[1]!r}", (), None
    return True


logging.getLogger("temporalio.activity").addFilter(_without_traceback)


@pytest.fixture(scope="session")
def bed() -> Iterator[Testbed]:
    """A private engine on the real servers: other people's systems run, our own processes start when asked for."""
    ensure_servers()
    bed = Testbed.create()
    try:
        bed.start("mail", "payment-simulator", "carrier-simulator")
        yield bed
    finally:
        bed.close()


@pytest.fixture(scope="session")
def settings(bed: Testbed) -> Settings:
    return bed.settings


@pytest.fixture(scope="session")
def connections(settings: Settings) -> Iterator[Connections]:
    with connect(settings, pool_size=64) as connections:
        connections.redis.flushdb()
        connections.mongo.client.drop_database(connections.mongo.name)
        Stock(connections.engine).ensure_warehouses(WAREHOUSES)
        Taxonomy(connections.engine).ensure(
            [Brand(code="testbrand", name="Testbrand")], [Category(code="tests", name="Tests")]
        )
        # A busy machine answers late, and no test is about that.
        yield replace(connections, elasticsearch=connections.elasticsearch.options(request_timeout=60))


@contextmanager
def picks_asked_for(connections: Connections, warehouse: str) -> Iterator[None]:
    """For the length of the block, this warehouse has its picks confirmed."""
    stock = Stock(connections.engine)
    stock.change_warehouse(warehouse, ChangeWarehouse(pick_required=True))
    try:
        yield
    finally:
        stock.change_warehouse(warehouse, ChangeWarehouse(pick_required=False))


@pytest.fixture
def rotterdam_asks(connections: Connections) -> Iterator[None]:
    """Rotterdam has its picks confirmed, for the length of a test."""
    with picks_asked_for(connections, "ROT"):
        yield


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def temporal_client(settings: Settings) -> AsyncIterator[Client]:
    client = await connect_temporal(settings)
    async for stale in client.list_workflows("ExecutionStatus = 'Running'"):
        await client.get_workflow_handle(stale.id).terminate("left over from an earlier run of the tests")
    yield client


@pytest.fixture(scope="session")
def engine(bed: Testbed, connections: Connections, temporal_client: Client) -> Testbed:
    """All processes of the engine, as in production."""
    bed.start("order-worker", "notification-worker", "relay", "search-indexer", "api")
    return bed


@pytest.fixture(scope="session")
def api(engine: Testbed) -> Iterator[httpx2.Client]:
    """A client of the running API."""
    with httpx2.Client(base_url=engine.url("API_PORT"), timeout=30) as client:
        yield client


@pytest.fixture(scope="session")
def make_product(connections: Connections) -> MakeProduct:
    def make(stock: dict[str, int] | int = 10, price: int = 1999, **fields: object) -> str:
        number = next(_numbers)
        sku = str(fields.pop("sku", f"TEST-{uuid_utils.uuid7().hex[-10:].upper()}-{number}"))
        moment = datetime.now(UTC)
        active = fields.pop("active", True)
        current = Price(amount=price, currency="EUR", valid_from=moment - timedelta(days=1))
        defaults = {
            "code": sku,
            "name": f"Test product {number}",
            "description": "A product made by a test.",
            "brand": "testbrand",
            "category": "tests",
            "status": ProductStatus.ACTIVE if active else ProductStatus.ARCHIVED,
            "variants": [Variant(sku=sku, weight_grams=500, prices=[current])],
            "created_at": moment,
            "updated_at": moment,
        }
        product = Product.model_validate(defaults | fields)
        Catalog(connections.engine).put_many([product])
        levels = {"BER": stock} if isinstance(stock, int) else stock
        received = [(sku, warehouse, units) for warehouse, units in levels.items() if units]
        if received:
            Stock(connections.engine).receive(received, "staff:test", "made by a test")
        return sku

    return make


@pytest.fixture(scope="session")
def make_customer(api: httpx2.Client) -> MakeCustomer:
    def make() -> Customer:
        email = f"customer-{uuid_utils.uuid7().hex}@shop.example.com"
        user = api.post("/v1/users", json={"email": email, "password": PASSWORD, "name": "Test Customer"})
        assert user.status_code == httpx2.codes.CREATED, user.text
        form = {"grant_type": "password", "username": email, "password": PASSWORD}
        token = api.post("/oauth2/token", data=form)
        assert token.status_code == httpx2.codes.OK, token.text
        headers = {"Authorization": f"Bearer {token.json()['access_token']}"}
        return Customer(user.json()["id"], email, headers)

    return make


@pytest.fixture
def customer(make_customer: MakeCustomer) -> Customer:
    return make_customer()


async def eventually(look: Callable[[], T], wanted: Callable[[T], bool], seconds: float = 120) -> T:
    """Look again until it is as wanted; fails with what was seen last."""
    deadline = asyncio.get_running_loop().time() + seconds
    while True:
        seen = await asyncio.to_thread(look)
        if wanted(seen):
            return seen
        assert asyncio.get_running_loop().time() < deadline, f"still {seen!r} after {seconds} s"
        await asyncio.sleep(0.1)
