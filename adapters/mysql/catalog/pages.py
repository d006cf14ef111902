"""The page of one product, in two statements: what it is, and what its variants cost and how many there are."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from typing import Any

import sqlalchemy as sa

from adapters.mysql.catalog.rows import by_name, in_order
from adapters.mysql.clock import naive
from adapters.mysql.tables.catalog import brands, categories, prices, product_images, products, variants
from adapters.mysql.tables.stock import stock, stock_rules
from domain.catalog import PriceNow, ProductStatus, price_at
from schemas.base import Money
from schemas.catalog import BASE_CURRENCY, Image, Price
from schemas.product_views import CategoryStep, Offered, ProductView, QuantityPrice, VariantView

_DEEPEST = 20  # no tree is; it ends the walk should a circle ever get into it


@dataclass(frozen=True)
class _Viewer:
    """In which currency, at which moment, and for whom."""

    currency: str
    moment: datetime
    for_staff: bool


class ProductPages:
    """Reads pages from MySQL alone, so that they are there while the search is not."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def page(
        self, number: str, currency: str = BASE_CURRENCY, at: datetime | None = None, for_staff: bool = False
    ) -> ProductView | None:
        """The product with this SKU or code, at a moment (by default now); None when there is none to show.

        Staff sees drafts and archived products too, variants that are no longer active, and every price.
        """
        viewer = _Viewer(currency, (at or datetime.now(UTC)).astimezone(UTC), for_staff)
        with self._engine.connect() as connection:
            # The version is read before the rest: an editor who saw old parts under a new version would undo a change.
            head = connection.execute(_HEAD, {"number": number}).one_or_none()
            if head is None or not (for_staff or head.status == ProductStatus.ACTIVE):
                return None
            parameters = (
                {"code": head.code}
                if for_staff
                else {"code": head.code, "currency": currency, "at": naive(viewer.moment)}
            )
            parts = connection.execute(_PARTS[for_staff], parameters).all()
        shown = [_variant(list(rows), head.options, viewer) for _, rows in groupby(parts, lambda row: row.sku)]
        return _view(head, shown, number) if shown else None


def _head() -> sa.Select[Any]:
    """The product with its brand, its path through the category tree and its pictures, as one row."""
    number = sa.bindparam("number", type_=products.c.code.type)
    owner = sa.select(variants.c.product).where(variants.c.sku == number).scalar_subquery()
    this = sa.or_(products.c.code == number, products.c.code == owner)
    path = (
        sa.select(categories.c.code, categories.c.name, categories.c.parent, sa.literal(0).label("height"))
        .join(products, products.c.category == categories.c.code)
        .where(this)
        .cte("path", recursive=True)
    )
    path = path.union_all(
        sa.select(categories.c.code, categories.c.name, categories.c.parent, path.c.height + 1)
        .join(path, path.c.parent == categories.c.code)
        .where(path.c.height < _DEEPEST)
    )
    steps = sa.select(_json_list(height=path.c.height, code=path.c.code, name=path.c.name)).scalar_subquery()
    pictures = product_images.c
    images = (
        sa.select(_json_list(position=pictures.position, url=pictures.url, alt=pictures.alt, sku=pictures.sku))
        .where(pictures.product == products.c.code)
        .scalar_subquery()
    )
    return (
        sa.select(products, brands.c.name.label("brand_name"), steps.label("steps"), images.label("images"))
        .join(brands, brands.c.code == products.c.brand)
        .where(this)
    )


def _json_list(**columns: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    """The rows of a subquery as one JSON list of objects, in no order."""
    members = [part for name, column in columns.items() for part in (sa.literal(name), column)]
    return sa.func.json_arrayagg(sa.func.json_object(*members))


def _parts(for_staff: bool) -> sa.Select[Any]:
    """The variants with their stock, a row for each price of a variant, or one without a price.

    Staff gets all variants and prices, others those that count at the moment.
    """
    available = (
        sa.select(sa.func.coalesce(sa.func.sum(stock.c.on_hand - stock.c.reserved), 0))
        .where(stock.c.sku == variants.c.sku)
        .scalar_subquery()
    )
    which = [prices.c.sku == variants.c.sku]
    if not for_staff:
        moment = sa.bindparam("at", type_=prices.c.valid_from.type)
        which += [
            prices.c.currency == sa.bindparam("currency"),
            prices.c.valid_from <= moment,
            sa.or_(prices.c.valid_to.is_(None), prices.c.valid_to > moment),
        ]
    query = (
        sa.select(
            variants,
            available.label("available"),
            sa.func.coalesce(stock_rules.c.backorderable, sa.false()).label("backorderable"),
            *(prices.c[name] for name in ("amount", "currency", "min_quantity", "valid_from", "valid_to")),
        )
        .join(prices, sa.and_(*which), isouter=True)
        .join(stock_rules, stock_rules.c.sku == variants.c.sku, isouter=True)
        .where(variants.c.product == sa.bindparam("code"))
        .order_by(variants.c.position, variants.c.sku, prices.c.currency, prices.c.min_quantity, prices.c.valid_from)
    )
    return query if for_staff else query.where(variants.c.active)


# Built once: building them takes longer than running them.
_HEAD = _head()
_PARTS = {for_staff: _parts(for_staff) for for_staff in (False, True)}


def _variant(rows: Sequence[sa.Row[Any]], option_names: Sequence[str], viewer: _Viewer) -> VariantView:
    row = rows[0]
    costs = [_price(row) for row in rows if row.amount is not None]
    shown = [price for price in costs if price.currency == viewer.currency]
    now = price_at([price for price in shown if price.min_quantity == 1], viewer.moment)
    return VariantView(
        sku=row.sku,
        **_costs(now, viewer.currency),
        quantity_prices=_tiers(shown, viewer),
        available=int(row.available),
        in_stock=row.available > 0 or bool(row.backorderable),
        backorderable=bool(row.backorderable),
        options=in_order(row.options, option_names),
        weight_grams=row.weight_grams,
        length_mm=row.length_mm,
        width_mm=row.width_mm,
        height_mm=row.height_mm,
        barcode=row.barcode,
        active=row.active,
        prices=costs if viewer.for_staff else None,
    )


def _price(row: sa.Row[Any]) -> Price:
    until = row.valid_to.replace(tzinfo=UTC) if row.valid_to else None
    return Price(
        amount=row.amount,
        currency=row.currency,
        min_quantity=row.min_quantity,
        valid_from=row.valid_from.replace(tzinfo=UTC),
        valid_to=until,
    )


def _tiers(costs: Sequence[Price], viewer: _Viewer) -> list[QuantityPrice]:
    sizes = sorted({price.min_quantity for price in costs} - {1})
    found = (
        (size, price_at([price for price in costs if price.min_quantity == size], viewer.moment)) for size in sizes
    )
    return [
        QuantityPrice(min_quantity=size, price=Money(amount=now.amount, currency=viewer.currency))
        for size, now in found
        if now is not None
    ]


def _costs(now: PriceNow | None, currency: str) -> dict[str, Any]:
    if now is None:
        return {}
    regular = None if now.regular is None else Money(amount=now.regular, currency=currency)
    return {
        "price": Money(amount=now.amount, currency=currency),
        "regular_price": regular,
        "price_valid_until": now.until,
    }


def _view(head: sa.Row[Any], shown: Sequence[VariantView], number: str) -> ProductView:
    active = [variant for variant in shown if variant.active] or shown
    first = next((variant for variant in shown if variant.sku == number), active[0])
    steps = sorted(json.loads(head.steps), key=lambda step: -int(step["height"]))
    images = sorted(json.loads(head.images or "[]"), key=lambda image: int(image["position"]))
    columns = set(products.c.keys()) - {"attributes", "created_at", "updated_at"}
    return ProductView(
        **first.model_dump(include=set(Offered.model_fields)),
        **{name: getattr(head, name) for name in columns},
        attributes=by_name(head.attributes),
        created_at=head.created_at.replace(tzinfo=UTC),
        updated_at=head.updated_at.replace(tzinfo=UTC),
        brand_name=head.brand_name,
        category_name=steps[-1]["name"],
        category_path=[CategoryStep.model_validate(step) for step in steps],
        variants=list(shown),
        images=[Image.model_validate(image) for image in images],
    )
