"""Exports of products: what goes out comes back as it was, and no spreadsheet calculates it."""

import csv
import io
import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import httpx2
import pytest

from adapters.connections import Connections
from adapters.mysql.catalog.exports import product_pages
from adapters.mysql.catalog.products import Catalog
from domain.catalog import ALWAYS, ProductStatus, TaxClass
from schemas.catalog import Image, Price, Product, Variant
from schemas.product_edits import InvalidProduct, checked
from schemas.product_files import as_edit
from tests.api.conftest import SendImport
from workers.product_download import Download, FileFormat

FORMS = {"csv": "text/csv", "ndjson": "application/x-ndjson"}
MOMENT = datetime(2026, 3, 4, 5, 6, 7, 891234, tzinfo=UTC)


def hard_to_write(code: str) -> Product:
    """Everything that a file could lose."""
    sale = Price(amount=990, currency="EUR", valid_from=MOMENT, valid_to=datetime(2030, 1, 1, tzinfo=UTC))
    regular = [Price(amount=amount, currency=of, valid_from=ALWAYS) for amount, of in ((1999, "EUR"), (0, "JPY"))]
    ends = Price(amount=2499, currency="USD", valid_from=ALWAYS, valid_to=MOMENT)
    return Product(
        code=code,
        name='Café “Ä”, 5" wide',
        description="=1+1 is calculated\n\nand 'quoted', \"doubly\"; '=so",
        brand="testbrand",
        category="tests",
        attributes={
            "temperature": "-20 °C",
            "text of digits": "007",
            "text of a number": "42",
            "number": 42,
            "fraction": 1.5,
            "yes": True,
            "text of truth": "true",
            "list": ["=a", "b, c", '"d"'],
            "bracket": "[not a list",
            "apostrophe": "'=x",
            "dial": "+49",
        },
        options=["size", "colour"],
        tax_class=TaxClass.REDUCED,
        status=ProductStatus.DRAFT,
        popularity=7,
        variants=[
            Variant(
                sku=f"{code}-B",
                options={"size": "-1", "colour": "=red"},
                weight_grams=0,
                length_mm=10,
                barcode="4006381333931",
                prices=[*regular, sale, ends],
            ),
            Variant(sku=f"{code}-A", options={"size": "1", "colour": "blue"}, weight_grams=5),
            Variant(sku=f"{code}-OLD", options={"gone": "yes"}, weight_grams=5, active=False),
        ],
        images=[
            Image(url="https://images.example.com/a.jpg", alt='A, "view"', sku=f"{code}-A"),
            Image(url="https://images.example.com/b.jpg"),
        ],
        created_at=MOMENT,
        updated_at=MOMENT,
    )


def formerly_with_options(code: str) -> Product:
    """No options any more; an old variant has one, of a name that the database takes for another's."""
    variants = [
        Variant(sku=f"{code}-NOW", weight_grams=5),
        Variant(sku=f"{code}-OLD", options={"Colour": "red"}, weight_grams=5, active=False),
    ]
    fields = {"options": [], "variants": variants, "images": []}
    return hard_to_write(code).model_copy(update=fields)


@pytest.fixture
def kept(connections: Connections) -> Product:
    code = f"EXP-{uuid.uuid4().hex[:12].upper()}"
    catalog = Catalog(connections.engine)
    catalog.put_many([hard_to_write(code), formerly_with_options(f"{code}-PLAIN")])
    found = catalog.product(code)
    assert found is not None
    return found


@pytest.mark.parametrize("form", FORMS)
def test_an_export_that_is_imported_changes_nothing(
    send: SendImport, connections: Connections, kept: Product, form: str
) -> None:
    answer = send.get("/v1/products:export", format=form)
    assert answer.status_code == 200
    assert answer.headers["content-disposition"] == f'attachment; filename="products.{form}"'
    report = send(answer.content, FORMS[form]).json()
    fit = [is_fit(product) for page in product_pages(connections.engine) for product in page]
    assert (report["unchanged"], report["created"], report["updated"]) == (sum(fit), 0, 0), report
    assert Catalog(connections.engine).product(kept.code) == kept


def is_fit(product: Product) -> bool:
    """Whether staff could have entered it: other tests write products past every check."""
    try:
        return bool(checked(as_edit(product)))
    except InvalidProduct:
        return False


@pytest.mark.parametrize("form", FORMS)
def test_an_export_restores_what_was_changed_since(
    send: SendImport, connections: Connections, kept: Product, form: str
) -> None:
    catalog = Catalog(connections.engine)
    exported = send.get("/v1/products:export", format=form).content
    variants = [kept.variants[0].model_copy(update={"prices": [], "length_mm": None, "barcode": None})]
    catalog.put_many([kept.model_copy(update={"name": "X", "variants": variants, "images": [], "attributes": {}})])
    report = send(exported, FORMS[form]).json()
    assert report["updated"] == 1, report
    restored = catalog.product(kept.code)
    assert restored is not None
    same = {"version": kept.version, "updated_at": kept.updated_at}
    assert restored.model_copy(update=same) == kept


class Breaking:
    """The API, whose answers break off after so many bytes, the last one excepted."""

    def __init__(self, send: SendImport, api: httpx2.Client, *breaks: int) -> None:
        self._send, self._api, self._breaks = send, api, [*breaks]
        self.asked: list[str | None] = []

    @contextmanager
    def stream(self, method: str, path: str, params: dict[str, str]) -> Iterator[SimpleNamespace]:
        self.asked.append(params.get("after"))
        with self._api.stream(method, path, params=params, headers=self._send.headers, timeout=60) as answer:
            body, status, headers = answer.iter_bytes(1000), answer.status_code, answer.headers
            yield SimpleNamespace(status_code=status, headers=headers, iter_bytes=lambda _: self._cut(body))

    def _cut(self, body: Iterator[bytes]) -> Iterator[bytes]:
        left = self._breaks.pop(0) if self._breaks else None
        for chunk in body:
            if left is not None and left <= len(chunk):
                yield chunk[:left]
                raise httpx2.ReadError("the cable was pulled")
            left = None if left is None else left - len(chunk)
            yield chunk


@pytest.mark.parametrize("form", FORMS)
def test_a_download_that_breaks_goes_on_after_the_last_whole_product(
    send: SendImport, api: httpx2.Client, connections: Connections, kept: Product, tmp_path: Path, form: FileFormat
) -> None:
    Catalog(connections.engine).put_many([hard_to_write(f"{kept.code}-{n}") for n in range(20)])
    whole = send.get("/v1/products:export", format=form)
    breaking = Breaking(send, api, len(whole.content) // 2, 5000, 5)
    reported: list[tuple[int, int]] = []
    target = tmp_path / "products"
    Download(breaking, form, target, ValueError).run(lambda *now: reported.append(now), pause=0)
    assert target.read_bytes() == whole.content
    assert len(set(breaking.asked)) == 3, breaking.asked
    assert len(breaking.asked) == 4
    total = int(whole.headers["Product-Count"])
    assert reported == [(number, total) for number in range(1, total + 1)]


def test_only_products_behind_a_code_are_exported_when_asked(send: SendImport, kept: Product) -> None:
    everything = send.get("/v1/products:export")
    codes = [json.loads(line)["code"] for line in everything.text.splitlines()]
    assert int(everything.headers["Product-Count"]) == len(codes)
    rest = send.get("/v1/products:export", after=kept.code)
    behind = codes[codes.index(kept.code) + 1 :]
    assert [json.loads(line)["code"] for line in rest.text.splitlines()] == behind
    assert int(rest.headers["Product-Count"]) == len(behind)
    assert send.get("/v1/products:export", after="ä").status_code == 422


def test_no_cell_of_a_csv_export_is_a_formula(send: SendImport, kept: Product) -> None:
    table = list(csv.reader(io.StringIO(send.get("/v1/products:export", format="csv").text, newline="")))
    assert {len(cells) for cells in table} == {len(table[0])}
    mine = [dict(zip(table[0], cells, strict=True)) for cells in table if cells[0] == kept.code]
    assert [row["sku"][-2:] for row in mine] == ["-B", "-A", "LD"]
    assert mine[0]["option:colour"] == "'=red"
    assert mine[0]["attr:temperature"] == "'-20 °C"
    assert mine[0]["price:EUR"].split()[0] == "1999"
    acting = [cell for cells in table for cell in cells if cell[:1] in tuple("=+-@") and not is_number(cell)]
    assert acting == []


def is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def test_a_line_of_ndjson_is_what_the_catalog_takes(send: SendImport, kept: Product) -> None:
    lines = send.get("/v1/products:export").text.splitlines()
    mine = next(json.loads(line) for line in lines if f'"{kept.code}"' in line)
    mine["code"] = f"{kept.code}-COPY"
    mine["variants"] = [one | {"sku": f"{one['sku']}-COPY"} for one in mine["variants"]]
    mine["images"] = []
    answer = send.post("/v1/products", json=mine, headers={"Idempotency-Key": uuid.uuid4().hex})
    assert answer.status_code == 201, answer.text
