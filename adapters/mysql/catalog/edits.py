"""What staff changes about products: each edit is one transaction under the lock of the product's row."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from adapters.mysql.catalog.products import read_products
from adapters.mysql.catalog.writes import add_product, put_products
from adapters.mysql.tables.catalog import brands, categories, products, variants
from adapters.mysql.transactions import in_transaction
from domain.catalog import ProductStatus
from domain.errors import Fault, NotFound, StaleVersion
from schemas.catalog import Product
from schemas.product_edits import InvalidProduct, NewProduct, ProductPatch, product_of
from schemas.product_patches import patched

_NOT_EDITED = {"version", "created_at", "updated_at"}


class ProductEdits:
    """Creates, changes and archives products; the event of each edit names its actor and the changed fields."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def create(self, new: NewProduct, actor: str) -> Product:
        """Create a product.

        Raises InvalidProduct for an unknown brand or category, SkuTaken when its code or a SKU is not free.
        """
        product = product_of(new, datetime.now(UTC))

        def create(connection: sa.Connection) -> None:
            _check_taxonomy(connection, product)
            add_product(connection, product, {"actor": actor, "fields": _fields(product)})

        in_transaction(self._engine, create)
        return product

    def change(self, number: str, patch: ProductPatch, expected: int | None, actor: str) -> Product:
        """Change the product with this SKU or code as the patch says, unless it no longer has the expected version.

        A patch that changes nothing leaves version and history alone. Raises NotFound, StaleVersion, InvalidProduct
        for what does not fit together or is unknown, SkuTaken.
        """

        def change(connection: sa.Connection) -> Product:
            before = _locked(connection, number)
            _check_version(before, expected)
            after = product_of(patched(before, patch), datetime.now(UTC), before)
            return _put(connection, before, after, actor)

        return in_transaction(self._engine, change)

    def archive(self, number: str, expected: int | None, actor: str) -> Product:
        """Take the product off sale and keep it for the orders that name it; archiving it again changes nothing.

        Raises NotFound, StaleVersion.
        """

        def archive(connection: sa.Connection) -> Product:
            before = _locked(connection, number)
            if before.status is ProductStatus.ARCHIVED:
                return before
            _check_version(before, expected)
            update = {"status": ProductStatus.ARCHIVED, "version": before.version + 1, "updated_at": datetime.now(UTC)}
            return _put(connection, before, before.model_copy(update=update), actor)

        return in_transaction(self._engine, archive)


def _put(connection: sa.Connection, before: Product, after: Product, actor: str) -> Product:
    changed = _fields(after, before)
    if not changed:
        return before
    if not {"brand", "category"}.isdisjoint(changed):
        _check_taxonomy(connection, after)
    put_products(connection, [after], event_data={"actor": actor, "fields": changed})
    return after


def _locked(connection: sa.Connection, number: str) -> Product:
    """The product as it is, its row held until the transaction ends."""
    owner = connection.scalar(sa.select(variants.c.product).where(variants.c.sku == number))
    code = connection.scalar(sa.select(products.c.code).where(products.c.code == (owner or number)).with_for_update())
    if code is None:
        raise NotFound("There is no such product.")
    return read_products(connection, [code])[code]


def _check_version(product: Product, expected: int | None) -> None:
    if expected is not None and product.version != expected:
        detail = f"The product has version {product.version}, not {expected}: somebody else has changed it."
        raise StaleVersion(detail, version=product.version)


def _check_taxonomy(connection: sa.Connection, product: Product) -> None:
    """Read with locks, so that nobody removes a brand or category before the product refers to it."""
    faults = []
    for table, column, code in ((brands, "brand", product.brand), (categories, "category", product.category)):
        found = connection.scalar(sa.select(table.c.code).where(table.c.code == code).with_for_update(read=True))
        if found is None:
            detail = f"There is no {column} with the code {code}."
            faults.append(Fault(pointer=column, code=f"unknown_{column}", detail=detail))
    if faults:
        raise InvalidProduct(faults)


def _fields(after: Product, before: Product | None = None) -> list[str]:
    """The names of the product's fields that differ, all of those it was made with when there was none before."""
    now = after.model_dump(exclude=_NOT_EDITED)
    was: Mapping[str, Any] = {} if before is None else before.model_dump(exclude=_NOT_EDITED)
    return sorted(name for name in now if name not in was or now[name] != was[name])
