"""A believable shop: `python -m dev.seed` fills MySQL with products and stock, then the search index.

The same products with the same SKUs on every machine. Running it again adds only what is missing: a price
changed or stock sold since stays so.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import product as every_pair
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from adapters.connections import Connections, connect
from adapters.mysql.catalog import Catalog
from adapters.mysql.inventory import Stock
from adapters.search import ALIAS, ProductSearch
from adapters.settings import load_settings
from dev.seed_words import CATEGORIES, Category, Range, Thing
from schemas.base import Money
from schemas.catalog import Product, ProductView

SEED = 20260101
ACTOR = "system:seed"
WAREHOUSES = (("BER", "Berlin", "DE", 1), ("AMS", "Amsterdam", "NL", 2))
_BATCH = 500
_FIRST_DAY = datetime(2025, 1, 6, 8, tzinfo=UTC)
_OPENINGS = (
    "The {thing} of the {brand} {series} line {benefit}.",
    "The {brand} {thing} {benefit}.",
    "Look no further: the {series} {thing} by {brand} {benefit}.",
)
_CLOSINGS = (
    "Made to be repaired: every part can be ordered.",
    "Two years' guarantee, thirty days to change your mind.",
    "Packed without plastic.",
    "Our customers' favourite of the season.",
    "Designed in Europe, tested by people who use it daily.",
)


@dataclass(frozen=True)
class SeededProduct:
    """A product and the units each warehouse receives of it."""

    product: Product
    units: dict[str, int]


def catalog(count: int) -> list[SeededProduct]:
    """The first `count` products, category by category in turn; the same ones every time."""
    dice = random.Random(SEED)  # noqa: S311 - a catalog, not a secret
    shelves = [_shelf(category, dice) for category in CATEGORIES]
    products: list[SeededProduct] = []
    while shelves and len(products) < count:
        for shelf in list(shelves):
            found = next(shelf, None)
            if found is None:
                shelves.remove(shelf)
            elif len(products) < count:
                products.append(found)
    return products


def _shelf(category: Category, dice: random.Random) -> Iterator[SeededProduct]:
    variants = list(every_pair(category.brands, category.things, category.series, category.looks))
    dice.shuffle(variants)
    for number, (brand, thing, series, look) in enumerate(variants, start=1):
        yield _seeded(category, number, (brand, thing, series, look), dice)


def _seeded(
    category: Category, number: int, variant: tuple[str, Thing, str, str], dice: random.Random
) -> SeededProduct:
    brand, thing, series, look = variant
    name = f"{brand} {series} {thing.name}, {look}"
    words = {"thing": thing.name.split(",")[0], "brand": brand, "series": series, "benefit": thing.benefit}
    opening = dice.choice(_OPENINGS).format(**words)
    since = _FIRST_DAY + timedelta(hours=dice.randrange(500 * 24))
    product = Product(
        sku=f"{category.code}-{_letters(brand)}-{number:04d}",
        name=name,
        description=f"{opening} {dice.choice(_CLOSINGS)} Variant: {look}.",
        brand=brand,
        category=category.name,
        price=Money(amount=_price(thing.price, dice), currency="EUR"),
        weight_grams=_within(thing.weight, dice) // 10 * 10,
        popularity=min(1000, int(dice.paretovariate(1.2) * 8)),
        created_at=since,
        updated_at=since,
    )
    return SeededProduct(product, _units(dice))


def _letters(brand: str) -> str:
    return "".join(letter for letter in brand.upper() if "A" <= letter <= "Z")[:3]


def _within(span: Range, dice: random.Random) -> int:
    return int(dice.triangular(span.low, span.high, span.low + (span.high - span.low) / 4))


def _price(span: Range, dice: random.Random) -> int:
    """Whole euros less a few cents, as shops like it."""
    return max(100, _within(span, dice) // 100 * 100) - dice.choice((1, 5, 10, 50))


def _units(dice: random.Random) -> dict[str, int]:
    """Most are in both houses; some in one only, so that orders are split; a few are sold out."""
    both = {"BER": dice.randint(20, 400), "AMS": dice.randint(10, 250)}
    where = dice.choices(("both", "BER", "AMS", "nowhere"), weights=(80, 9, 8, 3))[0]
    return both if where == "both" else {house: n for house, n in both.items() if house == where}


def is_filled(stores: Connections, count: int) -> bool:
    """Whether the shop and its index already have so many products."""
    if Catalog(stores.engine).count() < count:
        return False
    found = stores.elasticsearch.count(index=f"{stores.settings.name_prefix}{ALIAS}", ignore_unavailable=True)
    return int(found["count"]) >= count


def fill(stores: Connections, products: Sequence[SeededProduct], progress: Progress) -> int:
    """Write products and stock that are missing, index all, and answer how many products were new."""
    shop, stock = Catalog(stores.engine), Stock(stores.engine)
    search = ProductSearch(stores.elasticsearch, f"{stores.settings.name_prefix}{ALIAS}")
    stock.ensure_warehouses(list(WAREHOUSES))
    search.ensure_index()
    writing = progress.add_task("MySQL", total=len(products))
    indexing = progress.add_task("Elasticsearch", total=len(products))
    new = 0
    for start in range(0, len(products), _BATCH):
        batch = products[start : start + _BATCH]
        new += _write(shop, stock, batch)
        progress.advance(writing, len(batch))
        _index(shop, stock, search, [entry.product.sku for entry in batch])
        progress.advance(indexing, len(batch))
    return new


def _write(shop: Catalog, stock: Stock, batch: Sequence[SeededProduct]) -> int:
    known = shop.get_many([entry.product.sku for entry in batch])
    missing = [entry for entry in batch if entry.product.sku not in known]
    if missing:
        shop.upsert_many([entry.product for entry in missing])
    empty = {sku for sku, units in stock.available(known).items() if units == 0}
    # A known product without a stock row was left by a run that died between the two; sold out is not the same.
    stockless = [entry for entry in batch if entry.product.sku in empty and not stock.levels(entry.product.sku)]
    received = [
        (entry.product.sku, house, units) for entry in [*missing, *stockless] for house, units in entry.units.items()
    ]
    if received:
        stock.receive(received, ACTOR, "opening stock")
    return len(missing)


def _index(shop: Catalog, stock: Stock, search: ProductSearch, skus: Sequence[str]) -> None:
    available = stock.available(skus)
    views = [
        ProductView(**dict(product), available=available[sku], in_stock=available[sku] > 0)
        for sku, product in shop.get_many(skus).items()
    ]
    search.index_products(views, refresh=True)


def main(
    products: Annotated[int, typer.Option(min=1, max=5000, help="How many products the shop has.")] = 2000,
) -> None:
    """Fill the shop with products and stock; run `order-admin setup` first."""
    console = Console()
    columns = (TextColumn("{task.description:<14}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    try:
        with connect(load_settings(), pool_size=2) as stores:
            if is_filled(stores, products):
                console.print(f"[green]✓[/green] {products} products are in the shop already.")
                return
            with Progress(*columns, console=console) as progress:
                new = fill(stores, catalog(products), progress)
    except Exception as error:
        said = f"{type(error).__name__}: {error}".splitlines()[0]
        console.print(f"[red]✗[/red] {escape(said)}", soft_wrap=True)
        console.print(
            "Seeding stopped; it can be run again. `make status` shows the servers, `order-admin setup` readies them."
        )
        raise typer.Exit(1) from error
    console.print(f"[green]✓[/green] {products} products in the shop, {new} of them new.")


if __name__ == "__main__":
    typer.run(main)
