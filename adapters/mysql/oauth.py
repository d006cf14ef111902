"""The registered OAuth clients, read for the authorization server; `clients.py` registers our own."""

import sqlalchemy as sa

from adapters.mysql.tables import oauth_clients
from schemas.users import OAuthClient


class OAuthClients:
    """The applications that may ask for tokens."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def get(self, client_id: str) -> OAuthClient | None:
        """The client with this id."""
        if not client_id.isascii():
            return None  # the column's collation could not even compare it
        with self._engine.connect() as connection:
            row = connection.execute(sa.select(oauth_clients).where(oauth_clients.c.client_id == client_id)).first()
        if row is None:
            return None
        return OAuthClient(
            client_id=row.client_id,
            name=row.name,
            grant_types=row.grant_types,
            scope=row.scope,
            is_confidential=row.client_secret_hash is not None,
        )
