"""Brands, and the tree of categories."""

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.mysql import insert as mysql_insert

from adapters.mysql.catalog.taxonomy_changes import Kind, note_change
from adapters.mysql.clock import now
from adapters.mysql.constraints import PRIMARY, violated_key
from adapters.mysql.tables.catalog import brands, categories, products
from adapters.mysql.transactions import in_transaction
from domain.errors import CodeTaken, Fault, InvalidFields, NotFound, StaleVersion, TaxonomyInUse
from schemas.catalog import Brand, Category
from schemas.taxonomy import BrandPatch, CategoryPatch, NewBrand, NewCategory

DEEPEST = 10  # levels of the tree
# What the search index shows of a brand or category, and in which field of its products.
_SHOWN = {
    "brand": {"name": "brand_name"},
    "category": {"name": "category_name", "parent": "category_path"},
}


class Taxonomy:
    """Brands, and the tree of categories.

    An edit is one transaction under the lock of the edited row, which also records that its products are to be
    announced. Edits raise NotFound, and StaleVersion unless the row has the expected version, None being any.
    """

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def brands(self, after: tuple[str, str] = ("", ""), limit: int | None = None) -> list[Brand]:
        """The next brands by name; `after` is the name and the code of the one before them."""
        here = sa.tuple_(brands.c.name, brands.c.code) > sa.tuple_(*(sa.literal(part) for part in after))
        query = sa.select(brands).where(here).order_by(brands.c.name, brands.c.code)
        with self._engine.connect() as connection:
            found = connection.execute(query if limit is None else query.limit(limit))
            return [Brand.model_validate(row, from_attributes=True) for row in found]

    def categories(self) -> list[Category]:
        """All categories, siblings in their order."""
        query = sa.select(categories).order_by(categories.c.position, categories.c.name, categories.c.code)
        with self._engine.connect() as connection:
            return [Category.model_validate(row, from_attributes=True) for row in connection.execute(query)]

    def brand(self, code: str) -> Brand | None:
        """One brand."""
        with self._engine.connect() as connection:
            row = connection.execute(sa.select(brands).where(brands.c.code == code)).one_or_none()
        return None if row is None else Brand.model_validate(row, from_attributes=True)

    def category(self, code: str) -> Category | None:
        """One category."""
        with self._engine.connect() as connection:
            row = connection.execute(sa.select(categories).where(categories.c.code == code)).one_or_none()
        return None if row is None else Category.model_validate(row, from_attributes=True)

    def add_brand(self, new: NewBrand) -> Brand:
        """Make a brand; raises CodeTaken."""
        in_transaction(self._engine, lambda connection: _add(connection, brands, new.model_dump()))
        return Brand(**new.model_dump())

    def add_category(self, new: NewCategory) -> Category:
        """Make a category; raises CodeTaken, InvalidFields for a parent that is unknown or too deep in the tree."""

        def add(connection: sa.Connection) -> None:
            if new.parent is not None:
                _check_place(_locked_tree(connection), new.code, new.parent)
            _add(connection, categories, new.model_dump())

        in_transaction(self._engine, add)
        return Category(**new.model_dump())

    def change_brand(self, code: str, patch: BrandPatch, expected: int | None, actor: str) -> Brand:
        """Rename a brand."""
        changes = patch.model_dump(exclude_unset=True)
        row = in_transaction(
            self._engine, lambda connection: _change(connection, "brand", code, changes, expected, actor)
        )
        return Brand(**row)

    def change_category(self, code: str, patch: CategoryPatch, expected: int | None, actor: str) -> Category:
        """Rename a category, or move it with all below it; raises InvalidFields for a place where it cannot be."""
        changes = patch.model_dump(exclude_unset=True)

        def change(connection: sa.Connection) -> dict[str, Any]:
            if changes.get("parent") is not None:
                _check_place(_locked_tree(connection), code, changes["parent"])
            return _change(connection, "category", code, changes, expected, actor)

        return Category(**in_transaction(self._engine, change))

    def remove_brand(self, code: str, expected: int | None) -> None:
        """Delete a brand without products; raises TaxonomyInUse."""
        in_transaction(self._engine, lambda connection: _remove(connection, "brand", code, expected))

    def remove_category(self, code: str, expected: int | None) -> None:
        """Delete an empty category; raises TaxonomyInUse."""
        in_transaction(self._engine, lambda connection: _remove(connection, "category", code, expected))

    def ensure(self, new_brands: Sequence[Brand], new_categories: Sequence[Category]) -> None:
        """Create those that are missing; existing ones stay as they are. A parent comes before its children."""
        moment = now()
        times = {"created_at": moment, "updated_at": moment}
        with self._engine.begin() as connection:
            for brand in new_brands:
                statement = mysql_insert(brands).values(**brand.model_dump(), **times)
                connection.execute(statement.on_duplicate_key_update(code=statement.inserted.code))
            for category in new_categories:
                statement = mysql_insert(categories).values(**category.model_dump(), **times)
                connection.execute(statement.on_duplicate_key_update(code=statement.inserted.code))


def _table(kind: Kind) -> sa.Table:
    return brands if kind == "brand" else categories


def _add(connection: sa.Connection, table: sa.Table, values: Mapping[str, Any]) -> None:
    moment = now()
    try:
        connection.execute(sa.insert(table).values(**values, created_at=moment, updated_at=moment))
    except sa.exc.IntegrityError as error:
        if violated_key(error) != PRIMARY:
            raise
        raise CodeTaken(f"The code {values['code']} is taken.") from error


def _locked(connection: sa.Connection, kind: Kind, code: str, expected: int | None) -> dict[str, Any]:
    table = _table(kind)
    row = connection.execute(sa.select(table).where(table.c.code == code).with_for_update()).mappings().one_or_none()
    if row is None:
        raise NotFound(f"There is no such {kind}.")
    if expected is not None and row["version"] != expected:
        detail = f"The {kind} has version {row['version']}, not {expected}: somebody else has changed it."
        raise StaleVersion(detail, version=row["version"])
    return dict(row)


def _change(
    connection: sa.Connection,
    kind: Kind,
    code: str,
    changes: Mapping[str, Any],
    expected: int | None,
    actor: str,
) -> dict[str, Any]:
    table, before = _table(kind), _locked(connection, kind, code, expected)
    differing = {name: value for name, value in changes.items() if before[name] != value}
    if not differing:
        return before
    differing |= {"version": before["version"] + 1, "updated_at": now()}
    connection.execute(sa.update(table).where(table.c.code == code).values(differing))
    if shown := sorted(field for name, field in _SHOWN[kind].items() if name in differing):
        note_change(connection, kind, code, {"actor": actor, "fields": shown})
    return before | differing


def _remove(connection: sa.Connection, kind: Kind, code: str, expected: int | None) -> None:
    table = _table(kind)
    _locked(connection, kind, code, expected)
    # Whoever assigns a product to it locks its row, so none is added from here on.
    has_products = products.c.brand == code if kind == "brand" else products.c.category == code
    if connection.scalar(sa.select(products.c.code).where(has_products).limit(1)) is not None:
        raise TaxonomyInUse(f"There are products of this {kind}; move them first.")
    if kind == "category" and connection.scalar(sa.select(table.c.code).where(table.c.parent == code).limit(1)):
        raise TaxonomyInUse("There are categories below it; move them first.")
    connection.execute(sa.delete(table).where(table.c.code == code))


def _locked_tree(connection: sa.Connection) -> dict[str, str | None]:
    """Every category with its parent, locked, so that two moves at once cannot make a circle."""
    rows = connection.execute(
        sa.select(categories.c.code, categories.c.parent).order_by(categories.c.code).with_for_update()
    )
    return {row.code: row.parent for row in rows}


def _check_place(parents: Mapping[str, str | None], code: str, parent: str) -> None:
    if parent not in parents:
        raise _misplaced("unknown_category", f"There is no category with the code {parent}.")
    above = _path(parents, parent)
    if code in above:
        raise _misplaced("circle", "A category cannot stand below itself.")
    below = max((len(path) - path.index(code) for one in parents if code in (path := _path(parents, one))), default=1)
    if len(above) + below > DEEPEST:
        raise _misplaced("too_deep", f"The tree has at most {DEEPEST} levels.")


def _path(parents: Mapping[str, str | None], code: str) -> list[str]:
    """From the root down."""
    path = [code]
    while (above := parents.get(path[0])) is not None and above not in path:
        path.insert(0, above)
    return path


def _misplaced(code: str, detail: str) -> InvalidFields:
    return InvalidFields([Fault(pointer="parent", code=code, detail=detail)])
