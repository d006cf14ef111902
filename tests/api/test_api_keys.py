"""A personal API key does what it was made for, for as long as it and its account stand."""

import hashlib
from datetime import datetime, timedelta

import httpx2
import pytest
import sqlalchemy as sa

from adapters.connections import Connections
from adapters.mysql.clock import now
from adapters.mysql.identity.users import Accounts
from adapters.mysql.tables.identity import api_keys
from api.permissions import NOT_FOR_API_KEYS
from schemas.users import Role
from tests.fixture_types import PASSWORD, Customer, Json, MakeCustomer, MakeProduct

PATH = "/v1/users/me/api-keys"


def make(api: httpx2.Client, account: Customer, *scopes: str, **fields: object) -> Json:
    answer = api.post(PATH, json={"name": "test", "scopes": scopes, **fields}, headers=account.headers)
    assert answer.status_code == 201, answer.text
    made: Json = answer.json()
    return made


def bearer(key: Json) -> dict[str, str]:
    return {"Authorization": f"Bearer {key['key']}"}


def test_a_key_opens_what_it_was_made_for_and_nothing_else(api: httpx2.Client, customer: Customer) -> None:
    key = make(api, customer, "orders:read_own")
    assert api.get("/v1/orders", headers=bearer(key)).status_code == 200
    for method, path in (("GET", "/v1/cart"), ("POST", "/v1/checkouts"), ("GET", PATH), ("POST", PATH)):
        answer = api.request(method, path, headers=bearer(key), json={} if method == "POST" else None)
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden"), (method, path)


def test_a_key_is_shown_once_and_kept_as_a_digest(
    api: httpx2.Client, customer: Customer, connections: Connections
) -> None:
    made = make(api, customer, "cart:use", days=10)
    assert made["key"].startswith(f"{made['prefix']}_")
    assert made["prefix"].startswith("oe_")
    with connections.engine.connect() as connection:
        row = connection.execute(sa.select(api_keys).where(api_keys.c.id == made["id"])).mappings().one()
    assert row["digest"] == hashlib.sha256(made["key"].encode()).hexdigest()
    assert made["key"].removeprefix(made["prefix"]) not in str(dict(row))
    (listed,) = api.get(PATH, headers=customer.headers).json()["items"]
    assert "key" not in listed
    lifetime = datetime.fromisoformat(listed["expires_at"]) - datetime.fromisoformat(listed["created_at"])
    assert lifetime == timedelta(days=10)


@pytest.mark.parametrize("scope", ["orders:read_any", "users:manage_roles", "nonsense", *sorted(NOT_FOR_API_KEYS)])
def test_a_key_cannot_be_made_for_more_than_its_account_may(api: httpx2.Client, customer: Customer, scope: str) -> None:
    answer = api.post(PATH, json={"name": "test", "scopes": ["cart:use", scope]}, headers=customer.headers)
    assert (answer.status_code, answer.json()["refused"]) == (422, [scope])


def test_a_key_loses_what_its_account_loses(
    api: httpx2.Client, make_customer: MakeCustomer, make_product: MakeProduct, connections: Connections
) -> None:
    account, path, accounts = make_customer(), f"/v1/stock/{make_product()}", Accounts(connections.engine)
    accounts.set_roles(account.id, [Role.WAREHOUSE])
    form = {"grant_type": "password", "username": account.email, "password": PASSWORD}
    token = api.post("/oauth2/token", data=form).json()["access_token"]
    body = {"name": "test", "scopes": ["stock:read"]}
    headers = {"Authorization": f"Bearer {token}"}
    key = api.post(PATH, json=body, headers=headers).json()
    connections.redis.flushdb()  # this test changes roles behind the API's back
    assert api.get(path, headers=bearer(key)).status_code == 200
    accounts.set_roles(account.id, [Role.CUSTOMER])
    connections.redis.flushdb()
    assert api.get(path, headers=bearer(key)).status_code == 403


def test_an_ended_key_and_an_expired_key_open_nothing(
    api: httpx2.Client, make_customer: MakeCustomer, connections: Connections
) -> None:
    customer = make_customer()
    ended, expired = make(api, customer, "cart:use"), make(api, customer, "cart:use")
    assert api.delete(f"{PATH}/{ended['id']}", headers=customer.headers).status_code == 204
    with connections.engine.begin() as connection:
        past = now() - timedelta(seconds=1)
        connection.execute(sa.update(api_keys).where(api_keys.c.id == expired["id"]).values(expires_at=past))
    for key in (ended, expired):
        answer = api.get("/v1/cart", headers=bearer(key))
        assert (answer.status_code, answer.json()["code"]) == (401, "invalid_token")
    assert api.get(PATH, headers=customer.headers).json()["items"] == []
    assert api.delete(f"{PATH}/{ended['id']}", headers=customer.headers).status_code == 404


def test_another_persons_key_is_no_key(api: httpx2.Client, make_customer: MakeCustomer) -> None:
    owner, stranger = make_customer(), make_customer()
    key = make(api, owner, "cart:use")
    assert api.delete(f"{PATH}/{key['id']}", headers=stranger.headers).status_code == 404
    assert api.get(PATH, headers=stranger.headers).json()["items"] == []
    assert api.get("/v1/cart", headers=bearer(key)).status_code == 200


def test_a_lock_ends_the_keys_for_good(
    api: httpx2.Client, make_customer: MakeCustomer, connections: Connections
) -> None:
    admin, account = make_customer(), make_customer()
    Accounts(connections.engine).set_roles(admin.id, [Role.ADMIN])
    form = {"grant_type": "password", "username": admin.email, "password": PASSWORD}
    staff = {"Authorization": f"Bearer {api.post('/oauth2/token', data=form).json()['access_token']}"}
    key = make(api, account, "cart:use")
    assert api.get("/v1/cart", headers=bearer(key)).status_code == 200
    for action in ("lock", "unlock"):
        assert api.post(f"/v1/users/{account.id}/{action}", headers=staff).status_code == 200
        assert api.get("/v1/cart", headers=bearer(key)).status_code == 401


def test_use_is_noted_at_most_once_a_minute(api: httpx2.Client, customer: Customer, connections: Connections) -> None:
    key = make(api, customer, "cart:use")

    def used() -> str | None:
        (listed,) = api.get(PATH, headers=customer.headers).json()["items"]
        found: str | None = listed["last_used_at"]
        return found

    assert used() is None
    api.get("/v1/cart", headers=bearer(key))
    first = used()
    assert first is not None
    api.get("/v1/cart", headers=bearer(key))
    assert used() == first


@pytest.mark.parametrize("key", ["oe_", "oe_x", "oe_00000000_" + "x" * 43, "oe_ü", "oe_" + "x" * 5000])
def test_a_made_up_key_is_refused(api: httpx2.Client, key: str) -> None:
    answer = api.get("/v1/cart", headers={b"Authorization": f"Bearer {key}".encode()})
    assert (answer.status_code, answer.json()["code"]) == (401, "invalid_token")
