"""Long imports: broken connections, killed processes, two senders, progress, and memory that does not grow."""

import json
import re
import threading
import time
import uuid
from collections.abc import Iterator

import httpx2
import pytest
import sqlalchemy as sa

from adapters.connections import Connections
from adapters.mysql.tables.catalog import prices, product_images, product_revisions, products, variants
from dev.testbed import Testbed
from tests.api.conftest import SendImport
from tests.fixture_types import Json

HEADER = "product,name,brand,category,sku,weight_grams,price:EUR,description"
ROWS_AT_ONCE = 250


def rows(mark: str, count: int, start: int = 0, *, brand: str = "testbrand", description: str = "") -> bytes:
    lines = (f"{mark}-{n},A thing,{brand},tests,{mark}-{n},500,1999,{description}" for n in range(start, start + count))
    return ("\n".join(lines) + "\n").encode()


def file_of(mark: str, count: int) -> bytes:
    return f"{HEADER}\n".encode() + rows(mark, count)


@pytest.fixture(autouse=True)
def swept(connections: Connections) -> Iterator[None]:
    """Leaves none of its thousands of products to the tests that index or export all there are."""
    yield
    ours = "RUN-%"
    with connections.engine.begin() as connection:
        connection.execute(sa.delete(prices).where(prices.c.sku.like(ours)))
        for table in (product_images, variants, product_revisions):
            connection.execute(sa.delete(table).where(table.c.product.like(ours)))
        connection.execute(sa.delete(products).where(products.c.code.like(ours)))


def new_mark() -> str:
    return f"RUN-{uuid.uuid4().hex[:10].upper()}"


class Slow:
    """A file that arrives in pieces, and perhaps breaks off."""

    def __init__(self, body: bytes, seconds: float = 0.05, breaks_at: float = 1) -> None:
        self._body, self._seconds, self._breaks_at = body, seconds, breaks_at
        self.go_on = threading.Event()

    def __iter__(self) -> Iterator[bytes]:
        size = len(self._body) // 40
        for start in range(0, len(self._body), size):
            if start > len(self._body) * self._breaks_at:
                raise ConnectionError("the cable was pulled")
            yield self._body[start : start + size]
            self.go_on.wait(self._seconds)


def find(send: SendImport, key: str) -> Json:
    items: list[Json] = send.get("/v1/product-imports", idempotency_key=key).json()["items"]
    return items[0] if items else {"state": "none", "rows": 0}


def wait_for_rows(send: SendImport, key: str, least: int) -> Json:
    deadline = time.monotonic() + 100
    while (found := find(send, key))["rows"] < least:
        assert time.monotonic() < deadline, found
        time.sleep(0.05)
    return found


def send_until_taken(send: SendImport, body: bytes, key: str) -> httpx2.Response:
    """As a sender does whose predecessor may still have the lock."""
    deadline = time.monotonic() + 100
    while (answer := send(body, key=key)).status_code == 409:
        assert answer.json()["code"] == "request_in_progress"
        assert time.monotonic() < deadline
        time.sleep(0.5)
    return answer


def revisions(connections: Connections, mark: str) -> set[tuple[int, int]]:
    """How many products of the file there are at each revision: one per product means written once."""
    query = "SELECT revision, COUNT(*) FROM product_revisions WHERE product LIKE :mark GROUP BY revision"
    with connections.engine.connect() as connection:
        return {(row[0], row[1]) for row in connection.execute(sa.text(query), {"mark": f"{mark}-%"})}


def test_a_broken_connection_costs_at_most_a_batch(send: SendImport, connections: Connections) -> None:
    mark, key = new_mark(), uuid.uuid4().hex
    body = file_of(mark, 4000)
    with pytest.raises(ConnectionError):
        send(Slow(body, breaks_at=0.7), key=key)
    left = wait_for_rows(send, key, 2000)
    answer = send_until_taken(send, body, key)
    report = answer.json()
    assert (report["state"], report["rows"], report["created"], report["failed"]) == ("done", 4000, 4000, 0)
    assert report["id"] == left["id"]
    assert revisions(connections, mark) == {(1, 4000)}


def test_a_killed_process_is_taken_over_by_another(bed: Testbed, send: SendImport, connections: Connections) -> None:
    mark, key = new_mark(), uuid.uuid4().hex
    body = file_of(mark, 4000)
    with bed.another_api() as address, httpx2.Client(base_url=address, timeout=60) as http:
        upload = threading.Thread(target=send_and_lose, args=(send.at(http), Slow(body, 0.2), key))
        upload.start()
        wait_for_rows(send, key, 1000)
        bed.processes[f"api-{address.rpartition(':')[2]}"].kill()
        upload.join()
    assert send(b"product,sku\nA,A\n", key=key).status_code in (409, 422)
    report = send_until_taken(send, body, key).json()
    assert (report["state"], report["rows"], report["created"], report["failed"]) == ("done", 4000, 4000, 0)
    assert revisions(connections, mark) == {(1, 4000)}


def send_and_lose(send: SendImport, body: Slow, key: str) -> None:
    with pytest.raises(httpx2.HTTPError):
        send(body, key=key)


def test_another_file_is_not_taken_for_the_rest_of_the_first(send: SendImport) -> None:
    mark, key = new_mark(), uuid.uuid4().hex
    body = file_of(mark, 3000)
    with pytest.raises(ConnectionError):
        send(Slow(body, breaks_at=0.8), key=key)
    wait_for_rows(send, key, 1000)
    for other in (body.replace(b"1999", b"1998", 1), body[: len(body) // 10], b"", file_of(new_mark(), 3000)):
        answer = send_until_taken(send, other, key)
        assert (answer.status_code, answer.json()["code"]) == (422, "import_file_changed"), answer.text
    assert send_until_taken(send, body, key).json()["created"] == 3000


def test_a_finished_import_answers_again_and_writes_nothing(send: SendImport, connections: Connections) -> None:
    mark, key = new_mark(), uuid.uuid4().hex
    body = file_of(mark, 3) + b"BAD,Bad,nobody,tests,BAD,1,1,\n"
    first = send(body, key=key)
    again = send(body, key=key)
    assert (first.status_code, again.json()) == (200, first.json())
    assert revisions(connections, mark) == {(1, 3)}
    answer = send(body + rows(mark, 1, 3), key=key)
    assert (answer.status_code, answer.json()["code"]) == (422, "import_file_changed")
    answer = send(b"{}", "application/x-ndjson", key=key)
    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused")


def test_of_two_senders_one_has_to_wait(send: SendImport) -> None:
    mark, key = new_mark(), uuid.uuid4().hex
    slow = Slow(file_of(mark, 2000), 0.3)
    answers: list[httpx2.Response] = []
    first = threading.Thread(target=lambda: answers.append(send(slow, key=key)))
    first.start()
    wait_for_rows(send, key, 0)
    while find(send, key)["state"] != "running":
        time.sleep(0.05)
    second = send(file_of(mark, 2000), key=key)
    slow.go_on.set()
    first.join()
    assert (second.status_code, second.json()["code"]) == (409, "request_in_progress")
    assert answers[0].json()["created"] == 2000


def events(response: httpx2.Response) -> Iterator[tuple[str, str, Json]]:
    """Name, id and data of each event of the stream."""
    event: dict[str, str] = {}
    for line in response.iter_lines():
        if match := re.fullmatch(r"(event|id|data): (.*)", line):
            event[match[1]] = match[2]
        elif not line and "event" in event:
            yield event["event"], event["id"], json.loads(event["data"])
            event = {}


def test_progress_comes_from_any_process_and_ends_with_the_report(
    bed: Testbed, api: httpx2.Client, send: SendImport
) -> None:
    mark, key = new_mark(), uuid.uuid4().hex
    with bed.another_api() as address, httpx2.Client(base_url=address, timeout=60) as http:
        body = file_of(mark, 4000)
        upload = threading.Thread(target=lambda: send.at(http)(Slow(body, 0.2), key=key))
        upload.start()
        found = wait_for_rows(send, key, 1000)
        path = f"/v1/product-imports/{found['id']}/events"
        with api.stream("GET", path, headers=send.headers, timeout=60) as response:
            reported = list(events(response))
        upload.join()
    names = [name for name, _, _ in reported]
    assert names[-1] == "report"
    assert set(names[:-1]) == {"progress"}
    seen = [data["rows"] for _, _, data in reported]
    assert seen == sorted(seen)
    assert len(set(seen[:-1])) == len(seen) - 1
    assert (reported[-1][2]["state"], reported[-1][2]["rows"], reported[-1][2]["errors"]) == ("done", 4000, [])
    with api.stream("GET", path, headers=send.headers | {"Last-Event-ID": reported[-2][1]}) as response:
        assert [name for name, _, _ in events(response)] == ["report"]
    assert api.get("/v1/product-imports/unknown/events", headers=send.headers).status_code == 404


def test_a_process_that_is_asked_to_end_ends_its_streams_and_imports_first(
    bed: Testbed, send: SendImport, connections: Connections
) -> None:
    mark, key = new_mark(), uuid.uuid4().hex
    body = file_of(mark, 4000)
    answers: list[httpx2.Response] = []
    with bed.another_api() as address, httpx2.Client(base_url=address, timeout=60) as http:
        upload = threading.Thread(target=lambda: answers.append(send.at(http)(Slow(body, 0.2), key=key)))
        upload.start()
        found = wait_for_rows(send, key, 1000)
        with http.stream("GET", f"/v1/product-imports/{found['id']}/events", headers=send.headers) as response:
            reported = events(response)
            next(reported)
            process = bed.processes[f"api-{address.rpartition(':')[2]}"]
            process.terminate()
            list(reported)
        upload.join()
        assert process.wait(60) == 0
    assert (answers[0].status_code, answers[0].json()["code"]) == (503, "unavailable")
    assert find(send, key)["state"] == "interrupted"
    assert send_until_taken(send, body, key).json()["created"] == 4000
    assert revisions(connections, mark) == {(1, 4000)}


def peak_memory(pid: int) -> int:
    """The most bytes the process has had in memory at once."""
    with open(f"/proc/{pid}/status") as status:  # noqa: PTH123
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))


@pytest.mark.timeout(900)
def test_a_hundred_thousand_rows_take_no_more_memory_than_a_few(bed: Testbed, send: SendImport) -> None:
    """A quarter is written, the rest refused, so that the errors, too, are seen not to stay in memory."""
    mark, description = new_mark(), "A long text. " * 60

    def body(count: int) -> Iterator[bytes]:
        yield f"{HEADER}\n".encode()
        for start in range(0, count, ROWS_AT_ONCE):
            brand = "testbrand" if start % 1000 == 0 else "nobody"
            yield rows(f"{mark}-{count}", ROWS_AT_ONCE, start, brand=brand, description=description)

    with bed.another_api() as address, httpx2.Client(base_url=address, timeout=600) as http:
        pid = bed.processes[f"api-{address.rpartition(':')[2]}"].pid
        sender = send.at(http)
        assert sender(body(5000)).json()["rows"] == 5000
        before = peak_memory(pid)
        headers = send.headers | {"Content-Type": "text/csv", "Idempotency-Key": uuid.uuid4().hex}
        report = http.post("/v1/products:import", content=body(100_000), headers=headers).json()
        grown = peak_memory(pid) - before
    assert (report["rows"], report["created"], report["failed"]) == (100_000, 25_000, 75_000)
    assert report["errors_kept"] == 10_000
    assert report["bytes_done"] > 80_000_000
    assert grown < 20_000_000
