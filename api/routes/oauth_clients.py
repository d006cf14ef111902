"""Administration of the applications that may request tokens."""

from typing import Annotated

from fastapi import APIRouter, Body, Depends, Path, Query, Response

from adapters.mysql.identity.security_events import SecurityEvents
from api.deps import ClientAddress, ClientStore, OAuthServer, Security
from api.errors import problems
from api.permissions import CurrentPrincipal, require
from api.principals import Principal
from domain.actors import staff_actor
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


class _Audit:
    """Records what was done to an application, by whom and from where."""

    def __init__(self, security: SecurityEvents, principal: Principal, address: str) -> None:
        self._security = security
        self._actor = staff_actor(principal.id) if principal.kind == "person" else principal.name
        self._address = address

    def record(self, kind: SecurityEventType, client_id: str) -> None:
        self._security.record(kind, user_id=None, actor=self._actor, address=self._address, client_id=client_id)


async def _audit(security: Security, principal: CurrentPrincipal, address: ClientAddress) -> _Audit:
    return _Audit(security, principal, address)


Audit = Annotated[_Audit, Depends(_audit)]


@router.get("", dependencies=_MAY, responses=problems(401, 403, 503))
def list_oauth_clients(
    clients: ClientStore, cursor: str | None = None, limit: Annotated[int, Query(ge=1, le=100)] = 50
) -> OAuthClientList:
    """Registered applications, inactive ones too."""
    found = clients.page(cursor if cursor is None or cursor.isascii() else "", limit + 1)
    more = len(found) > limit
    return OAuthClientList(items=found[:limit], next_cursor=found[limit - 1].client_id if more else None)


@router.post("", status_code=201, dependencies=_MAY, responses=problems(401, 403, 409, 503))
def create_oauth_client(
    new: Annotated[NewOAuthClient, Body(openapi_examples={"application": {"value": _EXAMPLE}})],
    response: Response,
    clients: ClientStore,
    audit: Audit,
) -> MadeOAuthClient:
    """Register an application; the secret of a confidential one is shown only once."""
    made = clients.create(new)
    audit.record(SecurityEventType.OAUTH_CLIENT_CREATED, made.client_id)
    response.headers["Location"] = f"/v1/oauth-clients/{made.client_id}"
    response.headers["Cache-Control"] = "no-store"
    return made


@router.patch("/{client_id}", dependencies=_MAY, responses=problems(401, 403, 404, 503))
def change_oauth_client(
    client_id: ClientPath, change: ChangeOAuthClient, clients: ClientStore, server: OAuthServer, audit: Audit
) -> OAuthClient:
    """Change the fields that are sent. Made inactive, the application and all its tokens stop at once."""
    changed = clients.change(client_id, change)
    if not changed.active:
        server.revoke_client(client_id)
    audit.record(SecurityEventType.OAUTH_CLIENT_CHANGED, client_id)
    return changed


@router.delete("/{client_id}", status_code=204, dependencies=_MAY, responses=problems(401, 403, 404, 503))
def deactivate_oauth_client(client_id: ClientPath, clients: ClientStore, server: OAuthServer, audit: Audit) -> None:
    """Stop the application and all its tokens at once; its row stays for the audit log."""
    clients.change(client_id, ChangeOAuthClient(active=False))
    server.revoke_client(client_id)
    audit.record(SecurityEventType.OAUTH_CLIENT_DEACTIVATED, client_id)


@router.post("/{client_id}/secret", dependencies=_MAY, responses=problems(401, 403, 404, 503))
def replace_oauth_client_secret(
    client_id: ClientPath, response: Response, clients: ClientStore, audit: Audit
) -> MadeOAuthClient:
    """Replace the secret; the new one is shown only once, the old one stops at once."""
    made = clients.replace_secret(client_id)
    audit.record(SecurityEventType.OAUTH_CLIENT_SECRET_REPLACED, client_id)
    response.headers["Cache-Control"] = "no-store"
    return made
