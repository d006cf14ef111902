"""Whether a token or an API key is good, checked against the account as it is now."""

from dataclasses import dataclass
from typing import Any

from fastapi import Request
from fastapi.concurrency import run_in_threadpool
from fastapi.security.utils import get_authorization_scheme_param

from adapters.mysql.identity.api_keys import MARK, ApiKeys
from adapters.mysql.identity.oauth_clients import FIRST_PARTY_CLIENT, OAuthClients
from api.principals import Principal
from api.sessions import Sessions
from api.tokens import AccessTokens, InvalidToken

_REVOKED = "The token has been revoked."


@dataclass(frozen=True)
class Authenticator:
    """Knows the caller of a request by what its Authorization header carries."""

    tokens: AccessTokens
    sessions: Sessions
    clients: OAuthClients
    api_keys: ApiKeys

    async def caller_of(self, request: Request) -> Principal | InvalidToken | None:
        """The caller, None for a guest, looked up once per request. A credential that is no good is returned and not
        raised, so that the rate limit can count it.
        """
        known: dict[str, Any] = request.scope.setdefault("state", {})
        if "caller" not in known:
            known["caller"] = await self._caller(_credential(request))
        found: Principal | InvalidToken | None = known["caller"]
        return found

    async def still_holds(self, request: Request) -> bool:
        """Whether the credential of a long request is still good; a guest has none that could end."""
        return not isinstance(await self._caller(_credential(request)), InvalidToken)

    async def _caller(self, credential: str | None) -> Principal | InvalidToken | None:
        if credential is None:
            return None
        try:
            if credential.startswith(MARK):
                return await run_in_threadpool(self._owner_of_key, credential)
            claims = self.tokens.verify(credential)
            if claims["sub"] == claims["client_id"]:
                return await run_in_threadpool(self._service, claims)
            return await self._person(claims)
        except InvalidToken as error:
            return error

    async def _person(self, claims: dict[str, Any]) -> Principal:
        """Looked up every time, so that a revoked token, role or account stops at once."""
        user_id = str(claims["sub"])
        state = await self.sessions.look(user_id, *_family(claims))
        if state is None or not state.active or state.token_version != claims["tv"]:
            raise InvalidToken(_REVOKED)
        # Another application's token carries what the customer has agreed to; our own storefront is the customer.
        ours = claims["client_id"] == FIRST_PARTY_CLIENT
        return Principal("person", user_id, frozenset(state.roles), None if ours else _scopes(claims))

    def _service(self, claims: dict[str, Any]) -> Principal:
        client = self.clients.get(str(claims["client_id"]))
        if client is None or self.sessions.is_revoked(*_family(claims)):
            raise InvalidToken(_REVOKED)
        return Principal("service", client.client_id, frozenset(client.roles), _limits_of(client.scope, claims))

    def _owner_of_key(self, credential: str) -> Principal:
        found = self.api_keys.owner_of(credential)
        state = self.sessions.check(found[0]) if found else None
        if found is None or state is None or not state.active:
            raise InvalidToken("The API key is not valid.")
        user_id, key = found
        self.api_keys.note_use(key)
        return Principal("person", user_id, frozenset(state.roles), frozenset(key.scopes))


def _credential(request: Request) -> str | None:
    scheme, credential = get_authorization_scheme_param(request.headers.get("authorization"))
    return credential if scheme.lower() == "bearer" else None


def _limits_of(registered: str, claims: dict[str, Any]) -> frozenset[str] | None:
    """A service account of ours is registered for permissions (`stock:move`) and has no others of its roles.

    Another's service is registered for OpenID Connect's scopes, which say nothing about a service: it has all.
    """
    permissions = frozenset(scope for scope in registered.split() if ":" in scope)
    return permissions & _scopes(claims) if permissions else None


def _family(claims: dict[str, Any]) -> list[str]:
    return [str(claims["fam"])] if claims.get("fam") else []


def _scopes(claims: dict[str, Any]) -> frozenset[str]:
    return frozenset(str(claims.get("scope", "")).split())
