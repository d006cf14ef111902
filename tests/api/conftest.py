"""What the tests of OAuth share: registered clients, and a browser at the sign-in page."""

import base64
import hashlib
import re
import secrets
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from html import unescape
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx2
import pytest
from uuid_utils import uuid7

from adapters.connections import Connections
from adapters.mysql.identity.oauth_clients import OAuthClients
from adapters.mysql.identity.users import Accounts
from dev.testbed import Testbed
from schemas.oauth import MadeOAuthClient, NewOAuthClient
from schemas.users import Role
from tests.buyer import Buyer

CALLBACK = "https://app.example.com/callback"
PASSWORD = "correct horse battery staple"


@dataclass
class Pkce:
    """A verifier and its challenge."""

    verifier: str = field(default_factory=lambda: secrets.token_urlsafe(48))

    @property
    def challenge(self) -> str:
        return base64.urlsafe_b64encode(hashlib.sha256(self.verifier.encode()).digest()).decode().rstrip("=")


@dataclass
class BrowserAt:
    """A browser with its cookies that fills in our forms and follows no redirect by itself."""

    http: httpx2.Client

    def request(self, client: Any, pkce: Pkce, **changes: str | None) -> dict[str, str]:
        wanted = {
            "response_type": "code",
            "client_id": client.client_id,
            "redirect_uri": CALLBACK,
            "scope": "openid profile email",
            "state": "a state & more",
            "nonce": "a nonce",
            "code_challenge": pkce.challenge,
            "code_challenge_method": "S256",
        }
        return {name: value for name, value in (wanted | changes).items() if value is not None}

    def open(self, query: dict[str, str]) -> httpx2.Response:
        return self.http.get("/oauth2/authorize", params=query)

    def send(self, page: httpx2.Response, action: str, **fields: str) -> httpx2.Response:
        target = re.search(r'action="([^"]+)"', page.text)
        token = re.search(r'name="form_token" value="([^"]+)"', page.text)
        assert target, page.text
        assert token
        form = {"form_token": unescape(token[1]), "action": action, **fields}
        return self.http.post(unescape(target[1]), data=form)

    def sign_in(self, query: dict[str, str], email: str, password: str = PASSWORD) -> httpx2.Response:
        """The consent page, or what comes instead of it."""
        answer = self.send(self.open(query), "sign_in", email=email, password=password)
        assert answer.status_code == 303, answer.text
        return self.http.get(answer.headers["location"])

    def allow(self, query: dict[str, str], email: str) -> dict[str, str]:
        """What the client is told in the end."""
        answer = self.sign_in(query, email)
        if answer.status_code == 200:
            answer = self.send(answer, "allow")
        return told(answer)


def told(answer: httpx2.Response, callback: str = CALLBACK) -> dict[str, str]:
    """The parameters an answer sends to the client."""
    assert answer.status_code == 302, answer.text
    location = answer.headers["location"]
    assert location.startswith(f"{callback}?"), location
    return dict(parse_qsl(urlsplit(location).query))


@pytest.fixture(scope="session")
def costly_api(engine: Testbed) -> Iterator[httpx2.Client]:
    """A client of an API that hashes passwords at production's cost."""
    with (
        engine.another_api(ORDERS_PASSWORD_MEMORY_KIB="65536") as address,
        httpx2.Client(base_url=address, timeout=30) as client,
    ):
        yield client


@pytest.fixture
def browser(api: httpx2.Client) -> Iterator[BrowserAt]:
    with httpx2.Client(base_url=api.base_url, timeout=30) as http:
        yield BrowserAt(http)


MakeClient = Callable[..., MadeOAuthClient]


@pytest.fixture(scope="session")
def make_client(connections: Connections) -> MakeClient:
    def make(**changes: Any) -> MadeOAuthClient:
        wanted = {
            "client_id": f"test-{uuid7().hex}",
            "name": "Test application",
            "confidential": False,
            "grant_types": ["authorization_code", "refresh_token"],
            "redirect_uris": [CALLBACK],
            "scopes": ["openid", "profile", "email", "offline_access", "orders"],
        }
        return OAuthClients(connections.engine).create(NewOAuthClient(**(wanted | changes)))

    return make


@dataclass(frozen=True)
class Flow:
    """A client, its customer, and the tokens it got by a code."""

    client: MadeOAuthClient
    customer: Any
    pkce: Pkce
    code: str
    tokens: dict[str, Any]


@pytest.fixture
def exchange(api: httpx2.Client) -> Callable[..., httpx2.Response]:
    """Ask the token endpoint for what a code stands for."""

    def exchange(client: MadeOAuthClient, code: str, pkce: Pkce, /, **changes: str | None) -> httpx2.Response:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": CALLBACK,
            "client_id": client.client_id,
            "client_secret": client.client_secret,
            "code_verifier": pkce.verifier,
        } | changes
        return api.post("/oauth2/token", data={name: value for name, value in form.items() if value is not None})

    return exchange


@pytest.fixture
def run_flow(
    browser: BrowserAt, make_customer: Any, make_client: MakeClient, exchange: Callable[..., httpx2.Response]
) -> Callable[..., Flow]:
    """A whole sign-in: page, consent, code, tokens."""

    def run(client: MadeOAuthClient | None = None, **changes: str | None) -> Flow:
        client, customer, pkce = client or make_client(), make_customer(), Pkce()
        browser.http.cookies.clear()
        code = browser.allow(browser.request(client, pkce, **changes), customer.email)["code"]
        answer = exchange(client, code, pkce)
        assert answer.status_code == 200, answer.text
        return Flow(client, customer, pkce, code, answer.json())

    return run


@pytest.fixture(scope="session")
def mailed(engine: Testbed) -> Callable[..., str]:
    """The text of the newest mail to an address whose subject holds some words; waits until `nth` of them came."""
    mail = f"{engine.url('MAIL_UI_PORT')}/api/v1"

    def read(email: str, subject: str, nth: int = 1) -> str:
        deadline = time.monotonic() + 60  # of all that an order does mails come last
        while time.monotonic() < deadline:
            listed = httpx2.get(f"{mail}/search", params={"query": f"to:{email}", "limit": 200}).json()["messages"]
            found = [one for one in listed if subject in one["Subject"]]
            if len(found) >= nth:
                return str(httpx2.get(f"{mail}/message/{found[0]['ID']}").json()["Text"])
            time.sleep(0.1)
        raise AssertionError(f"no mail “{subject}” came to {email}")

    return read


_ADDRESS = {"name": "Ada", "line1": "Unter den Linden 1", "city": "Berlin", "postal_code": "10117", "country": "DE"}


@pytest.fixture(scope="session")
def place_order(api: httpx2.Client, make_product: Any) -> Callable[[Any], dict[str, Any]]:
    """Order one unit of a new product; answers the order."""

    def place(customer: Any) -> dict[str, Any]:
        sku = make_product()
        cart = api.put(f"/v1/cart/items/{sku}", json={"quantity": 1}, headers=customer.headers).json()
        body = {"cart_version": cart["version"], "shipping_address": _ADDRESS, "payment_method": "pm_card_visa"}
        headers = customer.headers | {"Idempotency-Key": uuid.uuid4().hex}
        answer = api.post("/v1/checkouts", json=body, headers=headers)
        assert answer.status_code == 201, answer.text
        order: dict[str, Any] = answer.json()
        return order

    return place


@pytest.fixture(scope="session")
def make_staff(api: httpx2.Client, make_customer: Any, connections: Connections) -> Callable[..., dict[str, str]]:
    """The headers of a new account that has these roles and no other."""

    def make(*roles: Role) -> dict[str, str]:
        account = make_customer()
        Accounts(connections.engine).set_roles(account.id, list(roles))
        form = {"grant_type": "password", "username": account.email, "password": PASSWORD}
        return {"Authorization": f"Bearer {api.post('/oauth2/token', data=form).json()['access_token']}"}

    return make


@pytest.fixture(scope="session")
def editor(make_staff: Callable[..., dict[str, str]]) -> dict[str, str]:
    """The headers of somebody who minds the catalog."""
    return make_staff(Role.CATALOG)


@dataclass
class SendImport:
    """Somebody who may manage products, at one API; signed in anew before a token can expire in a long run."""

    http: httpx2.Client
    sign_in: Callable[[], dict[str, str]]
    _headers: dict[str, str] = field(default_factory=dict)
    _since: float = 0

    @property
    def headers(self) -> dict[str, str]:
        if not self._headers or time.monotonic() - self._since > 240:
            self._headers, self._since = self.sign_in(), time.monotonic()
        return self._headers

    def at(self, http: httpx2.Client) -> "SendImport":
        """The same at another process."""
        return SendImport(http, lambda: self.headers)

    def __call__(
        self, body: bytes | str | Iterable[bytes], form: str = "text/csv", key: str | None = None, **query: Any
    ) -> httpx2.Response:
        headers = self.headers | {"Content-Type": form, "Idempotency-Key": key or uuid.uuid4().hex}
        content = body.encode() if isinstance(body, str) else body
        return self.http.post("/v1/products:import", content=content, headers=headers, params=query, timeout=600)

    def get(self, path: str, **query: Any) -> httpx2.Response:
        return self.http.get(path, headers=self.headers, params=query)

    def post(self, path: str, headers: dict[str, str], **options: Any) -> httpx2.Response:
        return self.http.post(path, headers=self.headers | headers, **options)


@pytest.fixture(scope="session")
def send(api: httpx2.Client, make_staff: Callable[..., dict[str, str]]) -> SendImport:
    return SendImport(api, lambda: make_staff(Role.CATALOG))


@pytest.fixture
def buyer(api: httpx2.Client, customer: Any, engine: Testbed) -> Buyer:
    """A customer, and what the payment provider knows of them."""
    return Buyer(api, customer.headers, engine.url("PAYMENT_SIMULATOR_PORT"))
