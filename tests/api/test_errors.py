"""Whatever is wrong with a request, the answer is a problem with a stable code, and nothing is written."""

import json
from collections.abc import Iterator

import httpx2
import pytest
import sqlalchemy as sa

from adapters.connections import Connections
from adapters.mysql.tables.identity import users
from adapters.mysql.tables.orders import orders
from adapters.mysql.tables.shared import idempotency_keys
from tests.fixture_types import Customer, Json, MakeProduct

PROBLEM = "application/problem+json"
JSON = {"Content-Type": "application/json"}


def check_problem(answer: httpx2.Response, status: int, code: str) -> Json:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == PROBLEM
    problem: Json = answer.json()
    assert (problem["status"], problem["code"]) == (status, code)
    assert {"type", "title", "detail", "instance"} <= problem.keys()
    for trace in ("Traceback", "sqlalchemy", "pymysql", 'File "'):
        assert trace not in answer.text
    return problem


def counts(connections: Connections) -> list[int]:
    with connections.engine.connect() as connection:
        tables = (users, orders, idempotency_keys)
        return [connection.scalar(sa.select(sa.func.count()).select_from(table)) or 0 for table in tables]


@pytest.fixture
def nothing_written(connections: Connections, customer: Customer) -> Iterator[None]:
    before = counts(connections)
    yield
    assert counts(connections) == before


@pytest.mark.usefixtures("nothing_written")
@pytest.mark.parametrize("body", ["{", "", "nonsense", '{"email": }', "\x00", "{'a': 1}"])
def test_a_body_that_is_not_json_is_malformed(api: httpx2.Client, body: str) -> None:
    answer = api.post("/v1/users", content=body, headers=JSON)
    if body:
        check_problem(answer, 400, "malformed_json")
    else:
        check_problem(answer, 422, "invalid_request")


@pytest.mark.usefixtures("nothing_written")
@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        {"email": "not an address", "password": "long enough secret", "name": "A"},
        {"email": "a@shop.example.com", "password": "short", "name": "A"},
        {"email": "a@shop.example.com", "password": "long enough secret", "name": " "},
        {"email": "a@shop.example.com", "password": "long enough secret", "name": "a\u0000b"},
        {"email": "a@shop.example.com", "password": "long enough secret", "name": "A", "roles": ["admin"]},
        {"email": "a@shop.example.com", "password": "x" * 129, "name": "A"},
    ],
)
def test_what_is_not_acceptable_is_named_and_not_repeated(api: httpx2.Client, body: object) -> None:
    answer = api.post("/v1/users", json=body)
    problem = check_problem(answer, 422, "invalid_request")
    assert all({"pointer", "code", "detail"} <= error.keys() for error in problem["errors"])
    assert "long enough secret" not in answer.text


@pytest.mark.usefixtures("nothing_written")
def test_a_body_of_two_megabytes_is_too_large(api: httpx2.Client, customer: Customer) -> None:
    big = json.dumps({"filler": "x" * 2_000_000})
    for path in ("/v1/users", "/v1/checkouts", "/oauth2/token", "/v1/webhooks/stripe"):
        check_problem(api.post(path, content=big, headers=JSON | customer.headers), 413, "body_too_large")


@pytest.mark.usefixtures("nothing_written")
def test_a_body_whose_length_is_not_announced_is_too_large_as_well(api: httpx2.Client) -> None:
    def chunks() -> Iterator[bytes]:
        for _ in range(40):
            yield b"x" * 50_000

    check_problem(api.post("/v1/users", content=chunks(), headers=JSON), 413, "body_too_large")


def test_unknown_places_and_methods_are_problems(api: httpx2.Client) -> None:
    check_problem(api.get("/v1/nothing"), 404, "not_found")
    check_problem(api.get("/v1/users"), 405, "method_not_allowed")


@pytest.mark.usefixtures("nothing_written")
@pytest.mark.parametrize("quantity", [0, -1, 10**9, 1.5, "NaN", "2", None, True, [], 2**70])
def test_a_quantity_is_a_whole_number_of_units(
    api: httpx2.Client, customer: Customer, make_product: MakeProduct, quantity: object
) -> None:
    answer = api.put(f"/v1/cart/items/{make_product()}", json={"quantity": quantity}, headers=customer.headers)
    check_problem(answer, 422, "invalid_request")
    assert api.get("/v1/cart", headers=customer.headers).json()["version"] == 0


@pytest.mark.parametrize("literal", ["NaN", "Infinity", "-Infinity", "1e400"])
def test_numbers_that_json_does_not_know_are_refused(
    api: httpx2.Client, customer: Customer, make_product: MakeProduct, literal: str
) -> None:
    content = f'{{"quantity": {literal}}}'
    answer = api.put(f"/v1/cart/items/{make_product()}", content=content, headers=JSON | customer.headers)
    assert answer.status_code in (400, 422)
    assert answer.headers["content-type"] == PROBLEM


@pytest.mark.parametrize("sku", ["NO-SUCH", "no-such", "ÜBER", "A" * 300, "A'--", "%00"])
def test_an_unknown_sku_is_refused_everywhere(api: httpx2.Client, customer: Customer, sku: str) -> None:
    answer = api.put(f"/v1/cart/items/{sku}", json={"quantity": 1}, headers=customer.headers)
    check_problem(answer, 422, "unknown_product")
    check_problem(api.get(f"/v1/products/{sku}"), 404, "not_found")


@pytest.mark.parametrize("path", ["/v1/products?limit=0", "/v1/products?sort=colour", "/v1/products?min_price=-1"])
def test_a_parameter_out_of_bounds_is_named(api: httpx2.Client, path: str) -> None:
    (error,) = check_problem(api.get(path), 422, "invalid_request")["errors"]
    assert error["pointer"].startswith("query/")
