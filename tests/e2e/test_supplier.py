"""Stock that runs out is refilled by the supplier, who knows the shop by its events and its API alone."""

from collections.abc import Callable, Iterator

import httpx2
import pytest

from adapters.connections import Connections
from adapters.mysql.orders.stock import Stock
from dev.testbed import Testbed
from schemas.events import PRODUCTS_TOPIC
from schemas.stock import SetStockRules
from tests.conftest import eventually
from tests.e2e.conftest import Shopper
from tests.fixture_types import Json, MakeProduct

UNITS = 7


@pytest.fixture
def supplier(engine: Testbed) -> Iterator[None]:
    engine.start("supplier-simulator", SUPPLIER_DELIVERY_SECONDS="0.2", SUPPLIER_UNITS=str(UNITS))
    yield
    engine.stop("supplier-simulator")


async def test_stock_that_runs_low_and_stock_that_comes_back_are_on_kafka(
    shopper: Shopper, make_product: MakeProduct, connections: Connections, on_kafka: Callable[..., list[Json]]
) -> None:
    stock = Stock(connections.engine)
    sku = make_product(stock=3)
    stock.set_rules(sku, SetStockRules(low_stock_at=2))

    def published() -> list[tuple[str, int]]:
        events = [event for event in on_kafka(sku, PRODUCTS_TOPIC) if event["type"].startswith("stock.")]
        return [(event["type"], event["data"]["available"]) for event in events]

    async def buy(units: int) -> None:
        answer = await shopper.check_out(await shopper.fill_cart(**{sku: units}))
        assert answer.status_code in (httpx2.codes.CREATED, httpx2.codes.ACCEPTED), answer.text

    expected = [("stock.back", 3)]
    await eventually(published, lambda seen: seen == expected)
    await buy(1)
    expected.append(("stock.low", 2))
    await eventually(published, lambda seen: seen == expected)
    await buy(2)
    expected.append(("stock.out", 0))
    await eventually(published, lambda seen: seen == expected)
    stock.receive([(sku, "BER", 5)], "staff:test", "a delivery")
    expected.append(("stock.back", 5))
    await eventually(published, lambda seen: seen == expected)


@pytest.mark.usefixtures("supplier")
async def test_stock_that_runs_out_is_refilled_once(
    shopper: Shopper, make_product: MakeProduct, connections: Connections
) -> None:
    stock = Stock(connections.engine)

    async def buy(sku: str, units: int) -> None:
        answer = await shopper.check_out(await shopper.fill_cart(**{sku: units}))
        assert answer.status_code in (httpx2.codes.CREATED, httpx2.codes.ACCEPTED), answer.text

    async def filled(sku: str, seconds: float) -> None:
        await eventually(lambda: stock.available([sku])[sku], lambda units: units == UNITS, seconds)

    # A supplier sees only what is published after it began to listen, so the first products may stay out of stock.
    for attempt in range(15):
        sku = make_product(stock=1)
        await buy(sku, 1)
        try:
            await filled(sku, seconds=4)
        except AssertionError:
            assert attempt < 14, "nobody delivers"
            continue
        break

    sku = make_product(stock=2)
    await buy(sku, 1)
    await buy(sku, 1)
    await filled(sku, seconds=120)
    brought = [one for one in stock.movements(sku, None, 20).items if one.actor == "service:supplier-simulator"]
    assert [(one.kind, one.quantity, one.reason) for one in brought] == [
        ("received", UNITS, "ordered when stock ran low")
    ]
