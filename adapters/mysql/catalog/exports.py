"""All products for an export: page by page, and the names that its columns need."""

import json
from collections.abc import Iterator
from dataclasses import dataclass

import sqlalchemy as sa

from adapters.mysql.catalog.products import Catalog
from adapters.mysql.tables.catalog import prices, products, variants
from schemas.catalog import Product


@dataclass(frozen=True)
class NamesInUse:
    """Every option, currency and attribute that any product has."""

    options: list[str]
    currencies: list[str]
    attributes: list[str]


def count_after(engine: sa.Engine, code: str) -> int:
    """How many products come after this code."""
    with engine.connect() as connection:
        query = sa.select(sa.func.count()).select_from(products).where(products.c.code > code)
        return connection.scalar(query) or 0


def product_pages(engine: sa.Engine, after: str = "") -> Iterator[list[Product]]:
    """The products after a code in the order of codes, in whatever status; each as it is when its page is read."""
    catalog = Catalog(engine)
    while page := catalog.page(after):
        yield page
        after = page[-1].code


def names_in_use(engine: sa.Engine) -> NamesInUse:
    """The names there are now; the database finds the different ones, so that only they are held."""
    with engine.connect() as connection:
        options = _keys(connection, variants.c.options) | _keys(connection, products.c.options, listed=True)
        attributes = _keys(connection, products.c.attributes)
        currencies = connection.scalars(sa.select(prices.c.currency).distinct()).all()
    return NamesInUse(sorted(options), sorted(currencies), sorted(attributes))


def _keys(connection: sa.Connection, column: sa.Column[object], *, listed: bool = False) -> set[str]:
    found = sa.cast(column, sa.Text) if listed else sa.cast(sa.func.json_keys(column), sa.Text)
    # Byte by byte: to the database's own rule "Colour" is "colour", and one of them would have no column.
    rows = connection.scalars(sa.select(sa.collate(found, "utf8mb4_bin")).distinct()).all()
    return {name for row in rows if row for name in json.loads(row)}
