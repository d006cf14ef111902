"""OAuth clients: the applications that may ask for tokens."""

import sqlalchemy as sa
from sqlalchemy.dialects.mysql import insert as mysql_insert

from adapters.mysql.history import now
from adapters.mysql.tables import oauth_clients
from schemas.users import OAuthClient

FIRST_PARTY_CLIENT = "storefront"
FIRST_PARTY_SCOPE = "profile cart orders"


class OAuthClients:
    """The registered applications."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def get(self, client_id: str) -> OAuthClient | None:
        """The application registered under this id."""
        if not client_id.isascii():  # an id is ASCII, and its column compares with nothing else
            return None
        with self._engine.connect() as connection:
            row = connection.execute(
                sa.select(oauth_clients).where(oauth_clients.c.client_id == client_id)
            ).one_or_none()
        if row is None:
            return None
        return OAuthClient(
            client_id=row.client_id,
            name=row.name,
            grant_types=row.grant_types,
            scope=row.scope,
            is_confidential=row.client_secret_hash is not None,
        )


def ensure_first_party_client(engine: sa.Engine) -> bool:
    """Register our own storefront, a public client that may use the password grant; True when it was not there yet."""
    statement = mysql_insert(oauth_clients).values(
        client_id=FIRST_PARTY_CLIENT,
        client_secret_hash=None,
        name="Storefront",
        grant_types=["password"],
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
