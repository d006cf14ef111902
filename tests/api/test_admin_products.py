"""`order-admin products`: files in and out through the running API, as its service account."""

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from functools import partial
from pathlib import Path

import httpx2
import pytest

from adapters.connections import Connections
from adapters.mysql.catalog.products import Catalog
from dev.stack.paths import ROOT
from dev.testbed import Testbed
from tests.api.conftest import SendImport

HEADER = "product,name,brand,category,sku,weight_grams,price:EUR"
COMMAND = [sys.executable, "-m", "workers.admin", "products"]


@pytest.fixture
def mark() -> str:
    return f"CLI-{uuid.uuid4().hex[:10].upper()}"


def run(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:

    command = [*COMMAND, *map(str, arguments)]
    env = {**os.environ, "COLUMNS": "200", **environment}
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False, timeout=110)


def write(file: Path, mark: str, count: int, *more: str) -> Path:
    rows = [f"{mark}-{n},A thing,testbrand,tests,{mark}-{n},500,1999" for n in range(count)]
    file.write_text("\n".join([HEADER, *rows, *more]) + "\n")
    return file


def test_a_file_is_imported_once(api: httpx2.Client, connections: Connections, tmp_path: Path, mark: str) -> None:
    file = write(tmp_path / "products.csv", mark, 20)
    done = run("import", file)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "20 rows: 20 products created, 0 updated, 0 as they were; 0 rows refused" in done.stdout
    repeated = run("import", file)
    assert repeated.returncode == 0
    assert "--again" in repeated.stdout
    again = run("import", file, "--again")
    assert "20 as they were" in again.stdout
    made = Catalog(connections.engine).product(f"{mark}-0")
    assert made is not None


def test_refused_rows_are_reported_and_end_with_status_1(api: httpx2.Client, tmp_path: Path, mark: str) -> None:
    bad = f"{mark}-BAD,<b>Bad</b>,testbrand,tests,{mark}-BAD,500,-5"
    done = run("import", write(tmp_path / "products.csv", mark, 2, bad))
    assert done.returncode == 1
    assert "1 rows refused" in done.stdout
    for word in ("line", "4", "price:EUR", "greater_than_equal", "html"):
        assert word in done.stdout


def test_a_file_that_cannot_be_read_says_why(api: httpx2.Client, tmp_path: Path) -> None:
    file = tmp_path / "products.csv"
    file.write_text("product,sku,prize:EUR\nA,A,1\n")
    done = run("import", file)
    assert done.returncode == 1
    assert "unknown_columns" in done.stdout
    unnamed = run("import", file.rename(tmp_path / "products.txt"))
    assert unnamed.returncode == 2
    assert "--format" in unnamed.stderr


def test_without_an_api_or_a_secret_it_says_what_to_do(tmp_path: Path, mark: str, settings: object) -> None:
    file = write(tmp_path / "products.csv", mark, 1)
    away = run("import", file, ORDERS_API_URL="http://127.0.0.1:9")
    assert away.returncode == 1
    assert "The API did not answer" in away.stdout
    assert f"products import {file} --key order-admin:" in away.stdout
    secretless = run("import", file, ORDERS_ADMIN_CLIENT_SECRET="x" * 40)
    assert secretless.returncode == 1
    assert "ORDERS_ADMIN_CLIENT_SECRET" in secretless.stdout


@pytest.mark.timeout(400)
def test_an_interrupted_import_goes_on_with_the_same_command(
    send: SendImport, connections: Connections, tmp_path: Path, mark: str
) -> None:
    for attempt in range(10):  # a command that was done before it could be interrupted shows nothing
        file = write(tmp_path / "products.csv", f"{mark}{attempt}", 6_000)
        key = f"cli-{uuid.uuid4().hex}"
        interrupted = interrupt_import(send, file, key)
        if interrupted.returncode != 0:
            break
    assert interrupted.returncode == 1
    assert f"--key{key}" in "".join(interrupted.stdout.split()), "however the terminal wraps it"
    assert imports(send, key)[0]["rows"] < 6_000
    second = run("import", file, "--key", key)
    assert second.returncode == 0, second.stdout + second.stderr
    assert "6,000 rows: 6,000 products created" in second.stdout


def interrupt_import(send: SendImport, file: Path, key: str) -> subprocess.CompletedProcess[str]:
    """Interrupt the command as soon as it has imported something."""
    command = [*COMMAND, "import", str(file), "--key", key]
    # A shell that runs the tests in the background has them, and what they start, ignore it.
    heed = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, preexec_fn=heed) as process:  # noqa: PLW1509
        deadline = time.monotonic() + 120
        while not any(one["rows"] for one in imports(send, key)):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=120)
    return subprocess.CompletedProcess(command, process.returncode, output)


def imports(send: SendImport, key: str) -> list[dict[str, int]]:
    items: list[dict[str, int]] = send.get("/v1/product-imports", idempotency_key=key).json()["items"]
    return items


def test_all_products_are_exported(
    bed: Testbed, api: httpx2.Client, connections: Connections, tmp_path: Path, mark: str
) -> None:
    run("import", write(tmp_path / "products.csv", mark, 2))
    done = run("export", tmp_path / "all.ndjson")
    assert done.returncode == 0, done.stdout + done.stderr
    lines = (tmp_path / "all.ndjson").read_text().splitlines()
    assert len(lines) == Catalog(connections.engine).count()
    assert f"{mark}-1" in {json.loads(line)["code"] for line in lines}
    assert list(tmp_path.glob("*.part")) == []
    refused = run("export", tmp_path / "none.csv", ORDERS_API_URL="http://127.0.0.1:9")
    assert refused.returncode == 1
    assert not (tmp_path / "none.csv").exists()
