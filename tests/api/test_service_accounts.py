"""Service accounts: made by `order-admin setup`, limited to their line, and used through one client."""

import sys
import time
from dataclasses import replace

import httpx2
import pytest
import sqlalchemy as sa
from fastapi.routing import APIRoute
from pydantic import SecretStr
from uuid_utils import uuid7

from adapters.connections import Connections
from adapters.mysql.identity.oauth_clients import OAuthClients
from adapters.mysql.tables.identity import oauth_clients, security_events
from adapters.settings import Settings
from api.permissions import PERMISSIONS
from dev.testbed import Testbed
from schemas.oauth import ChangeOAuthClient
from tests.api.test_permissions import GUARDED, call, name_of, permissions_of
from tests.fixture_types import Json, MakeProduct
from workers.service_accounts import (
    ORDER_ADMIN,
    SERVICE_ACCOUNTS,
    SUPPLIER_SIMULATOR,
    ServiceAccount,
    ensure_service_accounts,
)
from workers.service_client import ServiceAccountRefused, service_client

SECRET, ANOTHER = "a secret of thirty-two characters or more", "another secret of thirty-two characters"


@pytest.fixture
def line() -> ServiceAccount:
    """A line like the supplier's, under an id of its own."""
    client = replace(SUPPLIER_SIMULATOR.client, client_id=f"test-{uuid7().hex}")
    return replace(SUPPLIER_SIMULATOR, client=client)


def with_secret(settings: Settings, secret: str | None) -> Settings:
    return settings.model_copy(update={"supplier_client_secret": SecretStr(secret) if secret else None})


def token(api: httpx2.Client, client_id: str, secret: str, scope: str | None = None) -> httpx2.Response:
    form = {"grant_type": "client_credentials"} | ({"scope": scope} if scope else {})
    return api.post("/oauth2/token", data=form, auth=(client_id, secret))


@pytest.fixture(scope="module")
def signed_in(api: httpx2.Client, settings: Settings) -> dict[str, dict[str, str]]:
    """A way to sign in per service account."""
    found = {}
    for account in SERVICE_ACCOUNTS:
        secret = account.secret(settings)
        assert secret
        answer = token(api, account.client.client_id, secret)
        assert answer.status_code == 200, answer.text
        assert answer.json()["scope"].split() == list(account.client.permissions)
        found[account.client.client_id] = {"Authorization": f"Bearer {answer.json()['access_token']}"}
    return found


def test_each_line_names_permissions_of_the_table_that_its_roles_have() -> None:
    for account in SERVICE_ACCOUNTS:
        assert account.client.permissions
        for permission in account.client.permissions:
            assert PERMISSIONS[permission] & set(account.client.roles), permission  # type: ignore[index]


@pytest.mark.parametrize("account", SERVICE_ACCOUNTS, ids=lambda account: account.client.client_id)
@pytest.mark.parametrize(("method", "route"), GUARDED, ids=[name_of(*one) for one in GUARDED])
def test_a_route_lets_in_exactly_the_accounts_of_its_permission(
    api: httpx2.Client, signed_in: Json, method: str, route: APIRoute, account: ServiceAccount
) -> None:
    answer = call(api, method, route, signed_in[account.client.client_id])
    if permissions_of(route) & set(account.client.permissions):
        assert answer.status_code not in (401, 403), answer.text
        assert answer.status_code < 500, answer.text
    else:
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden"), answer.text


def test_a_token_for_less_can_do_less(api: httpx2.Client, settings: Settings, make_product: MakeProduct) -> None:
    path, secret = f"/v1/stock/{make_product()}", SUPPLIER_SIMULATOR.secret(settings)
    assert secret
    for scope, status in (("stock:read", 200), ("stock:move", 403)):
        answer = token(api, "supplier-simulator", secret, scope)
        headers = {"Authorization": f"Bearer {answer.json()['access_token']}"}
        assert api.get(path, headers=headers).status_code == status
    assert token(api, "supplier-simulator", secret, "users:lock").json()["error"] == "invalid_scope"


def test_setting_up_twice_changes_nothing_and_a_changed_secret_takes_over(
    api: httpx2.Client, connections: Connections, settings: Settings, line: ServiceAccount
) -> None:
    client_id = line.client.client_id

    def ensure(secret: str) -> str:
        return ensure_service_accounts(connections.engine, with_secret(settings, secret), (line,))[client_id]

    assert [ensure(SECRET), ensure(SECRET)] == ["made", "was there"]
    assert token(api, client_id, SECRET).status_code == 200
    assert ensure(ANOTHER) == "changed"
    assert (token(api, client_id, SECRET).status_code, token(api, client_id, ANOTHER).status_code) == (401, 200)
    narrower = replace(line, client=replace(line.client, permissions=("stock:read",)))
    done = ensure_service_accounts(connections.engine, with_secret(settings, ANOTHER), (narrower,))
    assert done == {client_id: "changed"}
    assert token(api, client_id, ANOTHER).json()["scope"] == "stock:read"
    query = sa.select(security_events.c.type, security_events.c.data).where(security_events.c.actor == "order-admin")
    with connections.engine.connect() as connection:
        kept = str(connection.execute(oauth_clients.select().where(oauth_clients.c.client_id == client_id)).all())
        noted = [row.type for row in connection.execute(query) if row.data.get("client_id") == client_id]
    assert ANOTHER not in kept
    assert noted == ["oauth.client_created", "oauth.client_changed", "oauth.client_changed"]


def test_an_account_whose_secret_is_not_set_is_not_made(
    connections: Connections, settings: Settings, line: ServiceAccount
) -> None:
    done = ensure_service_accounts(connections.engine, with_secret(settings, None), (line,))
    assert done == {line.client.client_id: "left out, ORDERS_SUPPLIER_CLIENT_SECRET is not set"}
    assert OAuthClients(connections.engine).get(line.client.client_id) is None


def test_an_account_that_was_stopped_stays_so(
    connections: Connections, settings: Settings, line: ServiceAccount
) -> None:
    clients = OAuthClients(connections.engine)
    ensure_service_accounts(connections.engine, with_secret(settings, SECRET), (line,))
    clients.change(line.client.client_id, ChangeOAuthClient(active=False))
    ensure_service_accounts(connections.engine, with_secret(settings, ANOTHER), (line,))
    assert clients.get(line.client.client_id) is None


def test_setup_shows_the_accounts_and_no_secret(bed: Testbed, settings: Settings) -> None:
    output = bed.run([sys.executable, "-m", "workers.admin", "setup"])
    assert "Service accounts: order-admin was there, supplier-simulator was there" in output
    assert not any((account.secret(settings) or "-") in output for account in SERVICE_ACCOUNTS)


def test_the_client_signs_in_when_it_is_needed_and_reuses_its_token(
    api: httpx2.Client, settings: Settings, make_product: MakeProduct
) -> None:
    path = f"/v1/stock/{make_product()}"
    with service_client(settings, SUPPLIER_SIMULATOR) as client:
        assert client.get(path).status_code == 200
        first = client.token["access_token"]
        assert client.get("/v1/stock/NEVER-HEARD-OF").status_code == 404
        with client.stream("GET", path) as answer:
            assert answer.status_code == 200
        assert client.token["access_token"] == first
        assert client.post("/v1/checkouts", json={}).status_code == 403, "an answer is the caller's to read"
        client.token["expires_at"] = int(time.time()) + 30
        assert client.get(path).status_code == 200
        assert client.token["access_token"] != first, "it would have expired on the way"


def test_the_client_replaces_a_token_that_is_refused(
    api: httpx2.Client, settings: Settings, make_product: MakeProduct
) -> None:
    path = f"/v1/stock/{make_product()}"
    with service_client(settings, ORDER_ADMIN) as client:
        assert client.get(path).status_code == 200
        first = client.token["access_token"]
        auth = ("order-admin", ORDER_ADMIN.secret(settings) or "")
        assert api.post("/oauth2/revoke", data={"token": first}, auth=auth).status_code == 200
        assert client.get(path).status_code == 200
        assert client.token["access_token"] != first


def test_the_client_says_what_to_do_when_its_account_is_refused(settings: Settings, api: httpx2.Client) -> None:
    with pytest.raises(ServiceAccountRefused, match="ORDERS_SUPPLIER_CLIENT_SECRET is not set"):
        service_client(with_secret(settings, None), SUPPLIER_SIMULATOR)
    with (
        service_client(with_secret(settings, SECRET), SUPPLIER_SIMULATOR) as client,
        pytest.raises(ServiceAccountRefused, match="supplier-simulator no token: invalid_client"),
    ):
        client.get("/v1/products")


def test_the_client_does_not_take_another_answer_for_a_token(settings: Settings) -> None:
    def busy(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(429, json={"code": "too_many_requests"}, request=request)

    with (
        service_client(settings, ORDER_ADMIN, transport=httpx2.MockTransport(busy)) as client,
        pytest.raises(httpx2.HTTPStatusError),
    ):
        client.get("/v1/products")
