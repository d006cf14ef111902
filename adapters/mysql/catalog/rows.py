"""Products as rows, and rows as products."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC
from typing import Any, TypeVar

import sqlalchemy as sa

from adapters.mysql.clock import naive
from schemas.catalog import Image, Price, Product, Variant

Rows = Sequence[sa.Row[Any]]
T = TypeVar("T")


def product_row(product: Product) -> dict[str, Any]:
    """The product itself."""
    values = product.model_dump(mode="json", exclude={"variants", "images", "created_at", "updated_at"})
    return {**values, "created_at": naive(product.created_at), "updated_at": naive(product.updated_at)}


def variant_rows(product: Product) -> list[dict[str, Any]]:
    """Its variants, in their order."""
    return [
        {"product": product.code, "position": position, **variant.model_dump(exclude={"prices"})}
        for position, variant in enumerate(product.variants, start=1)
    ]


def price_rows(product: Product) -> list[dict[str, Any]]:
    """All prices of all its variants."""
    return [
        {
            "sku": variant.sku,
            "currency": price.currency,
            "valid_from": naive(price.valid_from),
            "min_quantity": price.min_quantity,
            "valid_to": naive(price.valid_to) if price.valid_to else None,
            "amount": price.amount,
        }
        for variant in product.variants
        for price in variant.prices
    ]


def image_rows(product: Product) -> list[dict[str, Any]]:
    """Its pictures, in their order."""
    return [
        {"product": product.code, "position": position, **image.model_dump()}
        for position, image in enumerate(product.images, start=1)
    ]


def assemble(heads: Rows, parts: Rows, costs: Rows, pictures: Rows) -> dict[str, Product]:
    """Whole products from the rows of the four tables, each in the order in which it is shown."""
    by_sku = _grouped(costs, "sku")
    variants_of = _grouped(parts, "product")
    images_of = _grouped(pictures, "product")
    return {
        row.code: Product(
            **_fields(row, "created_at", "updated_at") | {"attributes": by_name(row.attributes)},
            variants=[_variant(part, row.options, by_sku[part.sku]) for part in variants_of[row.code]],
            images=[Image(**_fields(picture)) for picture in images_of[row.code]],
        )
        for row in heads
    }


def in_order(options: Mapping[str, str], names: Sequence[str]) -> dict[str, str]:
    """A variant's options as the product orders them: MySQL keeps a JSON object in an order of its own."""
    return {name: options[name] for name in names if name in options} | by_name(options)


def by_name(values: Mapping[str, T]) -> dict[str, T]:
    """The members of a JSON object in an order that neither the server nor who wrote them decides."""
    return dict(sorted(values.items()))


def _variant(row: sa.Row[Any], names: Sequence[str], costs: Rows) -> Variant:
    fields = _fields(row) | {"options": in_order(row.options, names)}
    return Variant(**fields, prices=[Price(**_fields(cost, "valid_from", "valid_to")) for cost in costs])


def _fields(row: sa.Row[Any], *moments: str) -> dict[str, Any]:
    values: dict[str, Any] = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's documented way to a row as a mapping
    return values | {name: values[name].replace(tzinfo=UTC) for name in moments if values[name] is not None}


def _grouped(rows: Iterable[sa.Row[Any]], column: str) -> dict[str, list[sa.Row[Any]]]:
    groups: dict[str, list[sa.Row[Any]]] = defaultdict(list)
    for row in rows:
        groups[getattr(row, column)].append(row)
    return groups
