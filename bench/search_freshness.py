"""How long it takes until a change of a product is found: MySQL → outbox → Kafka → indexer → Elasticsearch → the API.

Product after product is renamed to a word that nobody has, and the search is asked for it until it answers with the
product. The time begins when the transaction is committed.
"""

import json
import os
import platform
import statistics
import time
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
from rich.console import Console
from rich.progress import track

from adapters.connections import Connections, connect
from adapters.mysql.catalog import Catalog
from adapters.mysql.shelves import Shelves
from dev.stack import ensure_servers
from dev.testbed import Testbed
from domain.catalog import ProductStatus
from schemas.catalog import Brand, Category, Price, Product, Variant

RESULT = Path(__file__).parent / "results" / "search_freshness.json"
CHANGES, TARGET_SECONDS, LOOK_SECONDS, PATIENCE_SECONDS = 100, 2.0, 0.01, 60.0
console = Console(highlight=False)


def main() -> None:
    """Measure, show, keep."""
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
    keep({"changes": len(found), **percentiles, "max_ms": round(max(found) * 1000)})


def measure(stores: Connections, client: httpx2.Client) -> list[float]:
    """Seconds of each change; the first ones, while the indexer joins its group, are not counted."""
    Shelves(stores.engine).ensure([Brand(code="bench", name="Bench")], [Category(code="bench", name="Bench")])
    catalog, product = Catalog(stores.engine), a_product()
    until_found(client, rename(catalog, product))
    return [
        until_found(client, rename(catalog, product))
        for _ in track(range(CHANGES), "changing", console=console, transient=True)
    ]


def a_product() -> Product:
    """Something for sale."""
    moment, code = datetime.now(UTC), f"FRESH-{uuid.uuid4().hex[:12].upper()}"
    price = Price(amount=1999, currency="EUR", valid_from=moment - timedelta(days=1))
    return Product(
        code=code,
        name="Not yet named",
        brand="bench",
        category="bench",
        status=ProductStatus.ACTIVE,
        variants=[Variant(sku=code, weight_grams=100, prices=[price])],
        created_at=moment,
        updated_at=moment,
    )


def rename(catalog: Catalog, product: Product) -> str:
    """A word that only this product has, from now on."""
    word = f"zq{uuid.uuid4().hex[:12]}"
    catalog.put_many([product.model_copy(update={"name": f"Lamp {word}", "updated_at": datetime.now(UTC)})])
    return word


def until_found(client: httpx2.Client, word: str) -> float:
    """Seconds until the search answers with it."""
    began = time.perf_counter()
    while not client.get("/v1/products", params={"q": word}).raise_for_status().json()["items"]:
        if time.perf_counter() - began > PATIENCE_SECONDS:
            raise SystemExit("A change is not found; .state/testbed/*/search-indexer.log and relay.log tell why.")
        time.sleep(LOOK_SECONDS)
    return time.perf_counter() - began


def percentile(seconds: list[float], share: int) -> int:
    """In milliseconds."""
    return round(statistics.quantiles(seconds, n=100, method="inclusive")[share - 1] * 1000)


def keep(found: dict[str, int]) -> None:
    """The figures as JSON, with where and when they were measured."""
    RESULT.parent.mkdir(exist_ok=True)
    where = {"cpus": os.cpu_count(), "load_average": os.getloadavg()[0], "python": platform.python_version()}
    result = {"measured_at": datetime.now(UTC).isoformat(timespec="seconds"), **where, **found}
    RESULT.write_text(json.dumps(result, indent=2) + "\n")
    console.print(f"Kept in {RESULT}")


if __name__ == "__main__":
    main()
