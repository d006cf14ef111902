"""Products and prices: the Product-Catalog service's table."""

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.mysql import insert

from adapters.mysql.tables import products
from schemas.base import Money
from schemas.catalog import Product

BATCH = 500  # rows per statement: large enough to be quick, far below max_allowed_packet


class Catalog:
    """The truth about what is for sale; the search index is made from it."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def get(self, sku: str) -> Product | None:
        """The product, active or not."""
        return self.get_many([sku]).get(sku)

    def get_many(self, skus: Collection[str]) -> dict[str, Product]:
        """Those of the SKUs that exist."""
        if not skus:
            return {}
        found = self._read(sa.select(products).where(products.c.sku.in_(skus)))
        return {product.sku: product for product in found}

    def page(self, after_sku: str = "", limit: int = BATCH) -> list[Product]:
        """The next products in the order of their SKUs, active or not."""
        return self._read(sa.select(products).where(products.c.sku > after_sku).order_by(products.c.sku).limit(limit))

    def upsert_many(self, changed: Sequence[Product]) -> None:
        """Write all of them in one transaction; one that exists keeps its `created_at`."""
        with self._engine.begin() as connection:
            for start in range(0, len(changed), BATCH):
                statement = insert(products).values([_row(product) for product in changed[start : start + BATCH]])
                kept = {"sku", "created_at"}
                updates = {column.name: column for column in statement.inserted if column.name not in kept}
                connection.execute(statement.on_duplicate_key_update(updates))

    def count(self) -> int:
        """How many products there are, active or not."""
        with self._engine.connect() as connection:
            return connection.scalar(sa.select(sa.func.count()).select_from(products)) or 0

    def _read(self, query: sa.Select[Any]) -> list[Product]:
        with self._engine.connect() as connection:
            return [_product(row) for row in connection.execute(query).mappings()]


def _row(product: Product) -> dict[str, Any]:
    values = product.model_dump(exclude={"price"})
    return {**values, "price": product.price.amount, "currency": product.price.currency}


def _product(row: Mapping[Any, Any]) -> Product:
    values = dict(row)
    price = Money(amount=values.pop("price"), currency=values.pop("currency"))
    moments = {name: values.pop(name).replace(tzinfo=UTC) for name in ("created_at", "updated_at")}
    return Product(price=price, **moments, **values)
