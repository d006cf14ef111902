"""One batch of an import: checked against what there is, written whole or refused product by product."""

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from adapters.mysql.catalog.products import read_products
from adapters.mysql.catalog.writes import mark_origin, put_products
from adapters.mysql.tables.catalog import brands, categories, products, variants
from schemas.catalog import Product, Variant
from schemas.product_edits import InvalidProduct, checked, product_of
from schemas.product_files import FileProduct, RowFault, laid_over

_Pair = tuple[FileProduct, Product]
_NUMBER = re.compile(r"[A-Z0-9][A-Z0-9._-]{0,63}")


@dataclass(frozen=True)
class Source:
    """Where products come from; `create_taxonomy` makes missing brands and categories, None refuses them."""

    import_id: str
    actor: str
    create_taxonomy: Callable[[Collection[str], Collection[str]], None] | None = None


@dataclass
class Outcome:
    """What became of a batch: products by what was done, rows that failed and why."""

    created: int = 0
    updated: int = 0
    unchanged: int = 0
    failed: int = 0
    faults: list[RowFault] = field(default_factory=list)


def write_batch(connection: sa.Connection, batch: Sequence[FileProduct], source: Source, moment: datetime) -> Outcome:
    """Write what can be written, in the caller's transaction.

    Raises SkuTaken or an IntegrityError when somebody else took a number meanwhile: then the whole may be tried again.
    """
    readable = [given for given in batch if not given.faults]
    existing = _Existing.read(connection, readable, source)
    made = [(given, existing.checked(given, moment)) for given in readable]
    accepted = [(given, product) for given, product in made if product is not None]
    if source.create_taxonomy:
        missing = (
            {p.brand for _, p in accepted} - existing.brands,
            {p.category for _, p in accepted} - existing.categories,
        )
        if any(missing):
            source.create_taxonomy(*missing)
    changed: list[_Pair] = []
    same: list[_Pair] = []
    for given, product in accepted:
        (same if _alike(existing.before.get(product.code), product) else changed).append((given, product))
    event_data = {"actor": source.actor, "import": source.import_id}
    new = put_products(connection, [product for _, product in changed], _origin(changed, source), event_data)
    mark_origin(connection, [product for _, product in same], _origin(same, source))
    outcome = Outcome(created=len(new), updated=len(changed) - len(new), unchanged=len(same))
    for given in batch:
        if given.faults:
            outcome.failed += len(given.lines)
            outcome.faults += _of_every_line(given)
    return outcome


@dataclass
class _Existing:
    """What the database has of the products of a batch, and what earlier rows of the batch have added."""

    source: Source
    before: Mapping[str, Product]
    owners: Mapping[str, Any]
    codes: Collection[str]
    begun: Mapping[str, int]
    brands: set[str]
    categories: set[str]
    seen: dict[str, tuple[str, int]] = field(default_factory=dict)

    @classmethod
    def read(cls, connection: sa.Connection, batch: Sequence[FileProduct], source: Source) -> "_Existing":
        """Look everything up at once; products that exist stay locked until the end of the transaction."""
        codes = _numbers(given.code for given in batch)
        skus = _numbers(sku for given in batch for sku in given.skus)
        locked = sa.select(products.c.code).where(products.c.code.in_(codes)).order_by(products.c.code)
        known = connection.scalars(locked.with_for_update()).all()
        whose = sa.select(variants.c.sku, variants.c.product, variants.c.import_id, variants.c.import_line)
        owners = connection.execute(whose.where(variants.c.sku.in_(skus | codes))).all()
        others = connection.scalars(sa.select(products.c.code).where(products.c.code.in_(skus))).all()
        mine = connection.execute(
            sa.select(variants.c.product, sa.func.min(variants.c.import_line).label("line"))
            .where(variants.c.product.in_(known), variants.c.import_id == source.import_id)
            .group_by(variants.c.product)
        )
        return cls(
            source=source,
            before=read_products(connection, known),
            owners={row.sku: row for row in owners},
            codes=set(others),
            begun={row.product: row.line for row in mine},
            brands=_existing_codes(connection, brands, {str((given.data or {}).get("brand")) for given in batch}),
            categories=_existing_codes(
                connection, categories, {str((given.data or {}).get("category")) for given in batch}
            ),
        )

    def checked(self, given: FileProduct, moment: datetime) -> Product | None:
        """The product it makes; None when it is refused, with the reasons noted."""
        before = self.before.get(given.code or "")
        whole = laid_over(before, given)
        try:
            product = product_of(checked(whole), moment, before)
        except InvalidProduct as error:
            for fault in error.faults:
                given.refuse(fault.pointer, fault.code, fault.detail, whole)
            return None
        self._check_taxonomy(given, product, before)
        self._check_numbers(given, product)
        if given.faults:
            return None
        for variant, line in _with_lines(given, product):
            self.seen[variant.sku] = (product.code, line)
        self.seen.setdefault(product.code, (product.code, given.lines[0]))
        return product

    def _check_taxonomy(self, given: FileProduct, product: Product, before: Product | None) -> None:
        if self.source.create_taxonomy:
            return
        if product.brand not in self.brands and not (before and before.brand == product.brand):
            given.refuse("brand", "unknown_brand", f"There is no brand {product.brand}.")
        if product.category not in self.categories and not (before and before.category == product.category):
            given.refuse("category", "unknown_category", f"There is no category {product.category}.")

    def _check_numbers(self, given: FileProduct, product: Product) -> None:
        """Codes and SKUs are one namespace, and each stands in the file once."""
        for place, variant in enumerate(product.variants):
            self._check_number(given, product.code, variant.sku, f"variants/{place}/sku")
        self._check_number(given, product.code, product.code, "code")
        line = self.begun.get(product.code) or self.seen.get(product.code, (None, None))[1]
        if line is not None and not given.faults:
            given.refuse("code", "product_again", f"Line {line} has it already; all its rows must follow each other.")

    def _check_number(self, given: FileProduct, code: str, number: str, pointer: str) -> None:
        owner = self.owners.get(number)
        earlier = self.seen.get(number)
        if owner and owner.import_id == self.source.import_id:
            earlier = (owner.product, owner.import_line)
        of = owner.product if owner else number if number in self.codes else code
        if earlier and (pointer != "code" or earlier[0] != code):
            given.refuse(pointer, "duplicate_sku", f"Line {earlier[1]} of this file has this number already.")
        elif of != code:
            given.refuse(pointer, "sku_taken", f"This number belongs to the product {of}.")


def _numbers(given: Any) -> set[str]:
    """Those that can be numbers at all, so that nothing else is asked for."""
    return {number for number in given if isinstance(number, str) and _NUMBER.fullmatch(number)}


def _existing_codes(connection: sa.Connection, table: sa.Table, codes: Collection[str]) -> set[str]:
    valid = [code for code in codes if code.isascii() and len(code) <= 64]
    return set(connection.scalars(sa.select(table.c.code).where(table.c.code.in_(valid))))


def _alike(before: Product | None, after: Product) -> bool:
    """Whether writing it would change nothing. A variant that is not named counts unless it is inactive already."""
    if before is None:
        return False
    named = {variant.sku for variant in after.variants}
    kept = [_ordered(variant) for variant in before.variants if variant.active or variant.sku in named]
    same = {"version": before.version, "updated_at": before.updated_at}
    return after.model_copy(
        update=same | {"variants": [_ordered(variant) for variant in after.variants]}
    ) == before.model_copy(update={"variants": kept})


def _ordered(variant: Variant) -> Variant:
    by_begin = sorted(variant.prices, key=lambda price: (price.currency, price.min_quantity, price.valid_from))
    return variant.model_copy(update={"prices": by_begin})


def _origin(pairs: Sequence[_Pair], source: Source) -> dict[str, tuple[str, int]]:
    return {
        variant.sku: (source.import_id, line)
        for given, product in pairs
        for variant, line in _with_lines(given, product)
    }


def _with_lines(given: FileProduct, product: Product) -> Iterator[tuple[Variant, int]]:
    """Each variant and its line; variants that a line leaves as they are have the line of their product."""
    for place, variant in enumerate(product.variants):
        yield variant, given.lines[min(place, len(given.lines) - 1)]


def _of_every_line(given: FileProduct) -> list[RowFault]:
    """A product is written whole or not at all, so every one of its lines says why it was not."""
    reported = {fault.line for fault in given.faults}
    cause = given.faults[0].line
    message = f"Not written, because line {cause} of the same product is not acceptable."
    rest = [line for line in dict.fromkeys(given.lines) if line not in reported]
    return [*given.faults, *(RowFault(line, "product", "product_refused", message) for line in rest)]
