"""What the tests of OAuth share: a browser at the sign-in page, and what a client gets in the end."""

import base64
import hashlib
import re
import secrets
from dataclasses import dataclass, field
from html import unescape
from typing import Protocol
from urllib.parse import parse_qsl, urlsplit

import httpx2

from schemas.oauth import MadeOAuthClient
from tests.fixture_types import PASSWORD, Customer, Json

CALLBACK = "https://app.example.com/callback"


@dataclass
class Pkce:
    """A verifier and its challenge."""

    verifier: str = field(default_factory=lambda: secrets.token_urlsafe(48))

    @property
    def challenge(self) -> str:
        return base64.urlsafe_b64encode(hashlib.sha256(self.verifier.encode()).digest()).decode().rstrip("=")


@dataclass
class Browser:
    """A browser with its cookies that fills in our forms and follows no redirect by itself."""

    http: httpx2.Client

    def request(self, client: MadeOAuthClient, pkce: Pkce, **changes: str | None) -> dict[str, str]:
        query = {
            "response_type": "code",
            "client_id": client.client_id,
            "redirect_uri": CALLBACK,
            "scope": "openid profile email",
            "state": "a state & more",
            "nonce": "a nonce",
            "code_challenge": pkce.challenge,
            "code_challenge_method": "S256",
        }
        return {name: value for name, value in (query | changes).items() if value is not None}

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
        """The parameters the client gets in the end."""
        answer = self.sign_in(query, email)
        if answer.status_code == 200:
            answer = self.send(answer, "allow")
        return callback_parameters(answer)


def callback_parameters(answer: httpx2.Response, callback: str = CALLBACK) -> dict[str, str]:
    """The parameters an answer sends to the client."""
    assert answer.status_code == 302, answer.text
    location = answer.headers["location"]
    assert location.startswith(f"{callback}?"), location
    return dict(parse_qsl(urlsplit(location).query))


@dataclass(frozen=True)
class Flow:
    """A client, its customer, and the tokens it got by a code."""

    client: MadeOAuthClient
    customer: Customer
    pkce: Pkce
    code: str
    tokens: Json


class MakeClient(Protocol):
    """Registers a client; `changes` are fields of NewOAuthClient."""

    def __call__(self, **changes: object) -> MadeOAuthClient: ...


class Exchange(Protocol):
    """Asks the token endpoint for what a code stands for."""

    def __call__(self, client: MadeOAuthClient, code: str, pkce: Pkce, /, **changes: str | None) -> httpx2.Response: ...


class RunFlow(Protocol):
    """A whole sign-in: page, consent, code, tokens."""

    def __call__(self, client: MadeOAuthClient | None = None, **changes: str | None) -> Flow: ...
