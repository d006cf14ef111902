"""A shelf that runs empty is filled by the supplier, who knows the shop by its events and its API alone."""

from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import pytest

from adapters.connections import Connections
from adapters.mysql.orders.stock import Stock
from dev.testbed import Testbed
from schemas.events import PRODUCTS_TOPIC
from schemas.stock import SetStockRules
from tests.conftest import eventually

UNITS = 7


@pytest.fixture
def supplier(engine: Testbed) -> Iterator[None]:
    engine.start("supplier-simulator", SUPPLIER_DELIVERY_SECONDS="0.2", SUPPLIER_UNITS=str(UNITS))
    yield
    engine.stop("supplier-simulator")


async def test_a_shelf_that_runs_low_and_one_that_is_filled_are_told_on_kafka(
    shopper: Any, make_product: Any, connections: Connections, on_kafka: Callable[..., list[dict[str, Any]]]
) -> None:
    stock = Stock(connections.engine)
    sku = make_product(stock=3)
    stock.set_rules(sku, SetStockRules(low_stock_at=2))

    def told() -> list[tuple[str, int]]:
        news = [one for one in on_kafka(sku, PRODUCTS_TOPIC) if one["type"].startswith("stock.")]
        return [(one["type"], one["data"]["available"]) for one in news]

    async def buy(units: int) -> None:
        answer = await shopper.check_out(await shopper.fill_cart(**{sku: units}))
        assert answer.status_code in (httpx2.codes.CREATED, httpx2.codes.ACCEPTED), answer.text

    expected = [("stock.back", 3)]
    await eventually(told, lambda seen: seen == expected)
    await buy(1)
    expected.append(("stock.low", 2))
    await eventually(told, lambda seen: seen == expected)
    await buy(2)
    expected.append(("stock.out", 0))
    await eventually(told, lambda seen: seen == expected)
    stock.receive([(sku, "BER", 5)], "staff:test", "a delivery")
    expected.append(("stock.back", 5))
    await eventually(told, lambda seen: seen == expected)


@pytest.mark.usefixtures("supplier")
async def test_a_shelf_that_runs_empty_is_filled_once(
    shopper: Any, make_product: Any, connections: Connections
) -> None:
    stock = Stock(connections.engine)

    async def buy(sku: str, units: int) -> None:
        answer = await shopper.check_out(await shopper.fill_cart(**{sku: units}))
        assert answer.status_code in (httpx2.codes.CREATED, httpx2.codes.ACCEPTED), answer.text

    async def filled(sku: str, seconds: float) -> None:
        await eventually(lambda: stock.available([sku])[sku], lambda units: units == UNITS, seconds)

    # A supplier hears only what is told after it began to listen, so the first shelves may stay empty.
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
    await filled(sku, seconds=30)
    brought = [one for one in stock.movements(sku, None, 20).items if one.actor == "service:supplier-simulator"]
    assert [(one.kind, one.quantity, one.reason) for one in brought] == [
        ("received", UNITS, "ordered when stock ran low")
    ]
