"""Redis is away: everything still works, and what is revoked is revoked for those who still have it, too."""

import uuid
from collections.abc import Iterator

import httpx2
import pytest

from adapters.connections import Connections
from adapters.mysql.identity.users import Accounts
from dev.testbed import Testbed, free_port
from schemas.users import Role
from tests.fixture_types import PASSWORD, MakeCustomer, MakeProduct


@pytest.fixture(scope="module")
def lonely(engine: Testbed) -> Iterator[httpx2.Client]:
    """An API on the same stores, whose Redis nobody listens at."""
    away = {"ORDERS_REDIS_URL": f"redis://127.0.0.1:{free_port()}/0", "ORDERS_RATE_LIMIT_SENSITIVE": "12/day"}
    away |= {"ORDERS_TRUSTED_PROXIES": "127.0.0.1"}
    with engine.another_api(**away) as address, httpx2.Client(base_url=address, timeout=30) as client:
        yield client


def visitor() -> dict[str, str]:
    return {"X-Forwarded-For": f"2001:db8:1::{uuid.uuid4().hex[:4]}:{uuid.uuid4().hex[:4]}"}


def sign_in(client: httpx2.Client, email: str) -> dict[str, str]:
    form = {"grant_type": "password", "username": email, "password": PASSWORD}
    answer = client.post("/oauth2/token", data=form, headers=visitor())
    assert answer.status_code == 200, answer.text
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}


@pytest.fixture(scope="module")
def admin(lonely: httpx2.Client, make_customer: MakeCustomer, connections: Connections) -> dict[str, str]:
    account = make_customer()
    Accounts(connections.engine).set_roles(account.id, [Role.ADMIN])
    return sign_in(lonely, account.email)


def test_one_registers_signs_in_and_shops(lonely: httpx2.Client, make_product: MakeProduct) -> None:
    email = f"{uuid.uuid4().hex}@shop.example.com"
    body = {"email": email, "password": PASSWORD, "name": "No Redis"}
    assert lonely.post("/v1/users", json=body, headers=visitor()).status_code == 201
    headers = sign_in(lonely, email)
    assert lonely.get("/v1/users/me", headers=headers).json()["email"] == email
    assert lonely.put(f"/v1/cart/items/{make_product()}", json={"quantity": 2}, headers=headers).status_code == 200
    assert len(lonely.get("/v1/cart", headers=headers).json()["items"]) == 1
    assert lonely.get("/v1/orders", headers=headers).status_code == 200


@pytest.mark.parametrize("action", ["roles", "lock", "logout-everywhere"])
def test_what_ends_a_session_here_has_ended_it_everywhere_when_it_answers(
    lonely: httpx2.Client, api: httpx2.Client, make_customer: MakeCustomer, admin: dict[str, str], action: str
) -> None:
    account = make_customer()
    for client in (api, lonely):
        assert client.get("/v1/cart", headers=account.headers).status_code == 200
    # The other API keeps a copy of the account's state in the Redis that this one cannot reach.
    if action == "roles":
        path = f"/v1/users/{account.id}/roles"
        answer = lonely.put(path, json={"roles": ["customer", "support"]}, headers=admin)
    else:
        answer = lonely.post(f"/v1/users/{account.id}/{action}", headers=admin)
    assert answer.status_code in (200, 204), answer.text
    for client in (lonely, api):
        refused = client.get("/v1/cart", headers=account.headers)
        assert (refused.status_code, refused.json()["code"]) == (401, "invalid_token")


def test_what_ends_a_session_elsewhere_has_ended_it_here(
    lonely: httpx2.Client, api: httpx2.Client, make_customer: MakeCustomer
) -> None:
    account = make_customer()
    assert lonely.get("/v1/cart", headers=account.headers).status_code == 200
    assert api.post("/v1/users/me/logout-everywhere", headers=account.headers).status_code == 204
    assert lonely.get("/v1/cart", headers=account.headers).status_code == 401


def test_rates_are_limited_by_each_process_alone(lonely: httpx2.Client) -> None:
    me = visitor()
    statuses = [lonely.post("/v1/users", json={}, headers=me).status_code for _ in range(13)]
    assert statuses == [422] * 12 + [429]


def test_it_says_that_it_is_degraded_and_ready(lonely: httpx2.Client) -> None:
    answer = lonely.get("/readyz")
    assert (answer.status_code, answer.json()["checks"]["redis"]) == (200, "away")
