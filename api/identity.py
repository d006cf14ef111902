"""Who is asking: the bearer of a token or an API key, checked against the account as it is now."""

from typing import Annotated, Any

from fastapi import Depends, Request
from fastapi.security import OAuth2PasswordBearer

from adapters.mysql.api_keys import MARK
from adapters.mysql.clients import FIRST_PARTY_CLIENT
from api.deps import All, Services
from api.errors import HttpProblem
from api.principals import Principal
from api.tokens import InvalidToken

_bearer = OAuth2PasswordBearer(tokenUrl="/oauth2/token", auto_error=False)
_REVOKED = "The token has been revoked."


def _caller(everything: All, credential: Annotated[str | None, Depends(_bearer)]) -> Principal | InvalidToken | None:
    """Who calls; not raised but answered when the credential is no good, so that the throttle can count it."""
    if credential is None:
        return None
    try:
        if credential.startswith(MARK):
            return _owner_of_key(everything, credential)
        claims = everything.tokens.verify(credential)
        return _service(everything, claims) if claims["sub"] == claims["client_id"] else _person(everything, claims)
    except InvalidToken as error:
        return error


def still_signed_in(everything: Services, request: Request) -> bool:
    """Whether what a long request came with still holds; a guest came with nothing that could end."""
    credential = request.headers.get("authorization")
    return credential is None or isinstance(_caller(everything, credential.partition(" ")[2]), Principal)


Caller = Annotated[Principal | InvalidToken | None, Depends(_caller)]


async def _signed_in(caller: Caller) -> Principal | None:
    if isinstance(caller, InvalidToken):
        challenge = {"WWW-Authenticate": f'Bearer error="invalid_token", error_description="{caller}"'}
        raise HttpProblem(401, "invalid_token", str(caller), challenge) from caller
    return caller


SignedIn = Annotated[Principal | None, Depends(_signed_in)]


def _person(everything: Services, claims: dict[str, Any]) -> Principal:
    """Asked every time, so that a revoked token, role or account stops at once."""
    user_id = str(claims["sub"])
    state = everything.sessions.check(user_id, *_family(claims))
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
