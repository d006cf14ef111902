"""Personal API keys: created with some of one's own permissions, shown once, listed, ended."""

from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Body, Response
from uuid_utils import uuid7

from adapters.mysql.identity.api_keys import new_api_key
from api.deps import ApiKeyStore, ClientAddress, Security
from api.errors import problems
from api.permissions import CurrentUser, permissions_for_keys, require
from domain.actors import user_actor
from domain.errors import Conflict, InvalidRequest, NotFound
from domain.events import SecurityEventType
from domain.ids import is_uuid
from schemas.security import ApiKey, ApiKeyList, MadeApiKey, NewApiKey
from schemas.users import Account

router = APIRouter(prefix="/v1/users/me/api-keys", tags=["identity"], dependencies=[require("api_keys:own")])
_MOST = 20
_EXAMPLE = {"name": "my spreadsheet", "scopes": ["orders:read_own"], "days": 90}


@router.post("", status_code=201, responses=problems(401, 403, 409, 422, 503))
def make_api_key(
    new: Annotated[NewApiKey, Body(openapi_examples={"orders": {"value": _EXAMPLE}})],
    user: CurrentUser,
    keys: ApiKeyStore,
    security: Security,
    address: ClientAddress,
) -> MadeApiKey:
    """Create a key; send it as `Authorization: Bearer oe_…`. It is shown only once and stored as a digest."""
    _check_scopes(new.scopes, user)
    if len(keys.of(user.id)) >= _MOST:
        raise Conflict(f"An account has at most {_MOST} keys; end one first.")
    secret, prefix = new_api_key()
    moment = datetime.now(UTC)
    shown = ApiKey(
        id=str(uuid7()),
        name=new.name,
        prefix=prefix,
        scopes=sorted(set(new.scopes)),
        created_at=moment,
        expires_at=moment + timedelta(days=new.days),
    )
    keys.create(user.id, secret, shown)
    security.record(
        SecurityEventType.API_KEY_MADE, user_id=user.id, actor=user_actor(user.id), address=address, prefix=prefix
    )
    return MadeApiKey(**shown.model_dump(), key=secret)


@router.get("", responses=problems(401, 403, 503))
def list_api_keys(user: CurrentUser, keys: ApiKeyStore) -> ApiKeyList:
    """Your active keys, without their secrets."""
    return ApiKeyList(items=keys.of(user.id))


@router.delete("/{key_id}", status_code=204, responses=problems(401, 403, 404, 503))
def revoke_api_key(
    key_id: str, user: CurrentUser, keys: ApiKeyStore, security: Security, address: ClientAddress
) -> Response:
    """End a key at once."""
    if not is_uuid(key_id) or not keys.revoke(user.id, key_id):
        raise NotFound("There is no such key.")
    security.record(
        SecurityEventType.API_KEY_ENDED, user_id=user.id, actor=user_actor(user.id), address=address, key_id=key_id
    )
    return Response(status_code=204)


def _check_scopes(scopes: list[str], user: Account) -> None:
    possible = permissions_for_keys(frozenset(user.roles))
    refused = sorted(set(scopes) - possible)
    if refused:
        raise InvalidRequest(
            "A key can only have permissions that its account has.", refused=refused, possible=sorted(possible)
        )
