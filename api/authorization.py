"""Our OAuth 2 authorization server: Authlib's framework-neutral core with our clients, accounts and tokens.

A grant is a class registered in `build_authorization_server`; the endpoint stays as it is when one is added.
"""

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from authlib.oauth2 import AuthorizationServer as AuthlibServer  # type: ignore[import-untyped]
from authlib.oauth2 import OAuth2Request
from authlib.oauth2.rfc6749 import ClientMixin, InvalidGrantError, OAuth2Payload  # type: ignore[import-untyped]
from authlib.oauth2.rfc6749.grants import (  # type: ignore[import-untyped]
    ResourceOwnerPasswordCredentialsGrant,
)
from authlib.oauth2.rfc6750 import BearerTokenGenerator  # type: ignore[import-untyped]
from fastapi.responses import JSONResponse

from adapters.mysql.clients import FIRST_PARTY_CLIENT, OAuthClients
from adapters.mysql.users import Accounts
from adapters.settings import Settings
from api.passwords import Passwords
from api.tokens import AccessTokens
from schemas.users import Account, OAuthClient

TOKEN_PATH = "/oauth2/token"  # noqa: S105 - an address, not a secret

Form = list[tuple[str, str]]


@dataclass(frozen=True)
class TokenCall:
    """A request to the token endpoint, its form already read: Authlib's core is synchronous."""

    form: Form
    headers: dict[str, str]


class _Payload(OAuth2Payload):  # type: ignore[misc]
    def __init__(self, form: Form) -> None:
        # A plain OAuth 2 password client names no client; it speaks for our own storefront.
        self._data = {"client_id": FIRST_PARTY_CLIENT, **dict(form)}
        self._datalist = defaultdict(list)
        for name, value in form:
            self._datalist[name].append(value)

    @property
    def data(self) -> dict[str, str]:
        """Each field's last value."""
        return self._data

    @property
    def datalist(self) -> defaultdict[str, list[str]]:
        """Each field's values, so that Authlib can refuse one sent twice."""
        return self._datalist


class _TokenRequest(OAuth2Request):  # type: ignore[misc]
    def __init__(self, call: TokenCall, uri: str) -> None:
        super().__init__("POST", uri, headers=call.headers)
        self.payload = _Payload(call.form)

    @property
    def args(self) -> dict[str, str]:
        """Nothing is read from the address: a password has no business there."""
        return {}

    @property
    def form(self) -> dict[str, str]:
        """The form's fields."""
        return dict(self.payload.data)


class _Client(ClientMixin):  # type: ignore[misc]
    """Authlib's questions to a client, answered from its row."""

    def __init__(self, client: OAuthClient) -> None:
        self._client = client

    def get_client_id(self) -> str:
        return self._client.client_id

    def get_allowed_scope(self, scope: str | None) -> str:
        """What was asked for as far as it is allowed; everything when nothing was asked for."""
        allowed = self._client.scope.split()
        return " ".join(allowed if not scope else [one for one in scope.split() if one in allowed])

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        """A public client has no secret to show."""
        return method == "none" and endpoint == "token" and not self._client.is_confidential

    def check_grant_type(self, grant_type: str) -> bool:
        return grant_type in self._client.grant_types


class _PasswordGrant(ResourceOwnerPasswordCredentialsGrant):  # type: ignore[misc]
    TOKEN_ENDPOINT_AUTH_METHODS = ("none",)

    def authenticate_user(self, username: str, password: str) -> Account:
        account: Account | None = self.server.account_with(username, password)
        if account is None:
            raise InvalidGrantError("The e-mail address or the password is wrong.")
        return account


class AuthorizationServer(AuthlibServer):  # type: ignore[misc]
    """Answers the token endpoint with RFC 6749's bodies."""

    def __init__(self, settings: Settings, clients: OAuthClients, accounts: Accounts, passwords: Passwords) -> None:
        super().__init__()
        # Authlib insists on TLS; what counts is the address the world uses, not the hop behind the gateway.
        self._token_uri = f"{settings.public_url}{TOKEN_PATH}"
        self._clients = clients
        self._accounts = accounts
        self._passwords = passwords

    def account_with(self, email: str, password: str) -> Account | None:
        """The active account with this address and password; as slow for an unknown address as for a wrong password."""
        account = self._accounts.by_email(email)
        known = account is not None and account.active
        matches = self._passwords.matches(password, account.password_hash if account and known else None)
        return account if matches else None

    def query_client(self, client_id: str) -> _Client | None:
        """The registered client of this id."""
        client = self._clients.get(client_id)
        return None if client is None else _Client(client)

    def save_token(self, token: dict[str, Any], request: OAuth2Request) -> None:
        """An access token is not kept: it is checked by its signature and the account it names."""

    def send_signal(self, name: str, *args: object, **kwargs: object) -> None:
        """Nobody listens."""

    def create_oauth2_request(self, request: TokenCall) -> _TokenRequest:
        """The call in Authlib's form."""
        return _TokenRequest(request, self._token_uri)

    def handle_response(self, status: int, body: Any, headers: Form) -> JSONResponse:
        """The answer in Starlette's form; never to be cached (RFC 6749 §5.1)."""
        return JSONResponse(body, status, headers={**dict(headers), "Cache-Control": "no-store", "Pragma": "no-cache"})


def build_authorization_server(
    settings: Settings, clients: OAuthClients, accounts: Accounts, passwords: Passwords, tokens: AccessTokens
) -> AuthorizationServer:
    """The server with every grant and token there is."""

    def access_token(client: _Client, grant_type: str, user: Account, scope: str) -> str:
        del grant_type  # Authlib names it, our tokens do not tell
        return tokens.issue(user, client.get_client_id(), scope)

    server = AuthorizationServer(settings, clients, accounts, passwords)
    server.register_grant(_PasswordGrant)
    server.register_token_generator(
        "default", BearerTokenGenerator(access_token, expires_generator=tokens.lifetime_seconds)
    )
    return server
