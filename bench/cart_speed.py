"""What a cart costs: warm reads and writes in one API process, beside a bare route and a bare Redis GET, in turns.

Each request is timed twice: by its client, and by the API, whose log has the time from the first of our code to the
last. `cpu` is the processor time of the API process for it. On a shared machine that is the number to compare: one
process answers at most 1000 / cpu requests a second, and with 16 clients each of them waits for the other 15.

The clients send their next request as soon as they are answered, which shows the capacity of a process; the last rows
are 16 users at a person's pace, which shows the latency they see and is what the goals are about (docs/decisions/0011).
"""

import asyncio
import json
import random
import statistics
import time
import uuid
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import psutil  # type: ignore[import-untyped]
import redis.asyncio
import typer

from adapters.connections import connect
from bench.report import PACE_SECONDS, console, due_times, keep, table_of
from bench.token_check import sign_in
from dev.shop import open_shop, put_on_sale
from dev.stack import ensure_servers
from dev.testbed import Testbed

CONCURRENCY = (1, 4, 16)
USERS = 16
WARM_UP, REQUESTS, LINES = 200, 1600, 3
READ_MS, WRITE_MS = 5.0, 12.0
Send = Callable[[], Awaitable[None]]


@dataclass
class Case:
    """A kind of request; `opened` connects one client and answers how it sends a request."""

    name: str
    opened: Callable[[], Awaitable[Send]]
    log_path: str | None = None
    times: list[float] = field(default_factory=list)


class Http:
    """A minimal client, because it shares the processor with the API."""

    def __init__(self, base: str, requests: Iterator[bytes]) -> None:
        parts = urlsplit(base)
        self._place = (parts.hostname or "", parts.port or 80)
        self._requests = requests

    async def opened(self) -> Send:
        reader, writer = await asyncio.open_connection(*self._place)

        async def send() -> None:
            writer.write(next(self._requests))
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
            body = await reader.readexactly(length)
            if not head.startswith(b"HTTP/1.1 200"):
                raise RuntimeError(f"{head.splitlines()[0]!r} {body[:300]!r}")

        return send


def request(method: str, path: str, headers: dict[str, str], body: dict[str, Any] | None = None) -> bytes:
    """A whole request."""
    content = b"" if body is None else json.dumps(body).encode()
    lines = [f"{method} {path} HTTP/1.1", "Host: bench", f"Content-Length: {len(content)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    lines += ["Content-Type: application/json"] if content else []
    return "\r\n".join([*lines, "", ""]).encode() + content


def main() -> None:
    """Measure warm reads and writes of a cart, beside a bare route and a bare Redis GET."""
    ensure_servers()
    bed = Testbed.create()
    try:
        with connect(bed.settings, pool_size=2) as stores:
            stores.redis.flushdb()
            open_shop(stores)
            skus = [f"BENCH-{number}" for number in range(LINES)]
            put_on_sale(stores, skus, [(sku, "BER", 10_000) for sku in skus])
        bed.start("mail", "api")
        rows = asyncio.run(measure(bed, skus))
    finally:
        bed.close()
    show(rows)
    keep("cart_speed", rows=rows)


async def measure(bed: Testbed, skus: list[str]) -> list[dict[str, object]]:
    """Every case at each concurrency in turn, so that other load on the machine affects all of them."""
    base = bed.url("API_PORT")
    customer, guest = sign_in(base), {"X-Cart-Token": uuid.uuid4().hex}
    with httpx2.Client(base_url=base, timeout=30) as client:
        for headers in (customer, guest):
            for sku in skus:
                client.put(f"/v1/cart/items/{sku}", json={"quantity": 1}, headers=headers).raise_for_status()
    reads = {name: cycle([request("GET", "/v1/cart", who)]) for name, who in (("user", customer), ("guest", guest))}
    # A cart for each client: 16 concurrent writes to one cart would measure their conflicts.
    carts = cycle([{"X-Cart-Token": uuid.uuid4().hex} for _ in range(max(CONCURRENCY))])
    writes = (
        request("PUT", f"/v1/cart/items/{skus[0]}", next(carts), {"quantity": number % 900 + 1})
        for number in cycle(range(900))
    )
    bare = cycle([request("GET", "/healthz", {})])
    api, log = psutil.Process(bed.processes["api"].pid), bed.place.state / "api.log"
    async with redis.asyncio.Redis.from_url(bed.settings.redis_address) as store:

        async def get_opened() -> Send:
            async def send() -> None:
                await store.get("offer:BENCH-0")

            return send

        cases = [
            Case("bare Redis GET", get_opened),
            Case("bare route", Http(base, bare).opened),
            Case("read, customer", Http(base, reads["user"]).opened, "/v1/cart"),
            Case("read, guest", Http(base, reads["guest"]).opened, "/v1/cart"),
            Case("write, guests", Http(base, writes).opened, f"/v1/cart/items/{skus[0]}"),
        ]
        rows = []
        for concurrency in CONCURRENCY:
            for case in cases:
                await load(case, WARM_UP, concurrency)
                rows.append(await row(case, concurrency, 0, api, log))
        return rows + [await row(case, USERS, PACE_SECONDS, api, log) for case in cases]


async def load(case: Case, requests: int, concurrency: int, pace: float = 0) -> None:
    """Send the requests by `concurrency` clients, each at its pace in seconds, or as fast as it is answered."""
    case.times = []

    async def client(number: int) -> None:
        send = await case.opened()
        due = due_times(random.Random(number), pace, time.perf_counter())  # noqa: S311 - a rhythm, not a secret
        for _ in range(requests // concurrency):
            started = next(due) if pace else time.perf_counter()
            await asyncio.sleep(max(0.0, started - time.perf_counter()))
            await send()
            case.times.append(time.perf_counter() - started)

    await asyncio.gather(*(client(number) for number in range(concurrency)))


async def row(case: Case, concurrency: int, pace: float, api: psutil.Process, log: Path) -> dict[str, object]:
    """One line of the table, in milliseconds."""
    offset, used = _size(log), sum(api.cpu_times()[:2])
    began = time.perf_counter()
    await load(case, REQUESTS, concurrency, pace)
    seconds, cpu = time.perf_counter() - began, sum(api.cpu_times()[:2]) - used
    logged = [line["ms"] for line in _logged(log, offset) if line.get("path") == case.log_path]
    return {
        "case": case.name,
        "concurrency": f"{concurrency} users" if pace else concurrency,
        "p50_ms": round(statistics.median(case.times) * 1000, 2),
        "p99_ms": round(statistics.quantiles(case.times, n=100)[98] * 1000, 2),
        "in_process_p50_ms": round(statistics.median(logged), 2) if logged else None,
        "per_second": round(REQUESTS / seconds),
        "cpu_ms": None if case.name == "bare Redis GET" else round(cpu * 1000 / REQUESTS, 3),
    }


def _size(log: Path) -> int:
    return log.stat().st_size


def _logged(log: Path, offset: int) -> Iterator[dict[str, Any]]:
    with log.open("rb") as lines:
        lines.seek(offset)
        for line in lines:
            if line.startswith(b"{") and b'"ms"' in line:
                yield json.loads(line)


def show(rows: list[dict[str, object]]) -> None:
    """The rows as a table, and whether the goals are met."""
    console.print(table_of(f"A cart of {LINES} lines in one API process, milliseconds", rows))
    for kind, goal in (("read, customer", READ_MS), ("write, guests", WRITE_MS)):
        found = next(row for row in rows if row["case"] == kind and row["concurrency"] == f"{USERS} users")
        reached = float(str(found["in_process_p50_ms"]))
        verdict = "[green]met[/green]" if reached < goal else "[red]missed[/red]"
        console.print(f"Goal with {USERS} users, {kind}: p50 {reached} ms of {goal} in the process: {verdict}")


if __name__ == "__main__":
    typer.run(main)
