"""How long it takes until a change of a product is found: MySQL → outbox → Kafka → indexer → Elasticsearch → the API.

A product is renamed to a word that no other product has, and the search is queried for it until the product is found.
The time starts when the transaction is committed.
"""

import time
import uuid
from datetime import UTC, datetime

import httpx2
import typer
from rich.progress import track

from adapters.connections import Connections, connect
from adapters.mysql.catalog.products import Catalog
from bench.report import console, keep, percentile
from dev.shop import a_product, open_shop
from dev.stack import ensure_servers
from dev.testbed import Testbed
from schemas.catalog import Product

CHANGES, TARGET_SECONDS, POLL_SECONDS, PATIENCE_SECONDS = 100, 2.0, 0.01, 60.0


def main() -> None:
    """Measure how soon a changed product is found by the search."""
    ensure_servers()
    bed = Testbed.create()
    try:
        bed.start("relay", "search-indexer", "api", ORDERS_LOG_LEVEL="WARNING")
        with (
            connect(bed.settings, pool_size=2) as stores,
            httpx2.Client(base_url=bed.url("API_PORT"), timeout=30) as client,
        ):
            found = measure(stores, client)
    finally:
        bed.close()
    percentiles = {f"p{share}_ms": percentile(found, share) for share in (50, 99)}
    console.print(f"{len(found)} changes, found after {percentiles} (target {TARGET_SECONDS:.0f} s, all of them)")
    keep("search_freshness", changes=len(found), **percentiles, max_ms=round(max(found) * 1000))


def measure(stores: Connections, client: httpx2.Client) -> list[float]:
    """Seconds of each change; the first, while the indexer joins its group, is not counted."""
    open_shop(stores)
    catalog, product = Catalog(stores.engine), a_product(f"FRESH-{uuid.uuid4().hex[:12].upper()}")
    until_found(client, rename(catalog, product))
    return [
        until_found(client, rename(catalog, product))
        for _ in track(range(CHANGES), "changing", console=console, transient=True)
    ]


def rename(catalog: Catalog, product: Product) -> str:
    """Rename the product to a word that only it has; answers the word."""
    word = f"zq{uuid.uuid4().hex[:12]}"
    catalog.put_many([product.model_copy(update={"name": f"Lamp {word}", "updated_at": datetime.now(UTC)})])
    return word


def until_found(client: httpx2.Client, word: str) -> float:
    """Seconds until the search answers with it."""
    began = time.perf_counter()
    while not client.get("/v1/products", params={"q": word}).raise_for_status().json()["items"]:
        if time.perf_counter() - began > PATIENCE_SECONDS:
            raise SystemExit("A change is not found; see .state/testbed/*/search-indexer.log and relay.log.")
        time.sleep(POLL_SECONDS)
    return time.perf_counter() - began


if __name__ == "__main__":
    typer.run(main)
