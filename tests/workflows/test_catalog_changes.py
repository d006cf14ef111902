"""CatalogChangesWorkflow on production's workers: what changed by itself is announced, and nothing twice."""

import uuid
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from temporalio.client import Client

from adapters.connections import Connections
from adapters.mysql.catalog.products import Catalog
from adapters.mysql.catalog.taxonomy import Taxonomy
from adapters.mysql.tables.catalog import price_watermark, product_events
from schemas.catalog import Announced, Brand, Price
from schemas.taxonomy import BrandPatch
from tests.fixture_types import MakeProduct
from workflows.catalog import CatalogChangesWorkflow
from workflows.names import CATALOG_QUEUE


async def run(client: Client) -> Announced:
    name = f"catalog-changes-{uuid.uuid4().hex}"
    return await client.execute_workflow(CatalogChangesWorkflow.run, id=name, task_queue=CATALOG_QUEUE)


def announced(connections: Connections, product: str) -> list[str]:
    """The events of the product itself, not of its stock."""
    mine = sa.and_(product_events.c.product == product, product_events.c.type.startswith("product."))
    with connections.engine.connect() as connection:
        return list(connection.scalars(sa.select(product_events.c.type).where(mine).order_by(product_events.c.id)))


def put_on_sale(connections: Connections, sku: str, begins: datetime, ends: datetime) -> None:
    product = Catalog(connections.engine).product(sku)
    assert product is not None
    sale = Price(amount=1, currency="EUR", valid_from=begins, valid_to=ends)
    variant = product.variants[0].model_copy(update={"prices": [*product.variants[0].prices, sale]})
    Catalog(connections.engine).put_many([product.model_copy(update={"variants": [variant]})])


async def test_a_price_that_ended_while_no_worker_ran_is_announced_once(
    skipping: Client, connections: Connections, make_product: MakeProduct
) -> None:
    sku, other = make_product(), make_product()
    moment = datetime.now(UTC)
    put_on_sale(connections, sku, moment - timedelta(hours=3), moment - timedelta(hours=1))
    with connections.engine.begin() as connection:  # as if the last look had been two hours ago
        two_hours_ago = (moment - timedelta(hours=2)).replace(tzinfo=None)
        connection.execute(sa.update(price_watermark).values(moment=two_hours_ago, sku=""))
    assert (await run(skipping)).by_prices >= 1
    await run(skipping)
    assert announced(connections, sku) == ["product.created", "product.changed", "product.price_changed"]
    assert announced(connections, other) == ["product.created"]


async def test_the_products_of_a_renamed_brand_are_announced_once(
    skipping: Client, connections: Connections, make_product: MakeProduct
) -> None:
    code = f"b{uuid.uuid4().hex[:12]}"
    shelves = Taxonomy(connections.engine)
    shelves.ensure([Brand(code=code, name="Before")], [])
    skus = [make_product(brand=code) for _ in range(3)]
    shelves.change_brand(code, BrandPatch(name="After"), 1, "staff:x:catalog")
    assert (await run(skipping)).by_taxonomy >= 3
    await run(skipping)
    for sku in skus:
        assert announced(connections, sku) == ["product.created", "product.changed"]
