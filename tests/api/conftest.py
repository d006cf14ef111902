"""What the tests of the API share: registered clients, staff and their imports, orders, and the mails that came."""

import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

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
from tests.fixture_types import (
    PASSWORD,
    Customer,
    Headers,
    Json,
    Mailed,
    MakeCustomer,
    MakeProduct,
    MakeStaff,
    PlaceOrder,
)
from tests.oauth import CALLBACK, Browser, Exchange, Flow, MakeClient, Pkce, RunFlow


@pytest.fixture(scope="session")
def costly_api(engine: Testbed) -> Iterator[httpx2.Client]:
    """A client of an API that hashes passwords at production's cost."""
    with (
        engine.another_api(ORDERS_PASSWORD_MEMORY_KIB="65536") as address,
        httpx2.Client(base_url=address, timeout=30) as client,
    ):
        yield client


@pytest.fixture
def browser(api: httpx2.Client) -> Iterator[Browser]:
    with httpx2.Client(base_url=api.base_url, timeout=30) as http:
        yield Browser(http)


@pytest.fixture(scope="session")
def make_client(connections: Connections) -> MakeClient:
    def make(**changes: object) -> MadeOAuthClient:
        defaults = {
            "client_id": f"test-{uuid7().hex}",
            "name": "Test application",
            "confidential": False,
            "grant_types": ["authorization_code", "refresh_token"],
            "redirect_uris": [CALLBACK],
            "scopes": ["openid", "profile", "email", "offline_access", "orders"],
        }
        return OAuthClients(connections.engine).create(NewOAuthClient.model_validate(defaults | changes))

    return make


@pytest.fixture
def exchange(api: httpx2.Client) -> Exchange:
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
def run_flow(browser: Browser, make_customer: MakeCustomer, make_client: MakeClient, exchange: Exchange) -> RunFlow:
    def run(client: MadeOAuthClient | None = None, **changes: str | None) -> Flow:
        client, customer, pkce = client or make_client(), make_customer(), Pkce()
        browser.http.cookies.clear()
        code = browser.allow(browser.request(client, pkce, **changes), customer.email)["code"]
        answer = exchange(client, code, pkce)
        assert answer.status_code == 200, answer.text
        return Flow(client, customer, pkce, code, answer.json())

    return run


@pytest.fixture(scope="session")
def mailed(engine: Testbed) -> Mailed:
    mail = f"{engine.url('MAIL_UI_PORT')}/api/v1"

    def read(email: str, subject: str, nth: int = 1) -> str:
        deadline = time.monotonic() + 60  # of all that an order does mails come last
        while time.monotonic() < deadline:
            listed = httpx2.get(f"{mail}/search", params={"query": f"to:{email}", "limit": 200}).json()["messages"]
            found = [message for message in listed if subject in message["Subject"]]
            if len(found) >= nth:
                return str(httpx2.get(f"{mail}/message/{found[0]['ID']}").json()["Text"])
            time.sleep(0.1)
        raise AssertionError(f"no mail “{subject}” came to {email}")

    return read


_ADDRESS = {"name": "Ada", "line1": "Unter den Linden 1", "city": "Berlin", "postal_code": "10117", "country": "DE"}


@pytest.fixture(scope="session")
def place_order(api: httpx2.Client, make_product: MakeProduct) -> PlaceOrder:
    def place(customer: Customer) -> Json:
        sku = make_product()
        cart = api.put(f"/v1/cart/items/{sku}", json={"quantity": 1}, headers=customer.headers).json()
        body = {"cart_version": cart["version"], "shipping_address": _ADDRESS, "payment_method": "pm_card_visa"}
        headers = customer.headers | {"Idempotency-Key": uuid.uuid4().hex}
        answer = api.post("/v1/checkouts", json=body, headers=headers)
        assert answer.status_code == 201, answer.text
        order: Json = answer.json()
        return order

    return place


@pytest.fixture(scope="session")
def make_staff(api: httpx2.Client, make_customer: MakeCustomer, connections: Connections) -> MakeStaff:
    def make(*roles: Role) -> Headers:
        account = make_customer()
        Accounts(connections.engine).set_roles(account.id, list(roles))
        form = {"grant_type": "password", "username": account.email, "password": PASSWORD}
        return {"Authorization": f"Bearer {api.post('/oauth2/token', data=form).json()['access_token']}"}

    return make


@pytest.fixture
def staff(make_staff: MakeStaff) -> Headers:
    """The headers of somebody of the support team."""
    return make_staff(Role.SUPPORT)


@pytest.fixture(scope="session")
def editor(make_staff: MakeStaff) -> Headers:
    """The headers of somebody who minds the catalog."""
    return make_staff(Role.CATALOG)


QueryValue: TypeAlias = str | int | bool


@dataclass
class SendImport:
    """Somebody who may manage products, at one API; signed in again before a token can expire in a long run."""

    http: httpx2.Client
    sign_in: Callable[[], Headers]
    _headers: Headers = field(default_factory=dict)
    _since: float = 0

    @property
    def headers(self) -> Headers:
        if not self._headers or time.monotonic() - self._since > 240:
            self._headers, self._since = self.sign_in(), time.monotonic()
        return self._headers

    def at(self, http: httpx2.Client) -> "SendImport":
        """The same at another process."""
        return SendImport(http, lambda: self.headers)

    def __call__(
        self, body: bytes | str | Iterable[bytes], form: str = "text/csv", key: str | None = None, **query: QueryValue
    ) -> httpx2.Response:
        headers = self.headers | {"Content-Type": form, "Idempotency-Key": key or uuid.uuid4().hex}
        content = body.encode() if isinstance(body, str) else body
        return self.http.post("/v1/products:import", content=content, headers=headers, params=query, timeout=600)

    def get(self, path: str, **query: QueryValue) -> httpx2.Response:
        return self.http.get(path, headers=self.headers, params=query)

    def post(self, path: str, headers: Headers, content: bytes | None = None, json: object = None) -> httpx2.Response:
        return self.http.post(path, headers=self.headers | headers, content=content, json=json)


@pytest.fixture(scope="session")
def send(api: httpx2.Client, make_staff: MakeStaff) -> SendImport:
    return SendImport(api, lambda: make_staff(Role.CATALOG))


@pytest.fixture
def buyer(api: httpx2.Client, customer: Customer, engine: Testbed) -> Buyer:
    """A customer, and what the payment provider knows of them."""
    return Buyer(api, customer.headers, engine.url("PAYMENT_SIMULATOR_PORT"))
