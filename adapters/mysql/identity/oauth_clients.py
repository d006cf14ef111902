"""OAuth clients: the applications that may ask for tokens. A secret is shown once and kept as a digest."""

import hmac
import secrets
from dataclasses import dataclass
from datetime import UTC
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.dialects.mysql import insert as mysql_insert

from adapters.mysql.clock import now
from adapters.mysql.constraints import PRIMARY, violated_key
from adapters.mysql.identity.grants import digest_of
from adapters.mysql.tables.identity import oauth_clients
from domain.errors import Conflict, InvalidRequest, NotFound
from schemas.oauth import ChangeOAuthClient, MadeOAuthClient, NewOAuthClient, OAuthClient
from schemas.users import Role

FIRST_PARTY_CLIENT = "storefront"
FIRST_PARTY_SCOPE = "openid profile email offline_access cart orders"
FIRST_PARTY_GRANTS = ["password", "refresh_token"]
_SECRET_BYTES = 32


@dataclass(frozen=True)
class KnownClient:
    """A client and the digest of its secret, which stays with the code that compares it."""

    client: OAuthClient
    secret_digest: str | None

    def has_secret(self, secret: str) -> bool:
        """Whether this is the client's secret."""
        return self.secret_digest is not None and hmac.compare_digest(self.secret_digest, digest_of(secret))


class OAuthClients:
    """The registered applications."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def get(self, client_id: str) -> OAuthClient | None:
        """The active application registered under this id."""
        known = self.known(client_id)
        return None if known is None else known.client

    def known(self, client_id: str) -> KnownClient | None:
        """The same, able to compare its secret."""
        found = self._find(client_id)
        return found if found is not None and found.client.active else None

    def page(self, after: str | None, limit: int) -> list[OAuthClient]:
        """Up to `limit` clients whose ids follow `after`, in the order of their ids, inactive ones too."""
        query = sa.select(oauth_clients).order_by(oauth_clients.c.client_id).limit(limit)
        if after is not None:
            query = query.where(oauth_clients.c.client_id > after)
        with self._engine.connect() as connection:
            return [_client(row) for row in connection.execute(query).mappings()]

    def create(self, new: NewOAuthClient) -> MadeOAuthClient:
        """Register an application; raises Conflict when the id is taken."""
        secret = secrets.token_urlsafe(_SECRET_BYTES) if new.confidential else None
        row = {
            "client_id": new.client_id,
            "client_secret_hash": digest_of(secret) if secret else None,
            "name": new.name,
            "grant_types": list(dict.fromkeys(new.grant_types)),
            "redirect_uris": new.redirect_uris,
            "scope": " ".join(dict.fromkeys(new.scopes)),
            "roles": sorted(set(new.roles)),
            "first_party": False,
            "created_at": now(),
        }
        try:
            with self._engine.begin() as connection:
                connection.execute(sa.insert(oauth_clients).values(row))
        except sa.exc.IntegrityError as error:
            if violated_key(error) != PRIMARY:
                raise
            raise Conflict("A client with this id exists.") from error
        return MadeOAuthClient(**self._known(new.client_id).model_dump(), client_secret=secret)

    def change(self, client_id: str, change: ChangeOAuthClient) -> OAuthClient:
        """Replace what is given; raises NotFound, InvalidRequest when the client would no longer make sense."""
        before = self._known(client_id)
        values: dict[str, Any] = change.model_dump(exclude_unset=True, exclude_none=True)
        if "scopes" in values:
            values["scope"] = " ".join(dict.fromkeys(values.pop("scopes")))
        if values.get("roles") and "client_credentials" not in before.grant_types:
            raise InvalidRequest("Roles are for clients that act for themselves, by client_credentials.")
        if values.get("redirect_uris") == [] and "authorization_code" in before.grant_types:
            raise InvalidRequest("authorization_code needs a redirect URI.")
        self._update(client_id, values)
        return self._known(client_id)

    def replace_secret(self, client_id: str) -> MadeOAuthClient:
        """Give a confidential client another secret, the old one stops; raises NotFound, InvalidRequest."""
        client = self._known(client_id)
        if not client.is_confidential:
            raise InvalidRequest("A public client has no secret.")
        secret = secrets.token_urlsafe(_SECRET_BYTES)
        self._update(client_id, {"client_secret_hash": digest_of(secret)})
        return MadeOAuthClient(**client.model_dump(), client_secret=secret)

    def _update(self, client_id: str, values: dict[str, Any]) -> None:
        if values:
            with self._engine.begin() as connection:
                this = oauth_clients.c.client_id == client_id
                connection.execute(sa.update(oauth_clients).where(this).values(values))

    def _known(self, client_id: str) -> OAuthClient:
        found = self._find(client_id)
        if found is None:
            raise NotFound("There is no such client.")
        return found.client

    def _find(self, client_id: str) -> KnownClient | None:
        if not client_id.isascii():  # an id is ASCII, and its column compares with nothing else
            return None
        query = sa.select(oauth_clients).where(oauth_clients.c.client_id == client_id)
        with self._engine.connect() as connection:
            row = connection.execute(query).mappings().one_or_none()
        return None if row is None else KnownClient(_client(row), row["client_secret_hash"])


def _client(row: sa.RowMapping) -> OAuthClient:
    seen = {
        "roles": row["roles"] or [],
        "is_confidential": row["client_secret_hash"] is not None,
        "created_at": row["created_at"].replace(tzinfo=UTC),
    }
    return OAuthClient(**{**row, **seen})


@dataclass(frozen=True)
class ServiceClient:
    """A client that acts for itself: in these roles, limited to these permissions."""

    client_id: str
    name: str
    roles: tuple[Role, ...]
    permissions: tuple[str, ...]


def ensure_service_client(engine: sa.Engine, client: ServiceClient, secret: str) -> Literal["made", "changed"] | None:
    """Register the client with this secret, or update the existing one; None when nothing changed.

    One that was deactivated stays inactive.
    """
    values = {
        "client_secret_hash": digest_of(secret),
        "name": client.name,
        "grant_types": ["client_credentials"],
        "redirect_uris": [],
        "scope": " ".join(client.permissions),
        "roles": sorted(client.roles),
    }
    with engine.begin() as connection:
        this = oauth_clients.c.client_id == client.client_id
        found = connection.execute(sa.select(oauth_clients).where(this).with_for_update()).mappings().one_or_none()
        if found is not None and all(found[name] == value for name, value in values.items()):
            return None
        statement = mysql_insert(oauth_clients).values(client_id=client.client_id, created_at=now(), **values)
        connection.execute(statement.on_duplicate_key_update(values))
    return "changed" if found is not None else "made"


def ensure_first_party_client(engine: sa.Engine) -> bool:
    """Register our own storefront, a public client that may use the password grant; True when it was not there yet."""
    statement = mysql_insert(oauth_clients).values(
        client_id=FIRST_PARTY_CLIENT,
        client_secret_hash=None,
        name="Storefront",
        grant_types=FIRST_PARTY_GRANTS,
        redirect_uris=[],
        scope=FIRST_PARTY_SCOPE,
        first_party=True,
        created_at=now(),
    )
    with engine.begin() as connection:
        # A row that stands is left alone: an operator may have changed it.
        if connection.scalar(
            sa.select(oauth_clients.c.client_id).where(oauth_clients.c.client_id == FIRST_PARTY_CLIENT)
        ):
            return False
        connection.execute(statement.on_duplicate_key_update(client_id=statement.inserted.client_id))
    return True
