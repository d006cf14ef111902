"""How fast a large file of products becomes rows of MySQL through the API, and how soon the search index equals them.

The file is generated first. Then it is sent as any client would send it, while relay and indexer run on the same
machine; at the end every document of the index is compared with its rows, field by field and by version. `ALONE=1`
starts relay and indexer only after the import, which shows how much they slow it down. The second file has the same
products in the other format and changes nothing: it measures the comparison alone.
"""

import os
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import sqlalchemy as sa
import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from adapters.connections import Connections, connect
from adapters.mysql.catalog.taxonomy import Taxonomy
from adapters.mysql.identity.users import Accounts
from adapters.search.feeds import Feed, product_feed
from api.product_files.writers import write_csv, write_ndjson
from bench.report import console, keep
from dev.seed_catalog import brands, catalog, categories
from dev.stack import ensure_servers
from dev.testbed import Testbed
from schemas.catalog import Product
from schemas.users import Role

PRODUCTS = int(os.environ.get("PRODUCTS", "50000"))
ALONE = bool(os.environ.get("ALONE"))
TARGET_ROWS_PER_SECOND = 2000
_INDEXING = ("relay", "search-indexer")
_TYPES = {"csv": "text/csv", "ndjson": "application/x-ndjson"}
_CHUNK = 256 * 1024
_LONGEST_SECONDS = 900
columns = (TextColumn("{task.description:<16}"), BarColumn(), TextColumn("{task.completed:,.0f}"), TimeElapsedColumn())


def main() -> None:
    """Measure an import of products (PRODUCTS=50000), and when the search index equals them."""
    ensure_servers()
    bed = Testbed.create()
    try:
        with connect(bed.settings, pool_size=4) as stores:
            Taxonomy(stores.engine).ensure(brands(), categories())
            files = {form: bed.place.state / f"products.{form}" for form in _TYPES}
            write_files(files)
            bed.start("api", *(() if ALONE else _INDEXING))
            headers = sign_in(bed, stores)
            rows = [send(bed, headers, "new, CSV", "csv", files["csv"])]
            bed.start(*_INDEXING)
            rows.append(converge(stores, product_feed(stores.engine, stores.elasticsearch, bed.settings.name_prefix)))
            rows.append(send(bed, headers, "unchanged, NDJSON", "ndjson", files["ndjson"]))
        for file in files.values():
            file.unlink()
    finally:
        bed.close()
    show(rows)
    keep("product_import", alone=ALONE, rows=rows)


def write_files(files: dict[str, Path]) -> None:
    """Write the same products in both formats; the names of the columns are collected first."""
    options: set[str] = set()
    attributes: set[str] = set()
    currencies: set[str] = set()

    def pages() -> Iterator[list[Product]]:
        page: list[Product] = []
        with Progress(*columns, console=console) as progress:
            task = progress.add_task("making the file", total=PRODUCTS)
            for entry in catalog(PRODUCTS):
                page.append(entry.product)
                if len(page) == 500:
                    progress.advance(task, len(page))
                    yield page
                    page = []
            yield page

    with files["ndjson"].open("wb") as target:
        for page in pages():
            target.writelines(write_ndjson([page]))
            options |= {name for product in page for name in product.options}
            attributes |= {name for product in page for name in product.attributes}
            currencies |= {price.currency for product in page for v in product.variants for price in v.prices}
    with files["csv"].open("wb") as target:
        target.writelines(write_csv(pages(), sorted(options), sorted(currencies), sorted(attributes)))


def sign_in(bed: Testbed, stores: Connections) -> dict[str, str]:
    """The header of an account with the catalog role."""
    account = {"email": f"bench-{uuid.uuid4().hex}@shop.example.com", "password": uuid.uuid4().hex}
    with httpx2.Client(base_url=bed.url("API_PORT"), timeout=30) as client:
        made = client.post("/v1/users", json={**account, "name": "Bench"}).raise_for_status().json()
        Accounts(stores.engine).set_roles(made["id"], [Role.CATALOG])
        form = {"grant_type": "password", "username": account["email"], "password": account["password"]}
        token = client.post("/oauth2/token", data=form).raise_for_status().json()["access_token"]
    return {"Authorization": f"Bearer {token}"}


def send(bed: Testbed, headers: dict[str, str], name: str, file_format: str, file: Path) -> dict[str, Any]:
    """Send a file; rows per second from the first byte to the answer."""
    base, key = bed.url("API_PORT"), uuid.uuid4().hex
    upload_headers = headers | {
        "Content-Type": _TYPES[file_format],
        "Idempotency-Key": key,
        "Content-Length": str(file.stat().st_size),
    }
    answers: list[httpx2.Response] = []

    def upload() -> None:
        with httpx2.Client(base_url=base, timeout=_LONGEST_SECONDS) as client:
            answers.append(client.post("/v1/products:import", content=_chunks(file), headers=upload_headers))

    reset_peak(bed)
    before, started = memory(bed), time.perf_counter()
    sender = threading.Thread(target=upload)
    sender.start()
    with httpx2.Client(base_url=base, timeout=30) as client, Progress(*columns, console=console) as progress:
        task = progress.add_task("importing rows", total=None)
        while sender.is_alive():
            sender.join(0.5)
            found = client.get("/v1/product-imports", params={"idempotency_key": key}, headers=headers).json()["items"]
            progress.update(task, completed=found[0]["rows"] if found else 0)
    elapsed = time.perf_counter() - started
    report = answers[0].raise_for_status().json()
    if report["failed"]:
        raise RuntimeError(f"{report['failed']} rows were refused: {report['errors'][:3]}")
    return {
        "what": name,
        "rows": report["rows"],
        "seconds": round(elapsed, 1),
        "per_second": round(report["rows"] / elapsed),
        "megabytes": round(file.stat().st_size / 1e6, 1),
        "grown_megabytes": round((memory(bed) - before) / 1e6, 1),
    }


def _chunks(file: Path) -> Iterator[bytes]:
    with file.open("rb") as source:
        while chunk := source.read(_CHUNK):
            yield chunk


def reset_peak(bed: Testbed) -> None:
    """Reset the peak of the memory: hashing one password takes more than an import does."""
    peaks = Path(f"/proc/{bed.processes['api'].pid}/clear_refs")
    if peaks.exists():
        peaks.write_text("5")


def memory(bed: Testbed) -> int:
    """The peak memory of the API in bytes; 0 where the system does not report it."""
    status = Path(f"/proc/{bed.processes['api'].pid}/status")
    if not status.exists():
        return 0
    return next(int(line.split()[1]) * 1024 for line in status.read_text().splitlines() if line.startswith("VmHWM"))


def converge(stores: Connections, feed: Feed) -> dict[str, Any]:
    """Wait until the outbox is empty and every document equals its rows; raises RuntimeError when one never does."""
    started = time.perf_counter()
    left = sa.text("SELECT COUNT(*) FROM product_events WHERE published_at IS NULL")
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("in the index", total=PRODUCTS)
        while time.perf_counter() - started < _LONGEST_SECONDS:
            feed.index.refresh(feed.index.alias)
            count = feed.index.count(feed.index.alias)
            progress.update(task, completed=count)
            with stores.engine.connect() as connection:
                waiting = connection.scalar(left) or 0
            if count >= PRODUCTS and not waiting and not any(True for _ in feed.differing()):
                break
            time.sleep(0.5)
    elapsed = time.perf_counter() - started
    differing, count = sum(1 for _ in feed.differing()), feed.index.count(feed.index.alias)
    if differing or count != feed.count():
        raise RuntimeError(f"{differing} documents differ, {count} of {feed.count()} are there")
    what = f"{count:,} documents equal their rows"
    return {"what": what, "rows": count, "seconds": round(elapsed, 1), "per_second": round(count / elapsed)}


def show(rows: list[dict[str, Any]]) -> None:
    """The rows as a table."""
    when = "after the import" if ALONE else "during the import"
    table = Table(title=f"{PRODUCTS:,} products, relay and indexer {when}")
    for column in ("what", "rows", "seconds", "rows/s", "MB sent", "MB the API grew by"):
        table.add_column(column, justify="left" if column == "what" else "right")
    for row in rows:
        names = ("what", "rows", "seconds", "per_second", "megabytes", "grown_megabytes")
        table.add_row(*(str(row.get(name, "")) for name in names))
    console.print(table)
    verdict = "[green]met[/green]" if rows[0]["per_second"] >= TARGET_ROWS_PER_SECOND else "[red]missed[/red]"
    console.print(f"Target: {TARGET_ROWS_PER_SECOND:,} rows/s of new products into MySQL: {verdict}")
    console.print("The index is timed from the end of the import until every document equals its rows.")


if __name__ == "__main__":
    typer.run(main)
