"""The applications that may ask for tokens, administered."""

from typing import Annotated

from fastapi import APIRouter, Body, Path, Query, Request, Response

from api.client_address import client_address
from api.deps import All, ClientStore
from api.errors import problems
from api.permissions import CurrentPrincipal, require
from domain.actors import service_actor, staff_actor
from domain.events import SecurityEventType
from schemas.oauth import ChangeOAuthClient, MadeOAuthClient, NewOAuthClient, OAuthClient, OAuthClientList

router = APIRouter(prefix="/v1/oauth-clients", tags=["identity"])
_MAY = [require("clients:manage")]
_EXAMPLE = {
    "client_id": "acme-app",
    "name": "Acme's shopping list",
    "confidential": True,
    "grant_types": ["authorization_code", "refresh_token"],
    "redirect_uris": ["https://acme.example/callback"],
    "scopes": ["openid", "profile", "orders"],
}
ClientPath = Annotated[str, Path(pattern=r"^[a-z0-9][a-z0-9-]{2,63}$")]


@router.get("", dependencies=_MAY, responses=problems(401, 403, 503))
def list_oauth_clients(
    clients: ClientStore, cursor: str | None = None, limit: Annotated[int, Query(ge=1, le=100)] = 50
) -> OAuthClientList:
    """Every registered application, inactive ones too."""
    found = clients.page(cursor if cursor is None or cursor.isascii() else "", limit + 1)
    more = len(found) > limit
    return OAuthClientList(items=found[:limit], next_cursor=found[limit - 1].client_id if more else None)


@router.post("", status_code=201, dependencies=_MAY, responses=problems(401, 403, 409, 503))
def create_oauth_client(
    new: Annotated[NewOAuthClient, Body(openapi_examples={"application": {"value": _EXAMPLE}})],
    request: Request,
    response: Response,
    everything: All,
    principal: CurrentPrincipal,
) -> MadeOAuthClient:
    """Register an application; the secret of a confidential one is told this once."""
    made = everything.clients.create(new)
    _note(everything, request, principal, SecurityEventType.OAUTH_CLIENT_CREATED, made.client_id)
    response.headers["Location"] = f"/v1/oauth-clients/{made.client_id}"
    response.headers["Cache-Control"] = "no-store"
    return made


@router.patch("/{client_id}", dependencies=_MAY, responses=problems(401, 403, 404, 503))
def change_oauth_client(
    client_id: ClientPath,
    change: ChangeOAuthClient,
    request: Request,
    everything: All,
    principal: CurrentPrincipal,
) -> OAuthClient:
    """Change what is given. Made inactive, the application and everything it holds stop at once."""
    changed = everything.clients.change(client_id, change)
    if not changed.active:
        everything.authorization.revoke_client(client_id)
    _note(everything, request, principal, SecurityEventType.OAUTH_CLIENT_CHANGED, client_id)
    return changed


@router.delete("/{client_id}", status_code=204, dependencies=_MAY, responses=problems(401, 403, 404, 503))
def deactivate_oauth_client(
    client_id: ClientPath, request: Request, everything: All, principal: CurrentPrincipal
) -> None:
    """Stop the application and everything it holds, at once; its row stays for the audit log."""
    everything.clients.change(client_id, ChangeOAuthClient(active=False))
    everything.authorization.revoke_client(client_id)
    _note(everything, request, principal, SecurityEventType.OAUTH_CLIENT_DEACTIVATED, client_id)


@router.post("/{client_id}/secret", dependencies=_MAY, responses=problems(401, 403, 404, 503))
def replace_oauth_client_secret(
    client_id: ClientPath, request: Request, response: Response, everything: All, principal: CurrentPrincipal
) -> MadeOAuthClient:
    """Another secret, told this once; the old one stops at once."""
    made = everything.clients.replace_secret(client_id)
    _note(everything, request, principal, SecurityEventType.OAUTH_CLIENT_SECRET_REPLACED, client_id)
    response.headers["Cache-Control"] = "no-store"
    return made


def _note(
    everything: All, request: Request, principal: CurrentPrincipal, kind: SecurityEventType, client_id: str
) -> None:
    actor = staff_actor(principal.id) if principal.kind == "person" else service_actor(principal.id)
    address = client_address(request)
    everything.security.record(kind, user_id=None, actor=actor, address=address, client_id=client_id)
