"""How whole products are written, many at a time, in the caller's transaction, with their events."""

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.mysql import insert as mysql_insert

from adapters.mysql.bulk import insert_rows
from adapters.mysql.catalog import rows
from adapters.mysql.catalog.events import ProductAnnouncement, announce
from adapters.mysql.constraints import PRIMARY, violated_key
from adapters.mysql.tables.catalog import prices, product_images, products, variants
from domain.catalog import ProductStatus
from domain.errors import SkuTaken
from domain.events import EventType
from schemas.catalog import Product

Origin = dict[str, tuple[str, int]]  # SKU → import id and line
# A literal, because the driver takes no parameter behind the rows it writes many of at once.
_NEXT_VERSION = products.c.version + sa.literal_column("1")


def put_products(
    connection: sa.Connection,
    changed: Sequence[Product],
    origin: Origin | None = None,
    event_data: Mapping[str, object] | None = None,
) -> set[str]:
    """Write the products as they are given and announce them; answers the codes that were new.

    A row that exists keeps its `created_at`, and its version is one more than it was, whatever the product says. A
    variant no longer named stays, because stock and orders know it, but is no longer active. `origin` says which line
    of which import a SKU came from, `event_data` what the events carry: `actor`, `fields`.

    Raises SkuTaken when a code or a SKU belongs to another product; the transaction must then be rolled back.
    """
    if not changed:
        return set()
    ordered = sorted(changed, key=lambda product: product.code)
    known = _statuses(connection, [product.code for product in ordered])
    heads = [rows.product_row(product) for product in ordered]
    _upsert(connection, products, heads, keep={"code", "created_at"}, version=_NEXT_VERSION)
    _clear(connection, [product for product in ordered if product.code in known])
    _put_parts(connection, ordered, origin or {})
    _announce(connection, ordered, known, event_data)
    return {product.code for product in ordered if product.code not in known}


def add_product(connection: sa.Connection, product: Product, event_data: Mapping[str, object]) -> None:
    """Write a product that must be new, and announce it. Raises SkuTaken, as `put_products` does."""
    try:
        connection.execute(sa.insert(products), rows.product_row(product))
    except sa.exc.IntegrityError as error:
        if violated_key(error) != PRIMARY:
            raise
        raise _taken(product.code) from error
    _put_parts(connection, [product], {})
    _announce(connection, [product], {}, event_data)


def mark_origin(connection: sa.Connection, unchanged: Sequence[Product], origin: Origin) -> None:
    """Note the import and line of SKUs whose products have not changed."""
    values = [row for product in unchanged for row in _with_origin(rows.variant_rows(product), origin)]
    _upsert(connection, variants, values, keep=set(variants.c.keys()) - {"import_id", "import_line"})


def _with_origin(made: list[dict[str, Any]], origin: Origin) -> list[dict[str, Any]]:
    for row in made:
        row["import_id"], row["import_line"] = origin.get(row["sku"], (None, None))
    return made


def _put_parts(connection: sa.Connection, ordered: Sequence[Product], origin: Origin) -> None:
    _put_variants(connection, ordered, origin)
    _check_numbers(connection, ordered)
    _put_prices(connection, ordered)
    _put_images(connection, ordered)


def _announce(
    connection: sa.Connection,
    ordered: Sequence[Product],
    known: Mapping[str, str],
    event_data: Mapping[str, object] | None,
) -> None:
    announcements = [
        ProductAnnouncement(product.code, _event_type(product, known.get(product.code)), event_data or {})
        for product in ordered
    ]
    announce(connection, announcements)


def _statuses(connection: sa.Connection, codes: Sequence[str]) -> dict[str, str]:
    found = connection.execute(
        sa.select(products.c.code, products.c.status)
        .where(products.c.code.in_(codes))
        .order_by(products.c.code)
        .with_for_update()
    )
    return {row.code: row.status for row in found}


def _event_type(product: Product, before: str | None) -> EventType:
    if before is None:
        return EventType.PRODUCT_CREATED
    if product.status is ProductStatus.ARCHIVED and before != ProductStatus.ARCHIVED:
        return EventType.PRODUCT_ARCHIVED
    return EventType.PRODUCT_CHANGED


def _clear(connection: sa.Connection, known: Sequence[Product]) -> None:
    """Remove what the products no longer have; new ones have nothing, and then it costs nothing."""
    if not known:
        return
    codes = [product.code for product in known]
    skus = [variant.sku for product in known for variant in product.variants]
    removed = sa.and_(variants.c.product.in_(codes), variants.c.sku.not_in(skus))
    connection.execute(sa.update(variants).where(removed).values(active=False))
    connection.execute(sa.delete(prices).where(prices.c.sku.in_(skus)))
    connection.execute(sa.delete(product_images).where(product_images.c.product.in_(codes)))


def _put_variants(connection: sa.Connection, changed: Sequence[Product], origin: Origin) -> None:
    values = [row for product in changed for row in _with_origin(rows.variant_rows(product), origin)]
    # A SKU never changes its product, so that `_check_numbers` still sees which product it belonged to.
    _upsert(connection, variants, values, keep={"sku", "product"})


def _check_numbers(connection: sa.Connection, changed: Sequence[Product]) -> None:
    """Codes and SKUs are one namespace. Read with locks, so that one of two transactions that take a number waits."""
    owner = {variant.sku: product.code for product in changed for variant in product.variants}
    codes = {product.code for product in changed}
    found = connection.execute(
        sa.select(variants.c.sku, variants.c.product)
        .where(variants.c.sku.in_(owner.keys() | codes))
        .order_by(variants.c.sku)
        .with_for_update(read=True)
    )
    for row in found:
        if row.product != owner.get(row.sku, row.sku):
            raise _taken(row.sku)
    others = connection.scalars(
        sa.select(products.c.code)
        .where(products.c.code.in_(owner.keys()))
        .order_by(products.c.code)
        .with_for_update(read=True)
    )
    for code in others:
        if owner[code] != code:
            raise _taken(code)


def _taken(number: str) -> SkuTaken:
    return SkuTaken(f"The number {number} belongs to another product.", sku=number)


def _put_prices(connection: sa.Connection, changed: Sequence[Product]) -> None:
    insert_rows(connection, sa.insert(prices), [row for product in changed for row in rows.price_rows(product)])


def _put_images(connection: sa.Connection, changed: Sequence[Product]) -> None:
    pictures = [row for product in changed for row in rows.image_rows(product)]
    insert_rows(connection, sa.insert(product_images), pictures)


def _upsert(
    connection: sa.Connection,
    table: sa.Table,
    values: Sequence[dict[str, Any]],
    keep: set[str],
    **instead: sa.ColumnElement[Any],
) -> None:
    if not values:
        return
    statement = mysql_insert(table)
    updates = {name: statement.inserted[name] for name in values[0] if name not in keep}
    insert_rows(connection, statement.on_duplicate_key_update(updates | instead), values)
