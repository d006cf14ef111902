"""How fast a large file of products becomes rows of MySQL through the API, and how soon the search index equals them.

The file is made first. Then it is sent as any client would send it, while relay and indexer run beside on the same
machine; at last every document of the index is compared with its rows, field by field and by version. `ALONE=1` starts
relay and indexer only after the import, which tells what they take from it. The second file, as the first but in the
other form, changes nothing: that is what comparing costs.
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
_BEHIND = ("relay", "search-indexer")
_TYPES = {"csv": "text/csv", "ndjson": "application/x-ndjson"}
_CHUNK = 256 * 1024
_LONGEST_SECONDS = 900
columns = (TextColumn("{task.description:<16}"), BarColumn(), TextColumn("{task.completed:,.0f}"), TimeElapsedColumn())


def main() -> None:
    """Measure, show, keep."""
    ensure_servers()
    bed = Testbed.create()
    try:
        with connect(bed.settings, pool_size=4) as stores:
            Taxonomy(stores.engine).ensure(brands(), categories())
            files = {form: bed.place.state / f"products.{form}" for form in _TYPES}
            write_files(files)
            bed.start("api", *(() if ALONE else _BEHIND))
            headers = sign_in(bed, stores)
            rows = [send(bed, headers, "new, CSV", "csv", files["csv"])]
            bed.start(*_BEHIND)
            rows.append(converge(stores, product_feed(stores.engine, stores.elasticsearch, bed.settings.name_prefix)))
            rows.append(send(bed, headers, "as it is, NDJSON", "ndjson", files["ndjson"]))
        for file in files.values():
            file.unlink()
    finally:
        bed.close()
    show(rows)
    keep("product_import", alone=ALONE, rows=rows)


def write_files(files: dict[str, Path]) -> None:
    """The same products in both forms; the names of the columns are gathered first."""
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
            options |= {name for one in page for name in one.options}
            attributes |= {name for one in page for name in one.attributes}
            currencies |= {price.currency for one in page for v in one.variants for price in v.prices}
    with files["csv"].open("wb") as target:
        target.writelines(write_csv(pages(), sorted(options), sorted(currencies), sorted(attributes)))


def sign_in(bed: Testbed, stores: Connections) -> dict[str, str]:
    """The header of an account that minds the catalog."""
    account = {"email": f"bench-{uuid.uuid4().hex}@shop.example.com", "password": uuid.uuid4().hex}
    with httpx2.Client(base_url=bed.url("API_PORT"), timeout=30) as client:
        made = client.post("/v1/users", json={**account, "name": "Bench"}).raise_for_status().json()
        Accounts(stores.engine).set_roles(made["id"], [Role.CATALOG])
        form = {"grant_type": "password", "username": account["email"], "password": account["password"]}
        token = client.post("/oauth2/token", data=form).raise_for_status().json()["access_token"]
    return {"Authorization": f"Bearer {token}"}


def send(bed: Testbed, headers: dict[str, str], name: str, form: str, file: Path) -> dict[str, Any]:
    """Send a file; rows per second from the first byte to the answer."""
    base, key = bed.url("API_PORT"), uuid.uuid4().hex
    asked = headers | {"Content-Type": _TYPES[form], "Idempotency-Key": key, "Content-Length": str(file.stat().st_size)}
    answers: list[httpx2.Response] = []

    def upload() -> None:
        with httpx2.Client(base_url=base, timeout=_LONGEST_SECONDS) as client:
            answers.append(client.post("/v1/products:import", content=_chunks(file), headers=asked))

    forget_peak(bed)
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


def forget_peak(bed: Testbed) -> None:
    """What came before counts no more: the hash of one password takes more memory than an import does."""
    peaks = Path(f"/proc/{bed.processes['api'].pid}/clear_refs")
    if peaks.exists():
        peaks.write_text("5")


def memory(bed: Testbed) -> int:
    """The most bytes the API has held at once, where the system tells."""
    status = Path(f"/proc/{bed.processes['api'].pid}/status")
    if not status.exists():
        return 0
    return next(int(line.split()[1]) * 1024 for line in status.read_text().splitlines() if line.startswith("VmHWM"))


def converge(stores: Connections, feed: Feed) -> dict[str, Any]:
    """Wait until the outbox is empty and every document is as its rows are, then say what differs; nothing should."""
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
    beside = "after the import" if ALONE else "beside the import"
    table = Table(title=f"{PRODUCTS:,} products, relay and indexer {beside}")
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
    main()
