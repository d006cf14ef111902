"""The authorization server: its clients, accounts and tokens behind Authlib's core.

A grant is a class registered in `build_authorization_server`; the endpoint stays as it is when one is added.
"""

from datetime import UTC
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from authlib.oauth2 import AuthorizationServer as AuthlibServer  # type: ignore[import-untyped]
from authlib.oauth2 import OAuth2Error
from authlib.oauth2.rfc6749 import InvalidRequestError  # type: ignore[import-untyped]
from authlib.oauth2.rfc6750 import BearerTokenGenerator  # type: ignore[import-untyped]
from authlib.oidc.core.util import create_half_hash  # type: ignore[import-untyped]
from fastapi.responses import JSONResponse, RedirectResponse, Response

from adapters.mysql.identity.grants import Grants
from adapters.mysql.identity.oauth_clients import OAuthClients
from adapters.mysql.identity.security_events import SecurityEvents
from adapters.mysql.identity.users import Accounts
from adapters.settings import Settings
from api.login_throttle import LoginThrottle
from api.oauth.endpoints import Introspection, Revocation
from api.oauth.grants import CodeFlow, OnlyS256, PasswordGrant, RefreshFlow, ServiceGrant, SignIn
from api.oauth.requests import OAuthCall, ServerClient, ServerRequest
from api.passwords import Passwords
from api.sessions import Sessions
from api.tokens import ALGORITHM, AccessTokens
from domain.actors import GUEST_ACTOR, user_actor
from domain.events import SecurityEventType
from schemas.users import Account

NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}


class AuthorizationServer(AuthlibServer):  # type: ignore[misc]
    """Answers in the words of RFC 6749, 7009, 7662, 9207 and OpenID Connect."""

    def __init__(  # noqa: PLR0913, PLR0917 - what a sign-in needs to know
        self,
        settings: Settings,
        clients: OAuthClients,
        accounts: Accounts,
        passwords: Passwords,
        tokens: AccessTokens,
        grants: Grants,
        sessions: Sessions,
        throttle: LoginThrottle,
        security: SecurityEvents,
    ) -> None:
        super().__init__()
        self.grants = grants
        self.tokens = tokens
        self._public_url = settings.public_url
        self._issuer = settings.auth_issuer
        self._clients = clients
        self._accounts = accounts
        self._passwords = passwords
        self._sessions = sessions
        self._throttle = throttle
        self._security = security

    def account_with(self, email: str, password: str, address: str) -> Account | None:
        """The active account with this address and password: the address's owner, or the newest that only claims it.

        Two passwords are compared whoever there is, so that the time it takes reveals nothing. Raises TooManyAttempts
        while the account or the network address has to wait.
        """
        owner, newest = self._accounts.that_may_sign_in_by(email)
        known = owner or newest
        user_id = known.id if known else None
        self._throttle.check(email, address, user_id)
        opens_owner, opens_newest = self._opens(password, owner), self._opens(password, newest)
        account = owner if opens_owner else newest if opens_newest else None
        if account is None:
            self._throttle.failed(email, address, user_id)
            return None
        self._throttle.succeeded(email, address, proven=account.email_verified)
        self._renew_hash(account, password)
        self._security.record(
            SecurityEventType.LOGIN_SUCCEEDED, user_id=account.id, actor=user_actor(account.id), address=address
        )
        return account

    def _opens(self, password: str, account: Account | None) -> bool:
        may_sign_in = account is not None and account.active
        return self._passwords.matches(password, account.password_hash if account and may_sign_in else None)

    def _renew_hash(self, account: Account, password: str) -> None:
        """Only here is the password known that a hash at today's costs is made of."""
        kept = account.password_hash
        if kept is not None and (renewed := self._passwords.renewed(password, kept)):
            self._accounts.renew_password_hash(account.id, kept, renewed)

    def active_account(self, user_id: str) -> Account | None:
        """The account, unless it is unknown, locked or closed."""
        account = self._accounts.by_id(user_id)
        return account if account is not None and account.active else None

    def revoke_family(self, family_id: str, why: SecurityEventType, user_id: str, address: str) -> None:
        """Stop everything that came from one sign-in, at once and everywhere, and note why."""
        self.grants.revoke_family(family_id)
        self._sessions.revoked(family_id)
        self._security.record(why, user_id=user_id, actor=GUEST_ACTOR, address=address, family=family_id)

    def revoke_client(self, client_id: str) -> None:
        """Stop everything a client holds, at once and everywhere."""
        self._sessions.revoked(*self.grants.revoke_all_of_client(client_id))

    def is_live(self, claims: dict[str, Any]) -> bool:
        """Whether a token of ours with these claims still opens anything."""
        if self._sessions.is_revoked(str(claims["fam"])):
            return False
        if claims["sub"] == claims["client_id"]:
            return self._clients.get(str(claims["client_id"])) is not None
        account = self.active_account(str(claims["sub"]))
        return account is not None and account.token_version == claims["tv"]

    def consent_grant(self, call: OAuthCall, signed_in: SignIn | None) -> Any:
        """Authlib's grant for a checked authorization request; raises OAuth2Error."""
        try:
            return self.get_consent_grant(call, signed_in)
        except ValueError as error:  # Authlib quotes what was sent, and then refuses to quote it
            raise InvalidRequestError("A parameter holds a character it may not hold.") from error

    def token_response(self, signed_in: SignIn, client_id: str, address: str) -> Response:
        """Tokens for somebody who signed in by other means, as the client's own grant would answer them."""
        client = self.query_client(client_id)
        assert client is not None
        request = ServerRequest(OAuthCall("POST", "/oauth2/token", [], None, address), self._public_url)
        request.client, request.user = client, signed_in
        token = self.generate_token("external", client, signed_in, include_refresh_token=False)
        self.save_token(token, request)
        return self.handle_response(200, token, [])

    def query_client(self, client_id: str) -> ServerClient | None:
        """The registered client of this id."""
        known = self._clients.known(client_id)
        return None if known is None else ServerClient(known)

    def save_token(self, token: dict[str, Any], request: ServerRequest) -> None:
        """Add what belongs beside the access token, which itself is not kept: its signature and account say enough."""
        signed_in: SignIn | None = request.user
        if signed_in is None:
            return
        account, client = signed_in.account, request.client
        if client.check_grant_type("refresh_token"):
            # A refreshed token may be narrower; its successor may do what the first one could.
            scope = request.refresh_token.scope if request.refresh_token else token.get("scope", "")
            token["refresh_token"] = self.grants.issue_refresh_token(
                signed_in.family_id,
                client.get_client_id(),
                account.id,
                scope,
                account.token_version,
                signed_in.authenticated_at,
            )
        if "openid" in token.get("scope", "").split():
            token["id_token"] = self._id_token(signed_in, client.get_client_id(), token["access_token"])

    def _id_token(self, signed_in: SignIn, client_id: str, access_token: str) -> str:
        at = int(signed_in.authenticated_at.replace(tzinfo=UTC).timestamp())
        claims = {"auth_time": at, "at_hash": create_half_hash(access_token, ALGORITHM).decode()}
        if signed_in.nonce is not None:
            claims["nonce"] = signed_in.nonce
        return self.tokens.id_token(signed_in.account, client_id, claims)

    def send_signal(self, name: str, *args: object, **kwargs: object) -> None:
        """Nobody listens."""

    def create_oauth2_request(self, request: OAuthCall | ServerRequest) -> ServerRequest:
        """The call in Authlib's form."""
        return request if isinstance(request, ServerRequest) else ServerRequest(request, self._public_url)

    def redirect_of(self, error: OAuth2Error) -> Response:
        """The error as an answer to its client, or as a body when there is no client to send it to."""
        return self.handle_response(*error(None))

    def handle_response(self, status: int, body: Any, headers: list[tuple[str, str]]) -> Response:
        """The answer in Starlette's form, never to be cached; an answer to a client names its issuer (RFC 9207)."""
        named = dict(headers)
        if location := named.get("Location"):
            return RedirectResponse(_with(location, iss=self._issuer), 302, headers=NO_STORE)
        return JSONResponse(body, status, headers={**named, **NO_STORE})


def _with(address: str, **parameters: str) -> str:
    parts = urlsplit(address)
    query = parse_qsl(parts.query, keep_blank_values=True) + list(parameters.items())
    return urlunsplit(parts._replace(query=urlencode(query)))


def build_authorization_server(server: AuthorizationServer) -> AuthorizationServer:
    """The server with every grant, endpoint and token there is."""
    tokens = server.tokens

    def access_token(client: ServerClient, grant_type: str, user: SignIn | None, scope: str) -> str:
        del grant_type  # Authlib names it, our tokens do not name it
        if user is None:
            return tokens.issue_to_service(client.get_client_id(), scope, [*client.registered.roles])
        return tokens.issue(user.account, client.get_client_id(), scope, user.family_id)

    server.register_grant(PasswordGrant)
    server.register_grant(CodeFlow, [OnlyS256(required=True)])
    server.register_grant(RefreshFlow)
    server.register_grant(ServiceGrant)
    server.register_endpoint(Revocation)
    server.register_endpoint(Introspection)
    server.register_token_generator(
        "default", BearerTokenGenerator(access_token, expires_generator=tokens.lifetime_seconds)
    )
    return server
