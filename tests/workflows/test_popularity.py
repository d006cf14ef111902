"""PopularityWorkflow on production's workers: what sells moves up in the search, and nothing is counted twice."""

import uuid
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from temporalio.client import Client

from adapters.connections import Connections
from adapters.mysql.catalog.products import Catalog
from adapters.mysql.catalog.sales import ProductSales
from adapters.mysql.catalog.snapshots import snapshots
from adapters.mysql.clock import now
from adapters.mysql.tables.catalog import product_events
from adapters.mysql.tables.orders import orders
from adapters.search.products import ProductSearch
from domain.orders import OrderStatus
from schemas.product_files import as_edit
from schemas.search import ProductQuery
from tests.workflows.conftest import Order
from workflows.catalog import PopularityWorkflow
from workflows.names import CATALOG_QUEUE


class Shop:
    """Some products that a word of their own finds, in an index of their own."""

    def __init__(self, client: Client, connections: Connections, make_product: Any) -> None:
        self._client, self._connections, self._make = client, connections, make_product
        self._word = f"zq{uuid.uuid4().hex[:10]}"
        self.search = ProductSearch(connections.elasticsearch, f"popular-{self._word}")
        self.search.ensure_index()
        self._skus: list[str] = []

    def product(self, popularity: int) -> str:
        self._skus.append(str(self._make(name=f"Lamp {self._word}", popularity=popularity)))
        return self._skus[-1]

    async def count(self) -> int:
        name = f"popularity-{uuid.uuid4().hex}"
        run = await self._client.execute_workflow(PopularityWorkflow.run, id=name, task_queue=CATALOG_QUEUE)
        return run.changed

    def by_popularity(self) -> list[str]:
        self.search.index_products(snapshots(self._connections.engine, self._skus).values(), refresh=True)
        return [hit.product for hit in self.search.search(ProductQuery(q=self._word, sort="popularity")).items]

    def told(self, sku: str) -> list[Any]:
        mine = sa.and_(product_events.c.product == sku, product_events.c.type == "product.changed")
        with self._connections.engine.connect() as connection:
            return list(connection.scalars(sa.select(product_events.c.data).where(mine)))


@pytest.fixture
def shop(skipping: Client, connections: Connections, make_product: Any) -> Iterator[Shop]:
    shop = Shop(skipping, connections, make_product)
    yield shop
    connections.elasticsearch.indices.delete(index=[*connections.elasticsearch.indices.get(index="popular-*")])


async def test_what_sells_moves_up_until_its_order_is_cancelled(shop: Shop, place: Any) -> None:
    favourite, newcomer = shop.product(popularity=3), shop.product(popularity=0)
    assert shop.by_popularity() == [favourite, newcomer]
    order: Order = await place({newcomer: 5})
    await order.first_answer()
    await order.until(OrderStatus.PROCESSING)
    assert await shop.count() >= 1
    assert shop.by_popularity() == [newcomer, favourite]
    assert shop.told(newcomer) == [{"actor": "system:sales", "fields": ["popularity"]}]
    assert shop.told(favourite) == []
    await order.handle.cancel()
    await order.until(OrderStatus.CANCELLED)
    await shop.count()
    assert shop.by_popularity() == [favourite, newcomer]
    assert len(shop.told(newcomer)) == 2


async def test_counting_again_changes_nothing(shop: Shop, place: Any, connections: Connections) -> None:
    lamp = shop.product(popularity=0)
    order: Order = await place({lamp: 2})
    await order.first_answer()
    await order.until(OrderStatus.PROCESSING)
    await shop.count()
    assert await shop.count() == 0
    assert len(shop.told(lamp)) == 1
    halfway = ProductSales(connections.engine, timedelta(days=30))
    assert halfway.count(lambda *_: None, after=lamp, changed=7) == 7, "goes on where it was"


async def test_what_was_sold_long_ago_does_not_count(shop: Shop, place: Any, connections: Connections) -> None:
    favourite, former = shop.product(popularity=3), shop.product(popularity=0)
    order: Order = await place({former: 5})
    await order.first_answer()
    await order.until(OrderStatus.PROCESSING)
    await shop.count()
    assert shop.by_popularity() == [former, favourite]
    with connections.engine.begin() as connection:
        this = orders.c.id == order.input.order_id
        connection.execute(sa.update(orders).where(this).values(created_at=now() - timedelta(days=31)))
    await shop.count()
    assert shop.by_popularity() == [favourite, former]


async def test_sold_units_are_no_part_of_what_an_edit_or_a_file_says(
    shop: Shop, place: Any, connections: Connections
) -> None:
    lamp = shop.product(popularity=4)
    order: Order = await place({lamp: 3})
    await order.first_answer()
    await order.until(OrderStatus.PROCESSING)
    await shop.count()
    catalog = Catalog(connections.engine)
    kept = catalog.product(lamp)
    assert kept is not None
    assert as_edit(kept)["popularity"] == 4
    catalog.put_many([kept.model_copy(update={"popularity": 1})])
    assert snapshots(connections.engine, [lamp])[lamp].popularity == 1 + 3
