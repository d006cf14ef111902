"""How long a search takes through the API on 50,000 products, beside Elasticsearch's own time and a bare route.

Every thread of a run sends all of them in turn, so that other load on the machine affects them alike. `took` is
Elasticsearch's own figure, read from Server-Timing; the rest is our code and waiting. Clients that send their next
request as soon as they are answered show the capacity of the machine; with 16 of them on few cores every request waits
for the other 15. The last rows are 16 users at a person's pace: the latency they see, and what the goals are about
(docs/decisions/0011).
"""

import http.client
import itertools
import json
import os
import random
import statistics
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlencode, urlsplit

import typer
from rich.progress import Progress

from adapters.connections import connect
from adapters.search.products import ALIAS, ProductSearch, product_index
from bench.judgements import JUDGED
from bench.report import PACE_SECONDS, console, due_times, keep, table_of
from bench.search_quality import indexed
from dev.seed_catalog import catalog
from dev.stack import ensure_servers
from dev.testbed import Testbed

PRODUCTS = int(os.environ.get("PRODUCTS", "50000"))
SECONDS = float(os.environ.get("SECONDS", "15"))
WARM_UP_SECONDS = 8.0
CONCURRENCY = (1, 4, 16)
USERS = 16
TARGETS = {"search": {"p50": 25.0, "p99": 120.0}, "suggest": {"p50": 12.5, "p99": 60.0}}
SEED = 20260101


def paths() -> dict[str, list[str]]:
    """The requests: the judged queries, words of product names, and categories, with filters and sorting; and the
    beginnings of all queries.

    Elasticsearch caches the answer to a query until something changes, so half of the queries are new ones.
    """
    dice = random.Random(SEED)  # noqa: S311 - a mixture, not a secret
    judged = [str(query["query"]) for query in json.loads(JUDGED.read_text())]
    names = [entry.product.name.split() for entry in itertools.islice(catalog(PRODUCTS), 0, PRODUCTS, 29)]
    new = [" ".join(dice.sample(name, min(len(name), dice.randint(1, 3)))) for name in names]
    typed = [*judged * max(1, len(new) // len(judged)), *new]
    choices: list[dict[str, object]] = [{}, {}, {}, {"in_stock": "true"}, {"sort": "price_asc"}, {"max_price": 5000}]
    searches = [f"/v1/products?{urlencode({'q': words} | dice.choice(choices))}" for words in typed]
    categories = [{"category": code} for code in ("kitchen", "audio", "shoes", "toys")] + [{}]
    searches += [f"/v1/products?{urlencode(category)}" for category in categories * (len(typed) // 50)]
    beginnings = [f"/v1/products/suggest?{urlencode({'q': words[: dice.randint(2, 12)].strip()})}" for words in typed]
    dice.shuffle(searches)
    dice.shuffle(beginnings)
    return {"search": searches, "suggest": beginnings, "bare": ["/healthz"]}


def fill(bed: Testbed) -> None:
    """The products in the testbed's index."""
    with connect(bed.settings, pool_size=1) as stores, Progress(console=console, transient=True) as progress:
        alias = f"{bed.settings.name_prefix}{ALIAS}"
        search, index = ProductSearch(stores.elasticsearch, alias), product_index(stores.elasticsearch, alias)
        task = progress.add_task("indexing", total=PRODUCTS)
        products = catalog(PRODUCTS)
        while batch := list(itertools.islice(products, 1000)):
            search.index_products(indexed(batch))
            progress.advance(task, len(batch))
        index.refresh(alias)
        index.compact(alias)  # as a reindex leaves it
        console.print(f"{index.count(alias)} products are in the index")


@dataclass
class Timings:
    """Seconds of each request by kind, and the server's own milliseconds."""

    times: dict[str, list[float]]
    took: dict[str, list[float]]


def load(base: str, requests: dict[str, list[str]], seconds: float, concurrency: int, pace: float = 0) -> Timings:
    """Send from `concurrency` threads, every kind in turn, each at its pace in seconds or as fast as it is answered."""
    found = Timings({kind: [] for kind in requests}, {kind: [] for kind in requests})
    end = time.monotonic() + seconds

    def client(number: int) -> None:
        connection = http.client.HTTPConnection(urlsplit(base).netloc, timeout=30)
        due = due_times(random.Random(number), pace, time.perf_counter())  # noqa: S311 - a rhythm, not a secret
        for turn in itertools.count(number * 101):
            for kind, choices in requests.items():
                started = next(due) if pace else time.perf_counter()
                time.sleep(max(0.0, started - time.perf_counter()))
                send(connection, kind, choices[turn % len(choices)], found, started)
            if time.monotonic() > end:
                break
        connection.close()

    threads = [threading.Thread(target=client, args=(number,)) for number in range(concurrency)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def send(connection: http.client.HTTPConnection, kind: str, path: str, found: Timings, started: float) -> None:
    """Send one request and record its times."""
    connection.request("GET", path)
    answer = connection.getresponse()
    answer.read()
    found.times[kind].append(time.perf_counter() - started)
    if answer.status != http.client.OK:
        raise RuntimeError(f"{path} answered {answer.status}")
    if timing := answer.headers.get("Server-Timing"):
        found.took[kind].append(float(timing.rpartition("=")[2]))


def percentile(values: Sequence[float], share: int) -> float:
    """A percentile; with few values the highest."""
    return statistics.quantiles(values, n=100)[share - 1] if len(values) > 1 else max(values, default=0.0)


def rows(base: str) -> list[dict[str, object]]:
    """Every kind at every concurrency, each kind alone with the bare route."""
    requests = paths()
    load(base, requests, WARM_UP_SECONDS, 4)
    found = []
    loads = [*((number, 0.0) for number in CONCURRENCY), (USERS, PACE_SECONDS)]
    for kind, (concurrency, pace) in itertools.product(("search", "suggest"), loads):
        kinds = {kind: requests[kind]} if pace else {kind: requests[kind], "bare": requests["bare"]}
        found_now = load(base, kinds, SECONDS, concurrency, pace)
        times, took = found_now.times, found_now.took
        clients = f"{concurrency} users" if pace else concurrency
        row: dict[str, object] = {"kind": kind, "concurrency": clients, "requests": len(times[kind])}
        row["load_average"] = round(os.getloadavg()[0], 1)
        row["per_second"] = round(len(times[kind]) / SECONDS, 1)
        for share in (50, 99):
            row[f"p{share}_ms"] = round(percentile(times[kind], share) * 1000, 1)
            row[f"took_p{share}_ms"] = round(percentile(took[kind], share), 1)
            row[f"bare_p{share}_ms"] = round(percentile(times.get("bare", []), share) * 1000, 1)
        found.append(row)
    return found


def show(found: list[dict[str, object]]) -> None:
    """The rows as a table, and whether the targets are met."""
    console.print(table_of(f"{PRODUCTS} products, through one API process, milliseconds", found))
    for one in found:
        if one["concurrency"] not in (USERS, f"{USERS} users"):
            continue
        who = f"{USERS} clients without pauses" if one["concurrency"] == USERS else one["concurrency"]
        for share, target in TARGETS[str(one["kind"])].items():
            met = float(str(one[f"{share}_ms"])) < target
            console.print(
                f"{one['kind']} {share} with {who}: {one[f'{share}_ms']} ms, target {target} ms: "
                f"{'[green]met[/green]' if met else '[red]missed[/red]'}"
            )


def main() -> None:
    """Measure search and suggest on PRODUCTS=50000 products, SECONDS=15 for each row."""
    ensure_servers()
    bed = Testbed.create()
    try:
        fill(bed)
        bed.start("api", ORDERS_LOG_LEVEL="WARNING")
        found = rows(bed.url("API_PORT"))
    finally:
        bed.close()
    show(found)
    keep("search_latency", products=PRODUCTS, rows=found)


if __name__ == "__main__":
    typer.run(main)
