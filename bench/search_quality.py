"""How good the search is: nDCG@10 over the judged queries, by kind of query and overall.

1 is the ideal order: the best products of every query first. The products are those of the sample shop, in an
index of their own.
"""

import json
import math
import os
import statistics
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import typer
from elasticsearch import Elasticsearch
from rich.console import Console
from rich.table import Table

from adapters.mysql.catalog.snapshots import path_to
from adapters.search.products import ProductSearch, product_index
from bench.judgements import JUDGED, PRODUCTS
from dev.seed_catalog import SeededProduct, brands, catalog, categories
from dev.stack import ensure_servers
from dev.stack.environment import settings
from schemas.search import IndexedProduct, ProductQuery

RESULT = Path(__file__).parent / "results" / "search_quality.json"
DEPTH = 10
FLOOR = 0.85
console = Console(highlight=False)

Scores = list[tuple[str, str, float]]  # kind, query, nDCG


def indexed(products: Sequence[SeededProduct]) -> list[IndexedProduct]:
    """The products as documents of the index."""
    brand_names = {brand.code: brand.name for brand in brands()}
    names = {category.code: category.name for category in categories()}
    parents = {category.code: category.parent for category in categories()}
    return [_indexed(product, brand_names, names, path_to(product.product.category, parents)) for product in products]


def _indexed(
    entry: SeededProduct, brand_names: dict[str, str], names: dict[str, str], path: list[str]
) -> IndexedProduct:
    product = entry.product
    return IndexedProduct(
        revision=1,
        code=product.code,
        sku=product.variants[0].sku,
        skus=[variant.sku for variant in product.variants],
        barcodes=[variant.barcode for variant in product.variants if variant.barcode],
        name=product.name,
        description=product.description,
        brand=product.brand,
        brand_name=brand_names[product.brand],
        category=product.category,
        category_name=names[product.category],
        category_path=path,
        category_names=[names[step] for step in path],
        attributes=product.attributes,
        option_values=sorted({value for variant in product.variants for value in variant.options.values()}),
        prices={"EUR": min(price.amount for variant in product.variants for price in variant.prices)},
        in_stock=any(units for levels in entry.units.values() for units in levels.values()),
        popularity=product.popularity,
        status=product.status,
        created_at=product.created_at,
    )


@contextmanager
def sample_index(elasticsearch: Elasticsearch) -> Iterator[ProductSearch]:
    """The sample shop in an index of its own, for the length of the block."""
    alias = f"quality{os.getpid()}-v1"
    search, index = ProductSearch(elasticsearch, alias), product_index(elasticsearch, alias)
    search.ensure_index()
    try:
        search.index_products(indexed(list(catalog(PRODUCTS))))
        index.refresh(alias)
        yield search
    finally:
        elasticsearch.indices.delete(index=str(index.current()))


def scores(search: ProductSearch) -> Scores:
    """Each judged query's nDCG."""
    found: Scores = []
    for judged in json.loads(JUDGED.read_text()):
        hits = search.search(ProductQuery(q=judged["query"], limit=DEPTH)).items
        graded = [judged["grades"].get(hit.product, 0) for hit in hits]
        found.append((judged["kind"], judged["query"], ndcg(graded, judged["grades"].values())))
    return found


def ndcg(shown: Sequence[int], judged: Iterable[int]) -> float:
    """The discounted gain of the shown results, as a share of the ideal one."""
    best = sorted(judged, reverse=True)[:DEPTH]
    return _gain(shown) / _gain(best)


def _gain(grades: Sequence[int]) -> float:
    return sum((pow(2.0, grade) - 1) / math.log2(place + 2) for place, grade in enumerate(grades))


def main() -> None:
    """Measure nDCG of the judged queries; exits with 1 below the floor."""
    ensure_servers()
    port = settings()["ELASTICSEARCH_PORT"]
    with Elasticsearch(f"http://127.0.0.1:{port}", request_timeout=30) as client, sample_index(client) as search:
        found = scores(search)
    kinds = list(dict.fromkeys(kind for kind, _, _ in found))
    table = Table(title=f"nDCG@{DEPTH} over {len(found)} judged queries, {PRODUCTS} products")
    for column in ("kind", "queries", "nDCG", "worst"):
        table.add_column(column, justify="left" if column in ("kind", "worst") else "right")
    rows = []
    for kind in kinds:
        of_kind = [(score, query) for one, query, score in found if one == kind]
        mean, worst = statistics.fmean(score for score, _ in of_kind), min(of_kind)
        rows.append({"kind": kind, "queries": len(of_kind), "ndcg": round(mean, 4)})
        table.add_row(kind, str(len(of_kind)), f"{mean:.3f}", f"{worst[0]:.3f} {worst[1]}")
    overall = statistics.fmean(score for _, _, score in found)
    table.add_row("all", str(len(found)), f"{overall:.3f}", "")
    console.print(table)
    result = {"measured_at": datetime.now(UTC).isoformat(timespec="seconds"), "ndcg_at_10": round(overall, 4)}
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(result | {"kinds": rows}, indent=2) + "\n")
    if overall < FLOOR:
        console.print(f"[red]below the floor of {FLOOR}[/red]")
        sys.exit(1)


if __name__ == "__main__":
    typer.run(main)
