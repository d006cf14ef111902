"""Who is asking: the bearer of a token or an API key, checked against the account as it is now."""

from typing import Annotated, Any

from fastapi import Depends, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.security import OAuth2PasswordBearer
from fastapi.security.utils import get_authorization_scheme_param

from adapters.mysql.identity.api_keys import MARK
from adapters.mysql.identity.oauth_clients import FIRST_PARTY_CLIENT
from api.deps import Services, services_of
from api.errors import HttpProblem
from api.principals import Principal
from api.tokens import InvalidToken

bearer = OAuth2PasswordBearer(tokenUrl="/oauth2/token", auto_error=False)
_REVOKED = "The token has been revoked."


async def caller_of(request: Request) -> Principal | InvalidToken | None:
    """Who calls, asked once per request; not raised but answered when the credential is no good, so that the throttle
    can count it.
    """
    known: dict[str, Any] = request.scope.setdefault("state", {})
    if "caller" not in known:
        known["caller"] = await _caller(services_of(request), _credential(request))
    found: Principal | InvalidToken | None = known["caller"]
    return found


async def signed_in(request: Request) -> Principal | None:
    """The caller, None for a guest; 401 when the credential is no good."""
    caller = await caller_of(request)
    if isinstance(caller, InvalidToken):
        challenge = {"WWW-Authenticate": f'Bearer error="invalid_token", error_description="{caller}"'}
        raise HttpProblem(401, "invalid_token", str(caller), challenge) from caller
    return caller


async def still_signed_in(request: Request) -> bool:
    """Whether what a long request came with still holds; a guest came with nothing that could end."""
    return not isinstance(await _caller(services_of(request), _credential(request)), InvalidToken)


Caller = Annotated[Principal | InvalidToken | None, Depends(caller_of)]
SignedIn = Annotated[Principal | None, Depends(signed_in)]


def _credential(request: Request) -> str | None:
    scheme, credential = get_authorization_scheme_param(request.headers.get("authorization"))
    return credential if scheme.lower() == "bearer" else None


async def _caller(everything: Services, credential: str | None) -> Principal | InvalidToken | None:
    if credential is None:
        return None
    try:
        if credential.startswith(MARK):
            return await run_in_threadpool(_owner_of_key, everything, credential)
        claims = everything.tokens.verify(credential)
        if claims["sub"] == claims["client_id"]:
            return await run_in_threadpool(_service, everything, claims)
        return await _person(everything, claims)
    except InvalidToken as error:
        return error


async def _person(everything: Services, claims: dict[str, Any]) -> Principal:
    """Asked every time, so that a revoked token, role or account stops at once."""
    user_id = str(claims["sub"])
    state = await everything.sessions.look(user_id, *_family(claims))
    if state is None or not state.active or state.token_version != claims["tv"]:
        raise InvalidToken(_REVOKED)
    # Another application's token carries what the customer has agreed to; our own storefront is the customer.
    ours = claims["client_id"] == FIRST_PARTY_CLIENT
    return Principal("person", user_id, frozenset(state.roles), None if ours else _scopes(claims))


def _service(everything: Services, claims: dict[str, Any]) -> Principal:
    client = everything.clients.get(str(claims["client_id"]))
    if client is None or everything.sessions.is_revoked(*_family(claims)):
        raise InvalidToken(_REVOKED)
    return Principal("service", client.client_id, frozenset(client.roles), _limits_of(client.scope, claims))


def _limits_of(registered: str, claims: dict[str, Any]) -> frozenset[str] | None:
    """A service account of ours is registered for permissions (`stock:move`) and has no others of its roles.

    Another's service is registered for OpenID Connect's scopes, which say nothing about a service: it has all.
    """
    permissions = frozenset(one for one in registered.split() if ":" in one)
    return permissions & _scopes(claims) if permissions else None


def _owner_of_key(everything: Services, credential: str) -> Principal:
    found = everything.api_keys.owner_of(credential)
    state = everything.sessions.check(found[0]) if found else None
    if found is None or state is None or not state.active:
        raise InvalidToken("The API key is not valid.")
    user_id, key = found
    everything.api_keys.note_use(key)
    return Principal("person", user_id, frozenset(state.roles), frozenset(key.scopes))


def _family(claims: dict[str, Any]) -> list[str]:
    return [str(claims["fam"])] if claims.get("fam") else []


def _scopes(claims: dict[str, Any]) -> frozenset[str]:
    return frozenset(str(claims.get("scope", "")).split())
