"""Products as the search index knows them: catalog, stock and revision, read in one consistent snapshot."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

import sqlalchemy as sa

from adapters.mysql.catalog.products import read_products
from adapters.mysql.catalog.sales import sold_lately
from adapters.mysql.clock import now
from adapters.mysql.tables.catalog import brands, categories, product_revisions, products
from adapters.mysql.tables.stock import stock, stock_rules
from schemas.catalog import Product, Variant
from schemas.search import IndexedProduct

PAGE = 500
_MOST_POPULAR = 2**31 - 1  # what the index holds


def next_codes(engine: sa.Engine, after: str, limit: int = PAGE) -> Sequence[str]:
    """The codes of the next products in order."""
    with engine.connect() as connection:
        query = sa.select(products.c.code).where(products.c.code > after).order_by(products.c.code)
        return connection.scalars(query.limit(limit)).all()


def count(engine: sa.Engine) -> int:
    """How many products there are, in whatever status."""
    with engine.connect() as connection:
        return connection.scalar(sa.select(sa.func.count()).select_from(products)) or 0


def snapshots(engine: sa.Engine, codes: Collection[str]) -> dict[str, IndexedProduct]:
    """Those of the products that exist, each with every change up to its revision and none after.

    REPEATABLE READ makes all reads see the database as it was at the first of them.
    """
    moment = now()
    with engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection, connection.begin():
        found = read_products(connection, codes)
        revisions = connection.execute(
            sa.select(product_revisions.c.product, product_revisions.c.revision).where(
                product_revisions.c.product.in_(codes)
            )
        )
        revision_of = {row.product: row.revision for row in revisions}
        names = {row.code: row.name for row in connection.execute(sa.select(brands.c.code, brands.c.name))}
        categories_by_code = {row.code: row for row in connection.execute(sa.select(categories))}
        skus = [variant.sku for product in found.values() for variant in product.variants]
        sellable = _sellable(connection, skus)
        sold = sold_lately(connection, codes)
    parents = {code: row.parent for code, row in categories_by_code.items()}
    indexed = {}
    for code, product in found.items():
        path = path_to(product.category, parents)
        indexed[code] = _indexed(product, revision_of.get(code, 0), sellable, moment).model_copy(
            update={
                "brand_name": names[product.brand],
                "category_name": categories_by_code[product.category].name,
                "category_path": path,
                "category_names": [categories_by_code[step].name for step in path],
                "popularity": min(product.popularity + sold.get(code, 0), _MOST_POPULAR),
            }
        )
    return indexed


def path_to(category: str, parents: Mapping[str, str | None]) -> list[str]:
    """The codes from the root of the tree down to the category."""
    path: list[str] = []
    step: str | None = category
    while step is not None and step not in path:
        path.insert(0, step)
        step = parents.get(step)
    return path


def _sellable(connection: sa.Connection, skus: Sequence[str]) -> set[str]:
    """The SKUs of which a unit can be ordered now, from stock or on backorder."""
    if not skus:
        return set()
    available = sa.func.sum(stock.c.on_hand - stock.c.reserved)
    inside = sa.select(stock.c.sku).where(stock.c.sku.in_(skus)).group_by(stock.c.sku).having(available > 0)
    later = sa.select(stock_rules.c.sku).where(stock_rules.c.sku.in_(skus), stock_rules.c.backorderable)
    return set(connection.scalars(inside)) | set(connection.scalars(later))


def _indexed(product: Product, revision: int, sellable: Collection[str], moment: datetime) -> IndexedProduct:
    active = [variant for variant in product.variants if variant.active]
    choices = [*(variant for variant in active if variant.sku in sellable), *active, *product.variants]
    picture = next((image.url for image in product.images), None)
    return IndexedProduct(
        revision=revision,
        code=product.code,
        sku=choices[0].sku if choices else product.code,
        skus=[variant.sku for variant in active],
        barcodes=[variant.barcode for variant in active if variant.barcode],
        name=product.name,
        description=product.description,
        brand=product.brand,
        brand_name="",
        category=product.category,
        category_name="",
        category_path=[],
        category_names=[],
        attributes=product.attributes,
        option_values=sorted({value for variant in active for value in variant.options.values()}),
        prices=_lowest(active, moment),
        in_stock=any(variant.sku in sellable for variant in active),
        popularity=product.popularity,
        status=product.status,
        image_url=picture,
        created_at=product.created_at,
    )


def _lowest(active: Sequence[Variant], moment: datetime) -> dict[str, int]:
    """Per currency, what the cheapest variant costs at the moment."""
    lowest: dict[str, int] = {}
    for variant in active:
        costs: dict[str, int] = {}
        for price in sorted(variant.prices, key=lambda price: price.valid_from):
            begun = price.valid_from.replace(tzinfo=None) <= moment
            if (
                begun
                and price.min_quantity == 1
                and (price.valid_to is None or price.valid_to.replace(tzinfo=None) > moment)
            ):
                costs[price.currency] = price.amount
        for currency, amount in costs.items():
            lowest[currency] = min(amount, lowest.get(currency, amount))
    return lowest
