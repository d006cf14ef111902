"""The sample shop: `python -m dev.seed` fills MySQL with products and stock, then the search index.

The same products with the same SKUs on every machine. Running it again adds only what is missing: a price
changed or stock sold since stays as it is.
"""

from collections.abc import Sequence
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from adapters.connections import Connections, connect
from adapters.mysql.catalog.products import Catalog
from adapters.mysql.catalog.snapshots import snapshots
from adapters.mysql.catalog.taxonomy import Taxonomy
from adapters.mysql.orders.stock import Stock
from adapters.search.products import ALIAS, ProductSearch
from adapters.settings import load_settings
from dev.seed_catalog import SeededProduct, brands, catalog, categories
from domain.actors import system_actor

ACTOR = system_actor("seed")
WAREHOUSES = (("BER", "Berlin", "DE", 1), ("AMS", "Amsterdam", "NL", 2))
_BATCH = 500


def is_filled(stores: Connections, count: int) -> bool:
    """Whether the shop and its index already have so many products."""
    if Catalog(stores.engine).count() < count:
        return False
    found = stores.elasticsearch.count(index=f"{stores.settings.name_prefix}{ALIAS}", ignore_unavailable=True)
    return int(found["count"]) >= count


def fill(stores: Connections, products: Sequence[SeededProduct], progress: Progress) -> int:
    """Write products and stock that are missing, index all, and answer how many products were new.

    The index is written here as well, because the indexer may not run yet; both write the same versions.
    """
    shop, stock = Catalog(stores.engine), Stock(stores.engine)
    search = ProductSearch(stores.elasticsearch, f"{stores.settings.name_prefix}{ALIAS}")
    stock.ensure_warehouses(list(WAREHOUSES))
    Taxonomy(stores.engine).ensure(brands(), categories())
    search.ensure_index()
    writing = progress.add_task("MySQL", total=len(products))
    indexing = progress.add_task("Elasticsearch", total=len(products))
    new = 0
    for start in range(0, len(products), _BATCH):
        batch = products[start : start + _BATCH]
        new += _write(shop, stock, batch)
        progress.advance(writing, len(batch))
        found = snapshots(stores.engine, [entry.product.code for entry in batch])
        search.index_products(list(found.values()), refresh=start + _BATCH >= len(products))
        progress.advance(indexing, len(batch))
    return new


def _write(shop: Catalog, stock: Stock, batch: Sequence[SeededProduct]) -> int:
    known = shop.products([entry.product.code for entry in batch])
    missing = [entry for entry in batch if entry.product.code not in known]
    if missing:
        shop.put_many([entry.product for entry in missing])
    kept = [sku for entry in batch if entry.product.code in known for sku in entry.units]
    empty = [sku for sku, units in stock.available(kept).items() if units == 0] if kept else []
    # A known SKU without a stock row was left by a run that died between the two; sold out is not the same.
    stockless = {sku for sku in empty if not stock.levels(sku)}
    received = [
        (sku, warehouse, units)
        for entry in batch
        for sku, levels in entry.units.items()
        if entry.product.code not in known or sku in stockless
        for warehouse, units in levels.items()
    ]
    if received:
        stock.receive(received, ACTOR, "opening stock")
    filled = {sku for sku, _, _ in received}
    for entry in batch:
        for sku in entry.units:
            # Only once its goods are there, or it would be low on stock before it was filled.
            if entry.rules and sku in filled:
                stock.set_rules(sku, entry.rules)
    return len(missing)


def main(
    products: Annotated[int, typer.Option(min=1, max=5000, help="How many products the shop has.")] = 4000,
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
                new = fill(stores, list(catalog(products)), progress)
    except Exception as error:
        message = f"{type(error).__name__}: {error}".splitlines()[0]
        console.print(f"[red]✗[/red] {escape(message)}", soft_wrap=True)
        console.print(
            "Seeding stopped; it can be run again. `make status` shows the servers, `order-admin setup` readies them."
        )
        raise typer.Exit(1) from error
    console.print(f"[green]✓[/green] {products} products in the shop, {new} of them new.")


if __name__ == "__main__":
    typer.run(main)
