"""The edge: what every answer carries, who may call from where, how often, and whose address it is."""

import re
import uuid
from collections.abc import Iterator

import httpx2
import pytest
from fastapi import FastAPI, Request

from adapters.settings import Settings
from api.client_address import client_address
from dev.testbed import Testbed

ORIGIN = "https://shop.example"
LIMITED = {
    "ORDERS_RATE_LIMIT": "6/day",
    "ORDERS_RATE_LIMIT_SENSITIVE": "3/day",
    "ORDERS_TRUSTED_PROXIES": "127.0.0.1,10.0.0.0/8",
    "ORDERS_CORS_ORIGINS": ORIGIN,
    "ORDERS_PUBLIC_URL": "https://shop.example",
}


@pytest.fixture(scope="module")
def edge(engine: Testbed) -> Iterator[httpx2.Client]:
    """An API with limits one can reach, behind a proxy it trusts, asked by its pages over https."""
    with engine.another_api(**LIMITED) as address, httpx2.Client(base_url=address, timeout=30) as client:
        yield client


def visitor() -> dict[str, str]:
    """An address nobody has called from."""
    return {"X-Forwarded-For": f"2001:db8::{uuid.uuid4().hex[:4]}:{uuid.uuid4().hex[:4]}:{uuid.uuid4().hex[:4]}"}


@pytest.mark.parametrize("path", ["/healthz", "/v1/products", "/v1/nothing", "/v1/users/me", "/docs", "/oauth2/token"])
def test_every_answer_forbids_what_nobody_needs(api: httpx2.Client, path: str) -> None:
    headers = api.get(path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert "strict-transport-security" not in headers
    assert "server" not in headers


def test_scripts_run_on_the_documentation_only(api: httpx2.Client) -> None:
    assert "script-src" in api.get("/docs").headers["content-security-policy"]
    assert api.get("/v1/products").headers["content-security-policy"].startswith("default-src 'none'")


def test_personal_answers_are_kept_by_nobody(api: httpx2.Client, customer: object) -> None:
    headers = getattr(customer, "headers")  # noqa: B009
    assert api.get("/v1/users/me", headers=headers).headers["cache-control"] == "no-store"
    assert api.get("/v1/cart", headers={"X-Cart-Token": uuid.uuid4().hex}).headers["cache-control"] == "no-store"
    assert "no-store" not in api.get("/.well-known/jwks.json").headers["cache-control"]


def test_browsers_are_made_to_stay_with_https_where_we_are_reached_by_it(edge: httpx2.Client) -> None:
    assert edge.get("/healthz").headers["strict-transport-security"].startswith("max-age=")


def test_only_the_named_origins_may_call(edge: httpx2.Client, api: httpx2.Client) -> None:
    asking = {"Origin": ORIGIN, "Access-Control-Request-Method": "PUT", "Access-Control-Request-Headers": "if-match"}
    assert edge.options("/v1/cart", headers=asking).headers["access-control-allow-origin"] == ORIGIN
    stranger = asking | {"Origin": "https://elsewhere.example"}
    assert "access-control-allow-origin" not in edge.options("/v1/cart", headers=stranger).headers
    assert "access-control-allow-origin" not in api.options("/v1/cart", headers=asking).headers
    assert "access-control-allow-credentials" not in edge.options("/v1/cart", headers=asking).headers


def test_a_budget_is_shown_counted_down_and_refused_when_spent(edge: httpx2.Client) -> None:
    me = visitor()
    for left in (5, 4, 3, 2, 1, 0):
        answer = edge.get("/v1/products", headers=me)
        assert answer.status_code == 200
        assert answer.headers["ratelimit-policy"] == '"default";q=6;w=86400'
        shown = re.fullmatch(r'"default";r=(\d+);t=(\d+)', answer.headers["ratelimit"])
        assert shown is not None
        assert int(shown[1]) == left
        assert 0 < int(shown[2]) <= 86400
    refused = edge.get("/v1/products", headers=me)
    assert (refused.status_code, refused.json()["code"]) == (429, "too_many_requests")
    assert refused.headers["content-type"] == "application/problem+json"
    assert 0 < int(refused.headers["retry-after"]) <= 86400
    assert edge.get("/v1/products", headers=visitor()).status_code == 200
    assert edge.get("/healthz", headers=me).status_code == 200


@pytest.mark.parametrize("path", ["/v1/users", "/oauth2/token"])
def test_where_secrets_can_be_tried_out_the_budget_is_smaller(edge: httpx2.Client, path: str) -> None:
    me = visitor()
    statuses = [edge.post(path, json={}, headers=me).status_code for _ in range(4)]
    assert statuses[3] == 429
    assert 429 not in statuses[:3]


def test_a_principal_has_one_budget_from_wherever_it_calls(
    edge: httpx2.Client, api: httpx2.Client, customer: object
) -> None:
    headers = getattr(customer, "headers")  # noqa: B009
    used = int(re.search(r"r=(\d+)", api.get("/v1/cart", headers=headers).headers["ratelimit"])[1])  # type: ignore[index]
    assert used > 0
    statuses = [edge.get("/v1/cart", headers=headers | visitor()).status_code for _ in range(7)]
    assert statuses[0] == 200
    assert statuses[-1] == 429


def test_whoever_tries_out_tokens_is_counted_by_address(edge: httpx2.Client) -> None:
    me = visitor()
    statuses = [
        edge.get("/v1/cart", headers=me | {"Authorization": f"Bearer oe_{uuid.uuid4().hex}"}).status_code
        for _ in range(7)
    ]
    assert statuses == [401] * 6 + [429]


@pytest.mark.parametrize(
    ("trusted", "peer", "forwarded", "address"),
    [
        ("", "203.0.113.9", "198.51.100.1", "203.0.113.9"),
        ("10.0.0.0/8", "203.0.113.9", "198.51.100.1", "203.0.113.9"),
        ("10.0.0.0/8", "10.1.2.3", "198.51.100.1", "198.51.100.1"),
        ("10.0.0.0/8", "10.1.2.3", "1.1.1.1, 198.51.100.1", "198.51.100.1"),
        ("10.0.0.0/8", "10.1.2.3", "1.1.1.1, 198.51.100.1, 10.9.9.9", "198.51.100.1"),
        ("10.0.0.0/8", "10.1.2.3", "10.7.7.7", "10.7.7.7"),
        ("10.0.0.0/8", "10.1.2.3", "nonsense", "10.1.2.3"),
        ("10.0.0.0/8", "10.1.2.3", "", "10.1.2.3"),
        ("10.0.0.0/8", "10.1.2.3", "2001:DB8:0::1", "2001:db8::1"),
    ],
)
def test_what_is_forwarded_is_believed_from_our_own_proxies_only(
    settings: Settings, trusted: str, peer: str, forwarded: str, address: str
) -> None:
    app = FastAPI()
    networks = tuple(trusted.split(",")) if trusted else ()
    app.state.settings = settings.model_copy(update={"trusted_proxies": networks})
    headers = [(b"x-forwarded-for", forwarded.encode())] if forwarded else []
    scope = {"type": "http", "headers": headers, "client": (peer, 1234), "app": app}
    assert client_address(Request(scope)) == address
