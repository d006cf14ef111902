"""Products with their variants, prices and images: the Product-Catalog service's truth."""

from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from adapters.mysql.catalog import rows
from adapters.mysql.catalog.writes import put_products
from adapters.mysql.tables.catalog import prices, product_images, products, variants
from domain.catalog import ProductStatus, variant_name
from schemas.base import Money
from schemas.catalog import BASE_CURRENCY, Offer, Product

PAGE = 500


class Catalog:
    """What is for sale, at what price."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def product(self, number: str) -> Product | None:
        """The product that has this SKU among its variants, or this code; in whatever status."""
        with self._engine.connect() as connection:
            owner = connection.scalar(sa.select(variants.c.product).where(variants.c.sku == number))
            return read_products(connection, [owner or number]).get(owner or number)

    def products(self, codes: Collection[str]) -> dict[str, Product]:
        """Those of the codes that exist."""
        with self._engine.connect() as connection:
            return read_products(connection, codes)

    def page(self, after_code: str = "", limit: int = PAGE) -> list[Product]:
        """The next products in the order of their codes, in whatever status."""
        with self._engine.connect() as connection:
            query = sa.select(products.c.code).where(products.c.code > after_code).order_by(products.c.code)
            codes = connection.scalars(query.limit(limit)).all()
            found = read_products(connection, codes)
        return [found[code] for code in codes if code in found]

    def count(self) -> int:
        """How many products there are, in whatever status."""
        with self._engine.connect() as connection:
            return connection.scalar(sa.select(sa.func.count()).select_from(products)) or 0

    def offer(self, sku: str) -> Offer | None:
        """What the SKU is offered for now, whether it is for sale or not."""
        return self.offers([sku]).get(sku)

    def offers(
        self, skus: Collection[str], currency: str = BASE_CURRENCY, at: datetime | None = None
    ) -> dict[str, Offer]:
        """Those of the SKUs that exist, with their price at a moment (by default now)."""
        if not skus:
            return {}
        moment = (at or datetime.now(UTC)).astimezone(UTC).replace(tzinfo=None)
        with self._engine.connect() as connection:
            found = connection.execute(
                sa.select(
                    variants,
                    products.c.name,
                    products.c.status,
                    products.c.tax_class,
                    products.c.options.label("option_names"),
                )
                .join(products, products.c.code == variants.c.product)
                .where(variants.c.sku.in_(skus))
            ).all()
            valid = connection.execute(
                sa.select(prices.c.sku, prices.c.min_quantity, prices.c.amount)
                .where(
                    prices.c.sku.in_(skus),
                    prices.c.currency == currency,
                    prices.c.valid_from <= moment,
                    sa.or_(prices.c.valid_to.is_(None), prices.c.valid_to > moment),
                )
                .order_by(prices.c.valid_from)
            ).all()
        tiers: dict[str, dict[int, int]] = {}
        for row in valid:
            tiers.setdefault(row.sku, {})[row.min_quantity] = row.amount  # the latest begun comes last
        return {row.sku: _offer(row, tiers.get(row.sku, {}), currency) for row in found}

    def put_many(self, changed: Sequence[Product]) -> None:
        """Write whole products in one transaction; one that exists keeps its `created_at`.

        Their brands and categories must exist. A variant that is no longer named is kept, but no longer active.
        """
        with self._engine.begin() as connection:
            put_products(connection, changed)


def _offer(row: sa.Row[Any], tiers: dict[int, int], currency: str) -> Offer:
    amount = tiers.get(1)
    return Offer(
        sku=row.sku,
        product=row.product,
        name=variant_name(row.name, rows.in_order(row.options, row.option_names)),
        price=None if amount is None else Money(amount=amount, currency=currency),
        tiers=sorted(tiers.items()),
        weight_grams=row.weight_grams,
        tax_class=row.tax_class,
        active=row.active and row.status == ProductStatus.ACTIVE,
    )


def read_products(connection: sa.Connection, codes: Iterable[str]) -> dict[str, Product]:
    """Whole products by code, on the caller's connection; those that do not exist are left out."""
    requested = list(codes)
    if not requested:
        return {}
    heads = connection.execute(sa.select(products).where(products.c.code.in_(requested))).all()
    parts = connection.execute(
        sa.select(variants)
        .where(variants.c.product.in_(requested))
        .order_by(variants.c.product, variants.c.position, variants.c.sku)
    ).all()
    costs = connection.execute(
        sa.select(prices)
        .join(variants, variants.c.sku == prices.c.sku)
        .where(variants.c.product.in_(requested))
        .order_by(prices.c.currency, prices.c.min_quantity, prices.c.valid_from)
    ).all()
    pictures = connection.execute(
        sa.select(product_images)
        .where(product_images.c.product.in_(requested))
        .order_by(product_images.c.product, product_images.c.position)
    ).all()
    return rows.assemble(heads, parts, costs, pictures)
