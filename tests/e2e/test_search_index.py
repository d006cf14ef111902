"""The search index says what the database says: soon after each change, and again soon after an outage."""

import os
import statistics
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import httpx2
import pytest
import uuid_utils

from adapters.connections import Connections
from adapters.events import EventPublisher
from adapters.mysql.catalog.price_changes import PriceChanges
from adapters.mysql.catalog.products import Catalog
from adapters.mysql.orders.stock import Stock
from adapters.search.feeds import Feed, product_feed
from dev.cable import Cable
from dev.stack import control
from dev.stack.environment import settings as stack_settings
from dev.testbed import Testbed
from domain.catalog import ProductStatus
from schemas.catalog import Price, Product, Variant
from schemas.events import PRODUCTS_TOPIC, ProductChanged
from tests.fixture_types import Customer, MakeCustomer, MakeProduct

EDITS, PRODUCTS = 1000, 400
ALONE = "PYTEST_XDIST_WORKER" not in os.environ  # Elasticsearch is everybody's
SOON_SECONDS = 2.0
CONVERGED_SECONDS = 60.0


@pytest.fixture
def cable() -> Iterator[Cable]:
    cable = Cable(int(stack_settings()["ELASTICSEARCH_PORT"]))
    yield cable
    cable.cut()


@pytest.fixture
def feed(connections: Connections) -> Feed:
    # Tests before this one have prices that ended by themselves; the schedule that announces it does not run here.
    PriceChanges(connections.engine).announce(lambda _: None)
    return product_feed(connections.engine, connections.elasticsearch, connections.settings.name_prefix)


IndexerBehind = Callable[[Cable], None]


@pytest.fixture
def indexer_behind(engine: Testbed) -> Iterator[IndexerBehind]:
    """Have the indexer reach Elasticsearch through a cable."""

    def start(cable: Cable) -> None:
        engine.stop("search-indexer")
        engine.start("search-indexer", ORDERS_ELASTICSEARCH_URL=cable.url)

    yield start
    engine.stop("search-indexer")
    engine.start("search-indexer")


@dataclass(frozen=True)
class Outage:
    """Elasticsearch goes away and comes back; `api` asks the one that does."""

    api: httpx2.Client
    begin: Callable[[], None]
    end: Callable[[], None]


@pytest.fixture
def outage(engine: Testbed, api: httpx2.Client, cable: Cable, indexer_behind: IndexerBehind) -> Iterator[Outage]:
    """The server itself is killed where no other tests need it; there our own processes alone lose it."""
    if ALONE:
        yield Outage(api, lambda: control.kill("elasticsearch"), lambda: control.start("elasticsearch"))
        control.start("elasticsearch")
        return
    indexer_behind(cable)
    with (
        engine.another_api(ORDERS_ELASTICSEARCH_URL=cable.url) as address,
        httpx2.Client(base_url=address, timeout=30) as client,
    ):
        yield Outage(client, cable.cut, cable.mend)


def kites(count: int, word: str) -> list[Product]:
    moment = datetime.now(UTC)
    # Not from now on: that a price begins is an event of its own, which would bring the product once more.
    paid = Price(amount=500, currency="EUR", valid_from=moment - timedelta(days=1))
    return [
        Product(
            code=f"KITE-{word.upper()}-{number}",
            name=f"Kite {word} {number}",
            brand="testbrand",
            category="tests",
            status=ProductStatus.ACTIVE,
            variants=[Variant(sku=f"KITE-{word.upper()}-{number}", weight_grams=100, prices=[paid])],
            created_at=moment,
            updated_at=moment,
        )
        for number in range(count)
    ]


def a_word() -> str:
    return f"zq{uuid_utils.uuid7().hex[-10:]}"


def until_same(feed: Feed, seconds: float) -> float:
    """Seconds until every document is as MySQL has it; the comparison is of all of them."""
    begun = time.monotonic()
    while differing := list(feed.differing()):
        assert time.monotonic() - begun < seconds, f"{len(differing)} differ, as {differing[:5]}"
        time.sleep(0.2)
    return time.monotonic() - begun


def assert_unavailable(answer: httpx2.Response) -> None:
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert answer.headers["content-type"] == "application/problem+json"
    assert int(answer.headers["retry-after"]) > 0


def order_one(client: httpx2.Client, sku: str, customer: Customer) -> float:
    """A product is looked at, put into the cart and ordered; in how many seconds."""
    begun = time.monotonic()
    assert client.get(f"/v1/products/{sku}").status_code == 200
    cart = client.put(f"/v1/cart/items/{sku}", json={"quantity": 1}, headers=customer.headers)
    assert cart.status_code == 200
    order = {
        "cart_version": cart.json()["version"],
        "shipping_address": {
            "name": "Ada", "line1": "Straße 1", "city": "Berlin", "postal_code": "10117", "country": "DE"
        },
        "payment_method": "pm_card_visa",
    }  # fmt: skip
    placed = client.post("/v1/checkouts", json=order, headers=customer.headers | {"Idempotency-Key": a_word()})
    assert placed.status_code == 201, placed.text
    return time.monotonic() - begun


def renamed(product: Product, name: str) -> Product:
    return product.model_copy(update={"name": name, "updated_at": datetime.now(UTC)})


@pytest.mark.alone
def test_a_change_is_found_within_two_seconds(
    api: httpx2.Client, connections: Connections, feed: Feed, make_product: MakeProduct
) -> None:
    until_same(feed, CONVERGED_SECONDS)  # the indexer has joined its group
    took = []
    for _ in range(5):
        word = a_word()
        begun = time.monotonic()
        make_product(name=f"Kite {word}")
        while not api.get("/v1/products", params={"q": word, "in_stock": "true"}).json()["items"]:
            assert time.monotonic() - begun < 30
            time.sleep(0.02)
        took.append(time.monotonic() - begun)
    assert statistics.median(took) < SOON_SECONDS, took


@pytest.mark.alone
def test_elasticsearch_stopped_amid_a_thousand_edits_has_them_all_afterwards(
    connections: Connections, feed: Feed, outage: Outage, make_product: MakeProduct, make_customer: MakeCustomer
) -> None:
    catalog, word = Catalog(connections.engine), a_word()
    products, sku, customer = kites(PRODUCTS, word), make_product(), make_customer()
    catalog.put_many(products)
    until_same(feed, CONVERGED_SECONDS)

    def edit(numbers: Iterable[int]) -> None:
        for number in numbers:
            catalog.put_many([renamed(products[number % PRODUCTS], f"Kite {word} edit {number}")])

    edit(range(EDITS // 3))
    outage.begin()
    edit(range(EDITS // 3, EDITS // 2))
    for path in ("/v1/products?q=lamp", "/v1/products/suggest?q=la"):
        assert_unavailable(outage.api.get(path))
    assert outage.api.get(f"/v1/products/{products[0].code}").json()["name"].startswith(f"Kite {word} edit")
    order_one(outage.api, sku, customer)
    edit(range(EDITS // 2, 3 * EDITS // 4))
    made_meanwhile = make_product(name=f"Kite {word} made meanwhile")
    outage.end()
    returned = time.monotonic()
    edit(range(3 * EDITS // 4, EDITS))
    until_same(feed, CONVERGED_SECONDS - (time.monotonic() - returned))
    indexed = feed.index.documents([made_meanwhile, *(product.code for product in products)])
    assert indexed.pop(made_meanwhile).source["name"] == f"Kite {word} made meanwhile"
    assert {document.source["name"] for document in indexed.values()} == {
        f"Kite {word} edit {number}" for number in range(EDITS - PRODUCTS, EDITS)
    }
    assert outage.api.get("/v1/products", params={"q": f"{word} edit", "limit": 1}).json()["total"] == PRODUCTS


def test_a_document_that_the_database_has_not_is_seen(connections: Connections, feed: Feed) -> None:
    until_same(feed, CONVERGED_SECONDS)
    stray, index = f"STRAY-{a_word()}", str(feed.index.current())
    connections.elasticsearch.index(index=index, id=stray, document={"code": stray})
    try:
        assert list(feed.differing()) == [stray]
    finally:
        connections.elasticsearch.delete(index=index, id=stray)
    assert list(feed.differing()) == []


@pytest.mark.parametrize("silent", ["a server that hangs", "a server gone without a word, whose connections stay open"])
def test_the_index_is_as_the_database_within_a_minute_of_the_return_of(
    silent: str, connections: Connections, feed: Feed, cable: Cable, indexer_behind: IndexerBehind
) -> None:
    catalog, word = Catalog(connections.engine), a_word()
    products = kites(50, word)
    indexer_behind(cable)
    catalog.put_many(products)
    until_same(feed, CONVERGED_SECONDS)  # through the cable
    if "hangs" in silent:
        cable.cut()
        catalog.put_many([renamed(product, f"Kite {word} while it was cut") for product in products])
        cable.hang()
    else:
        assert cable.lose() > 0
    catalog.put_many([renamed(product, f"Kite {word} while it was silent") for product in products])
    with pytest.raises(httpx2.ReadTimeout):  # it takes what comes, and says nothing
        httpx2.get(cable.url, timeout=2)
    assert set(feed.differing()) == {product.code for product in products}
    cable.mend()
    # Who has just begun to wait on a dead connection may meet another one after it.
    until_same(feed, CONVERGED_SECONDS * 3 / 4)


@pytest.mark.parametrize("setting", ["index.blocks.write", "index.blocks.read_only_allow_delete"])
def test_what_changes_while_an_index_takes_no_writes_is_written_afterwards(
    connections: Connections, feed: Feed, setting: str
) -> None:
    catalog, word = Catalog(connections.engine), a_word()
    products, indices = kites(3, word), connections.elasticsearch.indices
    catalog.put_many(products)
    until_same(feed, CONVERGED_SECONDS)
    index = str(feed.index.current())
    indices.put_settings(index=index, settings={setting: True})
    try:
        catalog.put_many([renamed(product, f"Kite {word} meanwhile") for product in products])
        time.sleep(3)  # the indexer has tried
        assert set(feed.differing()) == {product.code for product in products}
    finally:
        indices.put_settings(index=index, settings={setting: None})
    until_same(feed, CONVERGED_SECONDS)


def test_while_elasticsearch_is_away_search_says_so_and_the_shop_goes_on(
    engine: Testbed, cable: Cable, make_product: MakeProduct, make_customer: MakeCustomer
) -> None:
    sku, early, late = make_product(), make_customer(), make_customer()
    with (
        engine.another_api(ORDERS_ELASTICSEARCH_URL=cable.url) as address,
        httpx2.Client(base_url=address, timeout=30) as client,
    ):
        for take_away, patience in ((cable.cut, 2.0), (cable.hang, 6.0)):
            take_away()
            for path in ("/v1/products?q=lamp", "/v1/products/suggest?q=la"):
                begun = time.monotonic()
                answer = client.get(path)
                assert time.monotonic() - begun < patience
                assert_unavailable(answer)
        usual = order_one(client, sku, early)
        # More searches hang than there are threads for pages; pages do not wait for them.
        with ThreadPoolExecutor(60) as pool, httpx2.Client(base_url=address, timeout=30) as crowd:
            hanging = [pool.submit(crowd.get, "/v1/products?q=lamp") for _ in range(60)]
            time.sleep(0.3)
            assert order_one(client, sku, late) < 5 + usual
            assert {one.result().status_code for one in hanging} == {503}
        cable.mend()
        assert client.get("/v1/products", params={"q": "lamp"}).status_code == 200


def test_two_indexers_repeated_events_and_a_rebalance_leave_the_same_index(
    engine: Testbed, connections: Connections, feed: Feed
) -> None:
    catalog, stock, word = Catalog(connections.engine), Stock(connections.engine), a_word()
    products = kites(40, word)
    publisher = EventPublisher(connections.settings, f"{connections.settings.name_prefix}{PRODUCTS_TOPIC}")
    with engine.another("search-indexer") as second:
        for turn in range(10):
            catalog.put_many([renamed(product, f"Kite {word} {turn}") for product in products])
            if turn % 3 == 0:
                stock.receive([(product.code, "BER", 5) for product in products], "staff:test", "made by a test")
            old = [_event(product.code, revision) for product in products for revision in (turn + 1, 1)]
            publisher.publish(old[::-1])
            publisher.publish(old)
            if turn == 5:
                engine.kill(second)
        until_same(feed, CONVERGED_SECONDS)
    indexed = feed.index.documents([product.code for product in products])
    assert {document.source["name"] for document in indexed.values()} == {f"Kite {word} 9"}
    assert all(document.source["in_stock"] for document in indexed.values())


def _event(product: str, revision: int) -> ProductChanged:
    return ProductChanged(
        event_id=str(uuid_utils.uuid7()),
        product=product,
        revision=revision,
        type="product.changed",
        occurred_at=datetime.now(UTC),
    )
