"""Imports of products over HTTP on the real stores: hostile files are reported by line, nothing is half-written."""

import json
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import httpx2
import pytest

from adapters.connections import Connections
from adapters.mysql.catalog.products import Catalog
from schemas.product_files import MOST_FAULTS
from tests.api.conftest import SendImport
from tests.fixture_types import Json

CSV, NDJSON = "text/csv", "application/x-ndjson"
HEADER = "product,name,brand,category,sku,weight_grams,price:EUR,description,attr:material"
UPLOAD_LIMIT = 20 * 1024 * 1024


@pytest.fixture(scope="module")
def catalog(connections: Connections) -> Catalog:
    return Catalog(connections.engine)


def number() -> str:
    return f"IMP-{uuid.uuid4().hex[:12].upper()}"


def row(product: str, sku: str | None = None, **cells: str) -> str:
    known = {"name": "A thing", "brand": "testbrand", "category": "tests", "weight_grams": "500", "price:EUR": "1999"}
    values = {"product": product, "sku": product if sku is None else sku} | known | cells
    return ",".join(values.get(title, "") for title in HEADER.split(","))


def csv_of(*rows: str, header: str = HEADER) -> bytes:
    return "\n".join([header, *rows, ""]).encode()


def line_of(code: str, /, **changes: object) -> str:
    variant = {"sku": code, "weight_grams": 500, "prices": [{"amount": 1999, "currency": "EUR"}]}
    base = {"code": code, "name": "A thing", "brand": "testbrand", "category": "tests", "variants": [variant]}
    return json.dumps(base | changes)


def errors(answer: httpx2.Response) -> set[tuple[int, str, str]]:
    assert answer.status_code == 200, answer.text
    return {(one["line"], one["field"], one["code"]) for one in answer.json()["errors"]}


def counts(answer: httpx2.Response) -> dict[str, int]:
    assert answer.status_code == 200, answer.text
    report = answer.json()
    return {name: report[name] for name in ("rows", "failed", "created", "updated", "unchanged") if report[name]}


@pytest.mark.parametrize("form", [CSV, NDJSON])
def test_a_file_makes_products_and_changes_them(send: SendImport, catalog: Catalog, form: str) -> None:
    code = number()
    first = csv_of(row(code)) if form == CSV else line_of(code).encode()
    answer = send(first, form)
    assert counts(answer) == {"rows": 1, "created": 1}
    assert answer.headers["Location"] == f"/v1/product-imports/{answer.json()['id']}"
    assert counts(send(first, form)) == {"rows": 1, "unchanged": 1}
    second = csv_of(row(code, name="Renamed")) if form == CSV else line_of(code, name="Renamed").encode()
    assert counts(send(second, form)) == {"rows": 1, "updated": 1}
    made = catalog.product(code)
    assert made is not None
    assert (made.name, made.version) == ("Renamed", 2)


def test_what_a_file_does_not_name_stays_as_it_is(send: SendImport, catalog: Catalog) -> None:
    code = number()
    assert counts(send(csv_of(row(code, description="Kept", **{"attr:material": "oak"})))) == {"rows": 1, "created": 1}
    only_price = csv_of(f"{code},{code},990", header="product,sku,price:EUR")
    assert counts(send(only_price)) == {"rows": 1, "updated": 1}
    assert counts(send(line_of(code, variants=[{"sku": code, "barcode": "4006381333931"}]), NDJSON))["updated"] == 1
    made = catalog.product(code)
    assert made is not None
    assert (made.description, made.attributes, made.variants[0].weight_grams) == ("Kept", {"material": "oak"}, 500)
    assert (made.variants[0].prices[0].amount, made.variants[0].barcode) == (990, "4006381333931")


def test_rows_are_variants_and_one_that_is_not_named_ends(send: SendImport, catalog: Catalog) -> None:
    code, header = number(), f"{HEADER},option:colour"
    rows = [f"{row(code, f'{code}-{n}')},{colour}" for n, colour in enumerate(("red", "blue"), 1)]
    assert counts(send(csv_of(*rows, header=header))) == {"rows": 2, "created": 1}
    assert counts(send(csv_of(rows[0], header=header))) == {"rows": 1, "updated": 1}
    made = catalog.product(code)
    assert made is not None
    assert [(one.sku, one.options, one.active) for one in made.variants] == [
        (f"{code}-1", {"colour": "red"}, True),
        (f"{code}-2", {"colour": "blue"}, False),
    ]


BAD_ROWS: dict[str, tuple[dict[str, str], str, str]] = {
    "negative price": ({"price:EUR": "-5"}, "price:EUR", "greater_than_equal"),
    "price with a comma": ({"price:EUR": "19.99"}, "price:EUR", "price_format"),
    "formula in a name": ({"name": "=cmd|' /C calc'!A0"}, "name", "formula"),
    "guarded formula in a name": ({"name": "'=1+1"}, "name", "formula"),
    "formula in a description": ({"description": "+49 170"}, "description", "formula"),
    "formula in an attribute": ({"attr:material": "@SUM(A1)"}, "attr:material", "formula"),
    "HTML in a name": ({"name": "<script>alert(1)</script>"}, "name", "html"),
    "HTML in an attribute": ({"attr:material": "<img src=x onerror=y>"}, "attr:material", "html"),
    "control character": ({"name": "a\x07b"}, "name", "control_characters"),
    "no name": ({"name": ""}, "name", "missing"),
    "unknown brand": ({"brand": "nobody"}, "brand", "unknown_brand"),
    "unknown category": ({"category": "nowhere"}, "category", "unknown_category"),
    "weight in words": ({"weight_grams": "heavy"}, "weight_grams", "int_type"),
    "negative weight": ({"weight_grams": "-1"}, "weight_grams", "greater_than_equal"),
    "no weight": ({"weight_grams": ""}, "weight_grams", "missing"),
    "very large number": ({"weight_grams": "9" * 4000}, "weight_grams", "int_type"),
    "lower case SKU": ({"sku": "abc"}, "sku", "string_pattern_mismatch"),
    "no SKU": ({"sku": ""}, "sku", "string_pattern_mismatch"),
    "SKU that MySQL cannot compare": ({"sku": "ÄÖÜ"}, "sku", "string_pattern_mismatch"),
}


def test_each_bad_cell_refuses_its_product_alone(send: SendImport, catalog: Catalog) -> None:
    """One file with every bad row between good ones."""
    codes = {kind: number() for kind in BAD_ROWS}
    good = [number() for _ in BAD_ROWS]
    rows: list[str] = []
    for (kind, (cells, _, _)), fine in zip(BAD_ROWS.items(), good, strict=True):
        sku = cells.get("sku", codes[kind])
        rows += [row(codes[kind], **({name: one for name, one in cells.items() if name != "sku"} | {"sku": sku}))]
        rows += [row(fine)]
    answer = send(csv_of(*rows))
    assert answer.status_code == 200, answer.text
    found = {one["line"]: one for one in all_errors(send, answer)}
    expected = {2 * n + 2: wanted for n, (_, *wanted) in enumerate(BAD_ROWS.values())}
    assert {line: [one["field"], one["code"]] for line, one in found.items()} == expected
    assert counts(answer) == {"rows": 2 * len(BAD_ROWS), "failed": len(BAD_ROWS), "created": len(BAD_ROWS)}
    assert catalog.products(list(codes.values())) == {}
    assert len(catalog.products(good)) == len(good)


def all_errors(send: SendImport, answer: httpx2.Response) -> list[Json]:
    path = f"/v1/product-imports/{answer.json()['id']}/errors"
    items: list[Json] = []
    cursor = None
    while True:
        page = send.get(path, limit=7, **({"cursor": cursor} if cursor else {})).json()
        items += page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            return items


BAD_LINES: dict[str, tuple[bytes, str]] = {
    "too few columns": (b"X,Y", "wrong_columns"),
    "too many columns": (b"X," * 50, "wrong_columns"),
    "a quote that is not closed": (b'X,"a thing,testbrand,tests,X,500,1,,', "unclosed_quote"),
    "a quote inside a cell": (b'X,"a"b,testbrand,tests,X,500,1,,', "malformed_csv"),
    "not UTF-8": (b"X,\xff\xfe thing,testbrand,tests,X,500,1,,", "invalid_utf8"),
    "Latin-1": ("X,Möbel,testbrand,tests,X,500,1,,".encode("latin-1"), "invalid_utf8"),
    "ten megabytes": (b"X," + b"a" * 10_000_000 + b",testbrand,tests,X,500,1,,", "line_too_long"),
}


@pytest.mark.parametrize("kind", BAD_LINES)
def test_a_line_that_cannot_be_read_spoils_its_product_alone(send: SendImport, catalog: Catalog, kind: str) -> None:
    bad, code = BAD_LINES[kind]
    before, after, broken = number(), number(), number()
    body = csv_of(row(before), "MARK", row(after)).replace(b"MARK", bad.replace(b"X", broken.encode()))
    answer = send(body)
    assert errors(answer) == {(3, "", code)}
    assert counts(answer) == {"rows": 3, "failed": 1, "created": 2}
    assert catalog.products([before, after, broken]).keys() == {before, after}


def test_one_bad_row_refuses_all_rows_of_its_product_each_named(send: SendImport, catalog: Catalog) -> None:
    code, other, header = number(), number(), f"{HEADER},option:size"
    rows = [f"{row(code, f'{code}-{n}')},{n}" for n in (1, 2, 3)]
    rows[1] = rows[1].replace("1999", "-1")
    answer = send(csv_of(*rows, f"{row(other)},", header=header))
    refused = (2, "product", "product_refused"), (4, "product", "product_refused")
    assert errors(answer) == {(3, "price:EUR", "greater_than_equal"), *refused}
    assert counts(answer) == {"rows": 4, "failed": 3, "created": 1}
    assert catalog.product(code) is None


def test_a_line_that_nobody_knows_whose_it_is_spoils_both_its_neighbours(send: SendImport, catalog: Catalog) -> None:
    before, after, far = number(), number(), number()
    answer = send(csv_of(row(before), "\x00garbage".replace("\x00", "%"), row(after), row(far)))
    assert (3, "", "wrong_columns") in errors(answer)
    assert {line for line, _, code in errors(answer) if code == "product_refused"} == {2, 4}
    assert catalog.products([before, after, far]).keys() == {far}


def test_a_quoted_cell_may_contain_lines_and_commas(send: SendImport, catalog: Catalog) -> None:
    code, after = number(), number()
    answer = send(csv_of(row(code, description='"First, with ""quotes""\r\n\r\nThird"'), row(after)))
    assert counts(answer) == {"rows": 2, "created": 2}
    made = catalog.product(code)
    assert made is not None
    assert made.description == 'First, with "quotes"\n\nThird'


def test_numbers_stand_once_in_a_file_and_belong_to_one_product(send: SendImport, catalog: Catalog) -> None:
    taken, first, second, third = (number() for _ in range(4))
    assert counts(send(csv_of(row(taken)))) == {"rows": 1, "created": 1}
    many = [row(number()) for _ in range(1200)]  # more than a batch between the first and its repetition
    rows = [row(first), row(second, taken), *many, row(third, first), row(first), row(taken, second)]
    answer = send(csv_of(*rows))
    assert errors(answer) == {
        (3, "sku", "sku_taken"),
        (1204, "sku", "duplicate_sku"),
        (1205, "sku", "duplicate_sku"),
    }
    assert counts(answer) == {"rows": 1205, "failed": 3, "created": 1201, "updated": 1}
    assert catalog.products([second, third]) == {}


def test_scattered_rows_of_a_product_do_not_end_its_other_variants(send: SendImport, catalog: Catalog) -> None:
    code, header = number(), f"{HEADER},option:size"
    rows = [f"{row(code, f'{code}-1')},1", f"{row(number())},", f"{row(code, f'{code}-2')},2"]
    answer = send(csv_of(*rows, header=header))
    assert errors(answer) == {(4, "product", "product_again")}
    made = catalog.product(code)
    assert made is not None
    assert [(one.sku, one.active) for one in made.variants] == [(f"{code}-1", True)]


def test_rows_of_a_product_must_agree(send: SendImport) -> None:
    code, header = number(), f"{HEADER},option:size"
    rows = [f"{row(code, f'{code}-1')},1", f"{row(code, f'{code}-2', name='Another')},2"]
    answer = send(csv_of(*rows, header=header))
    assert errors(answer) == {(3, "name", "conflicting_rows"), (2, "product", "product_refused")}


def test_a_product_of_too_many_rows_is_refused_without_its_neighbours(send: SendImport, catalog: Catalog) -> None:
    code, after, header = number(), number(), f"{HEADER},option:size"
    rows = [f"{row(code, f'{code}-{n}')},{n}" for n in range(450)]
    answer = send(csv_of(*rows, f"{row(after)},", header=header))
    assert (2, "product", "product_too_large") in errors(answer)
    assert counts(answer) == {"rows": 451, "failed": 450, "created": 1}
    assert catalog.products([code, after]).keys() == {after}


BAD_JSON: dict[str, tuple[Callable[[str], bytes], str, str]] = {
    "not JSON": (lambda _: b"{", "", "malformed_json"),
    "not an object": (lambda _: b"[1, 2]", "", "malformed_json"),
    "NaN": (lambda code: line_of(code, popularity=float("nan")).encode(), "", "malformed_json"),
    "very deep": (lambda _: b"[" * 100_000, "", "malformed_json"),
    "a number of 5,000 digits": (lambda _: b'{"popularity": ' + b"9" * 5000 + b"}", "", "malformed_json"),
    "not UTF-8": (lambda code: line_of(code).encode().replace(b"thing", b"\xff"), "", "invalid_utf8"),
    "unknown field": (lambda code: line_of(code, colour="red").encode(), "colour", "extra_forbidden"),
    "lone surrogate": (lambda code: line_of(code, name="\ud800").encode(), "name", "control_characters"),
    "negative price": (
        lambda code: line_of(code).replace("1999", "-1").encode(),
        "variants/0/prices/0/amount",
        "greater_than_equal",
    ),
    "duplicate SKU": (
        lambda code: line_of(code, variants=[{"sku": code, "weight_grams": 1}] * 2).encode(),
        "variants/1/sku",
        "duplicate_sku",
    ),
    "variants of another type": (lambda code: line_of(code, variants=7).encode(), "variants", "list_type"),
    "a code of another type": (lambda code: line_of(code, code=["x"]).encode(), "code", "string_type"),
    "ten megabytes": (lambda code: line_of(code, description="a" * 10_000_000).encode(), "", "line_too_long"),
}


@pytest.mark.parametrize("kind", BAD_JSON)
def test_a_bad_line_of_ndjson_is_reported_and_the_rest_goes_on(send: SendImport, catalog: Catalog, kind: str) -> None:
    make, field, code = BAD_JSON[kind]
    before, broken, after = number(), number(), number()
    body = b"\n".join([line_of(before).encode(), make(broken), line_of(after).encode()])
    answer = send(body, NDJSON)
    assert (2, field, code) in errors(answer), answer.text
    assert {line for line, _, _ in errors(answer)} == {2}
    assert catalog.products([before, broken, after]).keys() == {before, after}


def test_of_forty_thousand_faults_the_first_are_reported_and_that_more_exist(
    send: SendImport, catalog: Catalog
) -> None:
    broken, after = number(), number()
    variants = [{"sku": f"{broken}-{n}", "weight_grams": 1, "prices": [{}] * 100} for n in range(200)]
    answer = send(f"{line_of(broken, variants=variants)}\n{line_of(after)}".encode(), NDJSON)
    found = all_errors(send, answer)
    assert len(found) == MOST_FAULTS + 1
    assert {one["code"] for one in found[:-1]} == {"missing"}
    assert (found[-1]["line"], found[-1]["code"]) == (1, "and_more")
    assert counts(answer) == {"rows": 201, "failed": 200, "created": 1}


def test_of_rows_that_all_differ_every_line_is_reported_and_few_of_the_cells(send: SendImport) -> None:
    code, titles = number(), [f"attr:a{n}" for n in range(50)]
    rows = [f"{row(code, f'{code}-{n}')},{','.join([str(n + 1)] * 50)}" for n in range(50)]
    answer = send(csv_of(*rows, header=",".join([HEADER, *titles])))
    found = [(one["line"], one["code"]) for one in all_errors(send, answer)]
    assert {line for line, _ in found} == set(range(2, 52))
    assert [code for _, code in found].count("conflicting_rows") == MOST_FAULTS
    assert [code for _, code in found].count("and_more") == 1


@dataclass(frozen=True)
class Refused:
    body: bytes
    code: str
    form: str = CSV
    status: int = 422


REFUSED = {
    "empty": Refused(b"", "empty_file"),
    "empty NDJSON": Refused(b"\n\n", "empty_file", NDJSON),
    "a header alone": Refused(csv_of(), "empty_file"),
    "UTF-16": Refused(csv_of(row("A")).decode().encode("utf-16"), "wrong_encoding"),
    "UTF-16 without a mark": Refused(csv_of(row("A")).decode().encode("utf-16-le"), "wrong_encoding"),
    "a workbook": Refused(b"PK\x03\x04" + b"x" * 100, "wrong_encoding"),
    "gzip": Refused(b"\x1f\x8b\x08" + b"x" * 100, "wrong_encoding", NDJSON),
    "missing columns": Refused(csv_of(row("A"), header=HEADER.replace("sku", "barcode")), "missing_columns"),
    "unknown columns": Refused(csv_of(header=f"{HEADER},prize:EUR"), "unknown_columns"),
    "an unknown currency": Refused(csv_of(header=f"{HEADER},price:QQQ"), "unknown_columns"),
    "a column twice": Refused(csv_of(header=f"{HEADER},name"), "duplicate_columns"),
    "semicolons": Refused(csv_of(header=HEADER.replace(",", ";")), "wrong_delimiter"),
    "a header of ten megabytes": Refused(b"a" * 10_000_000, "malformed_header"),
    "another type": Refused(b"{}", "unsupported_media_type", "application/json", 415),
    "another charset": Refused(csv_of(row("A")), "wrong_encoding", "text/csv; charset=latin-1"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_no_such_file_is_refused_at_once(send: SendImport, kind: str) -> None:
    wanted = REFUSED[kind]
    answer = send(wanted.body, wanted.form)
    assert (answer.status_code, answer.json()["code"]) == (wanted.status, wanted.code), answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    if import_id := answer.json().get("import_id"):
        report = send.get(f"/v1/product-imports/{import_id}").json()
        assert (report["state"], report["failure"]["code"], report["rows"]) == ("failed", wanted.code, 0)


def test_a_refused_file_may_be_mended_under_the_same_key(send: SendImport) -> None:
    key = uuid.uuid4().hex
    assert send(csv_of(header=f"{HEADER},prize:EUR"), key=key).status_code == 422
    assert counts(send(csv_of(row(number())), key=key)) == {"rows": 1, "created": 1}


def test_a_byte_order_mark_is_no_part_of_the_first_column(send: SendImport) -> None:
    assert counts(send(b"\xef\xbb\xbf" + csv_of(row(number())))) == {"rows": 1, "created": 1}


def test_brands_and_categories_that_are_missing_are_made_when_asked(send: SendImport, catalog: Catalog) -> None:
    code, brand = number(), f"new-{uuid.uuid4().hex[:8]}"
    body = csv_of(row(code, brand=brand, category=f"{brand}-category"))
    assert {code for _, _, code in errors(send(body))} == {"unknown_brand", "unknown_category"}
    assert counts(send(body, create_taxonomy=True)) == {"rows": 1, "created": 1}
    made = catalog.product(code)
    assert made is not None
    assert (made.brand, made.category) == (brand, f"{brand}-category")


def test_only_this_route_takes_large_bodies(send: SendImport, api: httpx2.Client) -> None:
    large: Iterable[bytes] = [csv_of(row(number())), *([b" " * 65535 + b"\n"] * 64)]
    assert counts(send(b"".join(large))) == {"rows": 1, "created": 1}
    assert counts(send(iter(large))) == {"rows": 1, "unchanged": 1}, "chunked, so nobody announced how long it is"
    answer = send.post("/v1/products", content=b"x" * 4_000_000, headers={"Content-Type": "application/json"})
    assert answer.status_code == 413
