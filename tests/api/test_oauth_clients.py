"""Clients: administered by staff, authenticated by their secret, and each only itself."""

import httpx2
import pytest
from uuid_utils import uuid7

from adapters.connections import Connections
from adapters.mysql.tables.identity import oauth_clients, user_roles
from adapters.settings import Settings
from schemas.oauth import MadeOAuthClient
from tests.fixture_types import PASSWORD, Customer, Json, MakeCustomer, MakeProduct
from tests.oauth import MakeClient, RunFlow, basic_auth

NEW = {
    "name": "A robot",
    "confidential": True,
    "grant_types": ["client_credentials"],
    "scopes": ["orders"],
    "roles": ["warehouse"],
}


@pytest.fixture
def admin(make_customer: MakeCustomer, connections: Connections) -> Customer:
    admin = make_customer()
    with connections.engine.begin() as connection:
        connection.execute(user_roles.insert().values(user_id=admin.id, role="admin"))
    return admin


@pytest.fixture
def client_id() -> str:
    return f"robot-{uuid7().hex}"


@pytest.fixture
def robot(api: httpx2.Client, admin: Customer, client_id: str) -> Json:
    answer = api.post("/v1/oauth-clients", json=NEW | {"client_id": client_id}, headers=admin.headers)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def service_token(api: httpx2.Client, client: Json, secret: str | None = None) -> httpx2.Response:
    auth = (client["client_id"], secret or client["client_secret"])
    return api.post("/oauth2/token", data={"grant_type": "client_credentials"}, auth=auth)


def bearer(answer: httpx2.Response) -> dict[str, str]:
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}


def test_a_service_gets_a_token_and_acts_in_its_roles(
    api: httpx2.Client, robot: Json, make_product: MakeProduct
) -> None:
    answer = service_token(api, robot)
    assert answer.status_code == 200, answer.text
    assert "refresh_token" not in answer.json()
    assert api.get(f"/v1/stock/{make_product()}", headers=bearer(answer)).status_code == 200
    assert api.get("/v1/users/me", headers=bearer(answer)).status_code == 403


def test_a_secret_may_also_be_sent_in_the_form(api: httpx2.Client, robot: Json) -> None:
    form = {name: robot[name] for name in ("client_id", "client_secret")}
    assert api.post("/oauth2/token", data=form | {"grant_type": "client_credentials"}).status_code == 200


def test_another_clients_secret_opens_nothing(api: httpx2.Client, robot: Json, make_client: MakeClient) -> None:
    other = make_client(confidential=True)
    for secret in (other.client_secret, "wrong", robot["client_secret"] + "x"):
        answer = service_token(api, robot, secret)
        assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
        assert answer.headers["www-authenticate"].startswith("Basic")


def test_a_confidential_client_cannot_pass_without_its_secret(
    api: httpx2.Client, run_flow: RunFlow, make_client: MakeClient
) -> None:
    client = make_client(confidential=True)
    flow = run_flow(client)
    form = {"grant_type": "refresh_token", "refresh_token": flow.tokens["refresh_token"]}
    answer = api.post("/oauth2/token", data=form | {"client_id": client.client_id})
    assert answer.json()["error"] == "invalid_client"
    auth = basic_auth(client)
    assert api.post("/oauth2/token", data=form, auth=auth).status_code == 200


def test_a_client_may_only_use_its_own_grants(api: httpx2.Client, make_client: MakeClient, customer: Customer) -> None:
    client = make_client(confidential=True)
    auth = basic_auth(client)
    answer = api.post("/oauth2/token", data={"grant_type": "client_credentials"}, auth=auth)
    assert answer.json()["error"] == "unauthorized_client"
    public = make_client()
    form = {"grant_type": "password", "username": customer.email, "password": PASSWORD}
    assert api.post("/oauth2/token", data=form | {"client_id": public.client_id}).json()["error"] == (
        "unauthorized_client"
    )


def test_a_new_secret_ends_the_old_one(api: httpx2.Client, robot: Json, admin: Customer) -> None:
    answer = api.post(f"/v1/oauth-clients/{robot['client_id']}/secret", headers=admin.headers)
    assert answer.status_code == 200
    assert service_token(api, robot).status_code == 401
    assert service_token(api, answer.json()).status_code == 200


def test_a_deactivated_client_and_its_tokens_stop_at_once(
    api: httpx2.Client, robot: Json, admin: Customer, make_product: MakeProduct
) -> None:
    headers, path = bearer(service_token(api, robot)), f"/v1/stock/{make_product()}"
    assert api.get(path, headers=headers).status_code == 200
    answer = api.delete(f"/v1/oauth-clients/{robot['client_id']}", headers=admin.headers)
    assert answer.status_code == 204
    assert api.get(path, headers=headers).status_code == 401
    assert service_token(api, robot).status_code == 401


def test_a_deactivated_application_loses_its_customers(api: httpx2.Client, admin: Customer, run_flow: RunFlow) -> None:
    flow = run_flow()
    headers = {"Authorization": f"Bearer {flow.tokens['access_token']}"}
    assert api.get("/oauth2/userinfo", headers=headers).status_code == 200
    path = f"/v1/oauth-clients/{flow.client.client_id}"
    assert api.patch(path, json={"active": False}, headers=admin.headers).json()["active"] is False
    assert api.get("/oauth2/userinfo", headers=headers).status_code == 401


def test_a_client_is_shown_and_changed_without_its_secret(api: httpx2.Client, robot: Json, admin: Customer) -> None:
    path = f"/v1/oauth-clients/{robot['client_id']}"
    changed = api.patch(path, json={"name": "Another robot", "roles": []}, headers=admin.headers)
    assert changed.status_code == 200
    assert (changed.json()["name"], changed.json()["roles"], changed.json()["scope"]) == ("Another robot", [], "orders")
    shown, cursor = [], None
    while True:
        query = {"limit": "100"} | ({"cursor": cursor} if cursor else {})
        page = api.get("/v1/oauth-clients", params=query, headers=admin.headers).json()
        shown += page["items"]
        if not (cursor := page["next_cursor"]):
            break
    assert {robot["client_id"], "storefront"} <= {one["client_id"] for one in shown}
    assert "secret" not in str(shown)


def test_a_secret_is_kept_as_a_digest(robot: Json, connections: Connections) -> None:
    with connections.engine.connect() as connection:
        assert robot["client_secret"] not in str(connection.execute(oauth_clients.select()).all())


@pytest.mark.parametrize(
    "change",
    [
        {"redirect_uris": ["http://app.example.com/cb"], "grant_types": ["authorization_code"]},
        {"redirect_uris": ["https://app.example.com/cb#x"], "grant_types": ["authorization_code"]},
        {"redirect_uris": ["https://user@app.example.com/cb"], "grant_types": ["authorization_code"]},
        {"redirect_uris": ["https://app.example.com/../cb"], "grant_types": ["authorization_code"]},
        {"redirect_uris": ["https://*.example.com/cb"], "grant_types": ["authorization_code"]},
        {"redirect_uris": ["javascript:alert(1)"], "grant_types": ["authorization_code"]},
        {"redirect_uris": ["data:text/html,x"], "grant_types": ["authorization_code"]},
        {"redirect_uris": ["https://app.example.com\\@evil.example"], "grant_types": ["authorization_code"]},
        {"redirect_uris": [], "grant_types": ["authorization_code"], "roles": []},
        {"grant_types": ["password"]},
        {"confidential": False},
        {"scopes": ["root"]},
        {"roles": ["king"]},
        {"client_id": "storefront/../x"},
        {"first_party": True},
    ],
    ids=str,
)
def test_a_client_that_would_be_unsafe_is_not_registered(
    api: httpx2.Client, admin: Customer, client_id: str, change: Json
) -> None:
    body = NEW | {"client_id": client_id} | ({"roles": []} if "redirect_uris" in change else {}) | change
    answer = api.post("/v1/oauth-clients", json=body, headers=admin.headers)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")


@pytest.mark.parametrize("uri", ["http://127.0.0.1:8000/cb", "http://[::1]/cb", "com.example.app:/cb"])
def test_an_app_on_the_customers_own_machine_may_be_registered(
    api: httpx2.Client, admin: Customer, client_id: str, uri: str
) -> None:
    body = {"client_id": client_id, "name": "App", "confidential": False, "grant_types": ["authorization_code"]}
    answer = api.post("/v1/oauth-clients", json=body | {"redirect_uris": [uri]}, headers=admin.headers)
    assert answer.status_code == 201, answer.text
    assert answer.json()["client_secret"] is None


def test_an_id_is_taken_once(api: httpx2.Client, robot: Json, admin: Customer) -> None:
    body = NEW | {"client_id": robot["client_id"]}
    answer = api.post("/v1/oauth-clients", json=body, headers=admin.headers)
    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")


def test_a_customer_administers_no_client(api: httpx2.Client, customer: Customer) -> None:
    assert api.get("/v1/oauth-clients", headers=customer.headers).status_code == 403
    assert api.get("/v1/oauth-clients").status_code == 401


def introspect(api: httpx2.Client, client: MadeOAuthClient, token: str) -> httpx2.Response:
    return api.post("/oauth2/introspect", data={"token": token}, auth=basic_auth(client))


def test_a_confidential_client_learns_what_its_tokens_are_worth(
    api: httpx2.Client, run_flow: RunFlow, make_client: MakeClient, settings: Settings
) -> None:
    client = make_client(confidential=True)
    flow = run_flow(client)
    shown = introspect(api, client, flow.tokens["access_token"]).json()
    assert shown["active"] is True
    assert (shown["sub"], shown["client_id"], shown["iss"]) == (
        flow.customer.id,
        client.client_id,
        settings.auth_issuer,
    )
    assert introspect(api, client, flow.tokens["refresh_token"]).json()["active"] is True
    assert introspect(api, client, "nonsense").json() == {"active": False}
    assert introspect(api, make_client(confidential=True), flow.tokens["access_token"]).json() == {"active": False}
    auth = basic_auth(client)
    assert api.post("/oauth2/revoke", data={"token": flow.tokens["refresh_token"]}, auth=auth).status_code == 200
    assert introspect(api, client, flow.tokens["access_token"]).json() == {"active": False}
    assert introspect(api, client, flow.tokens["refresh_token"]).json() == {"active": False}


def test_a_public_client_learns_nothing(api: httpx2.Client, run_flow: RunFlow) -> None:
    flow = run_flow()
    form = {"token": flow.tokens["access_token"], "client_id": flow.client.client_id}
    assert api.post("/oauth2/introspect", data=form).json()["error"] == "invalid_client"


@pytest.mark.parametrize(
    "header", ["Basic /w==", "Basic", "Basic x", "Basic !!!!", "Basic Og==", "Basic YTpi", "Bearer x", "Basic w7w6w7w="]
)
def test_an_authorization_header_that_is_no_client_is_refused(
    api: httpx2.Client, customer: Customer, header: str
) -> None:
    form = {"grant_type": "password", "username": customer.email, "password": PASSWORD}
    for request in (form, {"grant_type": "client_credentials"}):
        answer = api.post("/oauth2/token", data=request, headers={"Authorization": header})
        assert (answer.status_code in (400, 401), answer.json()["error"]) == (True, "invalid_client")


@pytest.mark.parametrize("value", ["%ff", "%00", "%ed%a0%80", "%F0%9F%98%80"])
def test_odd_bytes_are_refused_and_break_nothing(api: httpx2.Client, value: str) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    for form in (
        f"grant_type=refresh_token&refresh_token={value}",
        f"grant_type={value}",
        f"grant_type=password&username={value}&password={value}",
        f"grant_type=authorization_code&client_id={value}&code={value}&code_verifier={value}",
    ):
        assert api.post("/oauth2/token", content=form, headers=headers).status_code in (400, 401)
    query = f"response_type=code&client_id={value}&redirect_uri={value}&state={value}"
    assert api.get(f"/oauth2/authorize?{query}").status_code in (400, 401)
