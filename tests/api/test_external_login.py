"""Sign-in with an account elsewhere: our own server a second time, with its own accounts, keys and port."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from html import unescape
from pathlib import Path

import httpx2
import pytest
import sqlalchemy as sa
from uuid_utils import uuid7

from adapters.connections import Connections
from adapters.keys import ensure_signing_key
from adapters.mysql.identity.oauth_clients import OAuthClients, ensure_first_party_client
from adapters.mysql.identity.users import Accounts
from adapters.mysql.tables.identity import external_identities
from dev.stack.paths import ROOT
from dev.testbed import Testbed, free_port
from schemas.oauth import NewOAuthClient
from tests.adapters.databases import own_database
from tests.fixture_types import PASSWORD, MakeCustomer


def launch(bed: Testbed, port: int, log: Path, **changes: str) -> subprocess.Popen[bytes]:
    environment = {**os.environ, **bed.environment, "ORDERS_API_PORT": str(port), **changes}
    environment["ORDERS_PUBLIC_URL"] = f"http://127.0.0.1:{port}"
    process = subprocess.Popen(
        [sys.executable, "-m", "api.main"],
        cwd=ROOT,
        env=environment,
        stdout=log.open("ab"),
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text()
        try:
            if httpx2.get(f"http://127.0.0.1:{port}/healthz", timeout=2).status_code == 200:
                return process
        except httpx2.HTTPError:
            pass
        time.sleep(0.1)
    raise AssertionError(log.read_text())


@dataclass(frozen=True)
class Elsewhere:
    """The provider, and the address of our API that trusts it."""

    ours: str
    theirs: str
    accounts: Accounts
    process: subprocess.Popen[bytes]


@pytest.fixture(scope="module")
def theirs_alone(bed: Testbed) -> Iterator[str]:
    """The address of a database of the provider's own."""
    with own_database(bed.settings, "provider") as own:
        yield own.mysql_url.get_secret_value()


@pytest.fixture(scope="module")
def elsewhere(
    *,
    bed: Testbed,
    connections: Connections,
    api: httpx2.Client,
    theirs_alone: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Elsewhere]:
    folder = tmp_path_factory.mktemp("provider")
    our_port, their_port = free_port(), free_port()
    theirs = {
        "ORDERS_MYSQL_URL": theirs_alone,
        "ORDERS_AUTH_ISSUER": f"http://127.0.0.1:{their_port}",
        "ORDERS_AUTH_KEYS_DIR": str(folder / "keys"),
        "ORDERS_SERVICES": "user",
    }
    command = [sys.executable, "-m", "workers.admin", "migrate"]
    subprocess.run(command, cwd=ROOT, env={**os.environ, **bed.environment, **theirs}, check=True, capture_output=True)
    ensure_signing_key(folder / "keys")
    engine = sa.create_engine(theirs_alone, isolation_level="READ COMMITTED")
    ensure_first_party_client(engine)
    client = OAuthClients(engine).create(
        NewOAuthClient(
            client_id="order-engine",
            name="The shop",
            confidential=True,
            grant_types=["authorization_code"],
            redirect_uris=[f"http://127.0.0.1:{our_port}/v1/auth/house/callback"],
            scopes=["openid", "profile", "email"],
        )
    )
    provider = (
        f'[{{"name": "house", "issuer": "{theirs["ORDERS_AUTH_ISSUER"]}", "client_id": "order-engine", '
        f'"client_secret": "{client.client_secret}"}}]'
    )
    processes = [
        launch(bed, their_port, folder / "theirs.log", **theirs),
        launch(bed, our_port, folder / "ours.log", ORDERS_OIDC_PROVIDERS=provider, ORDERS_SERVICES="user"),
    ]
    try:
        ours = f"http://127.0.0.1:{our_port}"
        yield Elsewhere(ours, theirs["ORDERS_AUTH_ISSUER"], Accounts(engine), processes[0])
    finally:
        for process in processes:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)
                process.wait(timeout=30)
        engine.dispose()


@pytest.fixture
def http() -> Iterator[httpx2.Client]:
    with httpx2.Client(timeout=30) as http:
        yield http


def register_there(elsewhere: Elsewhere, email: str, verified: bool = True) -> str:
    body = {"email": email, "password": PASSWORD, "name": "Ada Elsewhere"}
    answer = httpx2.post(f"{elsewhere.theirs}/v1/users", json=body)
    assert answer.status_code == 201, answer.text
    user_id = str(answer.json()["id"])
    if verified:
        elsewhere.accounts.mark_email_verified(user_id)
    return user_id


def come_back(elsewhere: Elsewhere, http: httpx2.Client, email: str) -> str:
    """Sign in at the provider; the address it sends the browser back to."""
    answer = http.get(f"{elsewhere.ours}/v1/auth/house/login")
    assert answer.status_code == 302, answer.text
    page = http.get(answer.headers["location"])

    def send(page: httpx2.Response, **fields: str) -> httpx2.Response:
        target = re.search(r'action="([^"]+)"', page.text)
        token = re.search(r'name="form_token" value="([^"]+)"', page.text)
        assert target, page.text
        assert token
        form = {"form_token": unescape(token[1]), **fields}
        return http.post(f"{elsewhere.theirs}{unescape(target[1])}", data=form)

    answer = send(page, action="sign_in", email=email, password=PASSWORD)
    answer = http.get(f"{elsewhere.theirs}{answer.headers['location']}")
    if answer.status_code == 200:
        answer = send(answer, action="allow")
    assert answer.status_code == 302, answer.text
    return str(answer.headers["location"])


def some_address() -> str:
    return f"ada-{uuid7().hex}@elsewhere.example.com"


def test_the_browser_is_sent_with_state_nonce_and_pkce(elsewhere: Elsewhere, http: httpx2.Client) -> None:
    answer = http.get(f"{elsewhere.ours}/v1/auth/house/login")
    query = dict(httpx2.URL(answer.headers["location"]).params)
    assert query["code_challenge_method"] == "S256"
    assert {"state", "nonce", "code_challenge"} <= query.keys()
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie


def test_a_stranger_gets_an_account_and_finds_it_again(
    elsewhere: Elsewhere, http: httpx2.Client, api: httpx2.Client
) -> None:
    email = some_address()
    register_there(elsewhere, email)
    answer = http.get(come_back(elsewhere, http, email))
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    tokens = answer.json()
    me = api.get("/v1/users/me", headers={"Authorization": f"Bearer {tokens['access_token']}"}).json()
    assert (me["email"], me["email_verified"], me["roles"]) == (email, True, ["customer"])
    form = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
    assert api.post("/oauth2/token", data=form).status_code == 200
    http.cookies.clear()
    again = http.get(come_back(elsewhere, http, email)).json()
    headers = {"Authorization": f"Bearer {again['access_token']}"}
    assert api.get("/v1/users/me", headers=headers).json()["id"] == me["id"]


def test_an_account_with_the_same_proven_address_is_linked(
    elsewhere: Elsewhere, http: httpx2.Client, make_customer: MakeCustomer, api: httpx2.Client, connections: Connections
) -> None:
    customer = make_customer()
    Accounts(connections.engine).mark_email_verified(customer.id)
    subject = register_there(elsewhere, customer.email)
    tokens = http.get(come_back(elsewhere, http, customer.email)).json()
    headers = {"Authorization": f"Bearer {tokens['access_token']}"}
    assert api.get("/v1/users/me", headers=headers).json()["id"] == customer.id
    with connections.engine.connect() as connection:
        query = sa.select(external_identities.c.subject).where(external_identities.c.user_id == customer.id)
        assert connection.scalars(query).all() == [subject]


def test_an_address_the_provider_has_not_proven_neither_links_nor_creates(
    elsewhere: Elsewhere, http: httpx2.Client, make_customer: MakeCustomer, connections: Connections
) -> None:
    customer = make_customer()
    Accounts(connections.engine).mark_email_verified(customer.id)
    for email in (customer.email, some_address()):
        http.cookies.clear()
        register_there(elsewhere, email, verified=False)
        answer = http.get(come_back(elsewhere, http, email))
        assert (answer.status_code, answer.json()["code"]) == (403, "email_not_verified")
    assert Accounts(connections.engine).by_email(email) is None


def test_an_account_here_that_only_claims_the_address_is_not_taken_over(
    elsewhere: Elsewhere, http: httpx2.Client, api: httpx2.Client, make_customer: MakeCustomer, connections: Connections
) -> None:
    customer = make_customer()
    register_there(elsewhere, customer.email)
    tokens = http.get(come_back(elsewhere, http, customer.email)).json()
    me = api.get("/v1/users/me", headers={"Authorization": f"Bearer {tokens['access_token']}"}).json()
    assert (me["email"], me["email_verified"]) == (customer.email, True)
    assert me["id"] != customer.id
    assert api.get("/v1/users/me", headers=customer.headers).json()["email_verified"] is False
    assert (owner := Accounts(connections.engine).owner_of(customer.email))
    assert owner.id == me["id"]


def test_a_locked_account_stays_locked(
    elsewhere: Elsewhere, http: httpx2.Client, api: httpx2.Client, connections: Connections
) -> None:
    email, accounts = some_address(), Accounts(connections.engine)
    register_there(elsewhere, email)
    assert http.get(come_back(elsewhere, http, email)).status_code == 200
    account = accounts.by_email(email)
    assert account
    accounts.set_active(account.id, False)
    http.cookies.clear()
    answer = http.get(come_back(elsewhere, http, email))
    assert (answer.status_code, answer.json()["code"]) == (403, "account_locked")


def test_an_answer_works_once_and_only_in_the_browser_that_asked(elsewhere: Elsewhere, http: httpx2.Client) -> None:
    email = some_address()
    register_there(elsewhere, email)
    address = come_back(elsewhere, http, email)
    with httpx2.Client() as other:
        answer = other.get(address)
        assert (answer.status_code, answer.json()["code"]) == (400, "external_sign_in_failed")
    assert http.get(address).status_code == 200
    assert http.get(address).status_code == 400


@pytest.mark.parametrize("change", [{"state": "made-up"}, {"iss": "https://another.example"}, {"code": "made-up"}])
def test_an_answer_with_something_changed_is_refused(
    elsewhere: Elsewhere, http: httpx2.Client, change: dict[str, str]
) -> None:
    email = some_address()
    register_there(elsewhere, email)
    address = httpx2.URL(come_back(elsewhere, http, email)).copy_merge_params(change)
    answer = http.get(address)
    assert (answer.status_code, answer.json()["code"]) == (400, "external_sign_in_failed")


def test_a_refusal_at_the_provider_is_shown(elsewhere: Elsewhere, http: httpx2.Client) -> None:
    answer = http.get(f"{elsewhere.ours}/v1/auth/house/callback", params={"error": "access_denied", "state": "x"})
    assert (answer.status_code, answer.json()["code"]) == (400, "external_sign_in_failed")


def test_an_unknown_provider_is_not_found(elsewhere: Elsewhere, http: httpx2.Client) -> None:
    assert http.get(f"{elsewhere.ours}/v1/auth/nobody/login").status_code == 404
    assert http.get(f"{elsewhere.ours}/v1/auth/nobody/callback").status_code == 404


def test_a_provider_that_is_away_is_an_outage(elsewhere: Elsewhere, http: httpx2.Client) -> None:
    """The last of the file: it ends the provider."""
    email = some_address()
    register_there(elsewhere, email)
    address = come_back(elsewhere, http, email)
    os.killpg(elsewhere.process.pid, signal.SIGTERM)
    elsewhere.process.wait(timeout=30)
    answer = http.get(address)
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
