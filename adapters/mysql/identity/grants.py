"""What has been granted: authorization codes, refresh tokens, revoked tokens and consents. Secrets are kept as digests.

Everything that comes from one sign-in is one family: a code, the refresh tokens that follow each other, and the access
tokens issued beside them. Whatever is presented twice revokes its family, because one of the two bearers is a thief.
"""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.mysql import insert as mysql_insert

from adapters.mysql.clock import now
from adapters.mysql.tables.identity import authorization_codes, consents, refresh_tokens, revoked_tokens

CODE_SECONDS = 60
REFRESH_DAYS = 30
_SECRET_BYTES = 32


def digest_of(secret: str) -> str:
    """The SHA-256 under which a secret of 256 random bits is kept, in hexadecimal."""
    return hashlib.sha256(secret.encode()).hexdigest()


@dataclass(frozen=True)
class CodeGrant:
    """What a customer allowed a client to do, until the client fetches its tokens."""

    client_id: str
    user_id: str
    redirect_uri: str
    scope: str
    nonce: str | None
    code_challenge: str
    family_id: str
    authenticated_at: datetime

    def get_redirect_uri(self) -> str:
        """The address the code was sent to, as Authlib asks for it."""
        return self.redirect_uri

    def get_scope(self) -> str:
        """What was allowed, as Authlib asks for it."""
        return self.scope


@dataclass(frozen=True)
class RefreshGrant:
    """What a refresh token stands for."""

    family_id: str
    client_id: str
    user_id: str
    scope: str
    token_version: int
    authenticated_at: datetime
    issued_at: datetime
    expires_at: datetime

    def check_client(self, client: Any) -> bool:
        """Whether it was given to this client, as Authlib asks for it."""
        return bool(client.get_client_id() == self.client_id)

    def get_scope(self) -> str:
        """What was allowed, as Authlib asks for it."""
        return self.scope


class Grants:
    """The grants of all customers to all clients. Times are UTC without a zone."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def save_code(self, code: str, grant: CodeGrant) -> None:
        """Keep a code for CODE_SECONDS."""
        values = dict(vars(grant), digest=digest_of(code), expires_at=now() + timedelta(seconds=CODE_SECONDS))
        with self._engine.begin() as connection:
            connection.execute(sa.insert(authorization_codes).values(values))

    def code(self, code: str, client_id: str) -> tuple[CodeGrant, bool] | None:
        """What a code of this client stands for, and whether it was used before; None when unknown or expired."""
        query = sa.select(authorization_codes).where(authorization_codes.c.digest == digest_of(code))
        row = self._row(query.where(authorization_codes.c.client_id == client_id))
        if row is None or (row["used_at"] is None and row["expires_at"] <= now()):
            return None
        return _kept(CodeGrant, row), row["used_at"] is not None

    def use_code(self, code: str) -> bool:
        """Spend a code; False when somebody was faster."""
        statement = sa.update(authorization_codes).values(used_at=now())
        mine = (authorization_codes.c.digest == digest_of(code)) & authorization_codes.c.used_at.is_(None)
        with self._engine.begin() as connection:
            return connection.execute(statement.where(mine)).rowcount == 1

    def issue_refresh_token(
        self, family_id: str, client_id: str, user_id: str, scope: str, token_version: int, authenticated_at: datetime
    ) -> str:
        """A new refresh token of the family, good for REFRESH_DAYS; only its digest is kept."""
        token, moment = secrets.token_urlsafe(_SECRET_BYTES), now()
        values = {
            "digest": digest_of(token),
            "family_id": family_id,
            "client_id": client_id,
            "user_id": user_id,
            "scope": scope,
            "token_version": token_version,
            "authenticated_at": authenticated_at,
            "issued_at": moment,
            "expires_at": moment + timedelta(days=REFRESH_DAYS),
        }
        with self._engine.begin() as connection:
            connection.execute(sa.insert(refresh_tokens).values(values))
        return token

    def refresh_token(self, token: str) -> tuple[RefreshGrant, bool] | None:
        """What a refresh token stands for, and whether it was used before; None when unknown, expired or revoked."""
        row = self._row(sa.select(refresh_tokens).where(refresh_tokens.c.digest == digest_of(token)))
        if row is None or row["revoked_at"] is not None or row["expires_at"] <= now():
            return None
        # Asked as well: a token issued while its family was being revoked does not know of it.
        if self.is_revoked(row["family_id"]):
            return None
        return _kept(RefreshGrant, row), row["used_at"] is not None

    def use_refresh_token(self, token: str) -> bool:
        """Spend a refresh token; False when somebody was faster."""
        mine = (refresh_tokens.c.digest == digest_of(token)) & refresh_tokens.c.used_at.is_(None)
        with self._engine.begin() as connection:
            done = connection.execute(sa.update(refresh_tokens).where(mine).values(used_at=now()))
        return done.rowcount == 1

    def is_revoked(self, family_id: str) -> bool:
        """Whether the access tokens that carry this `fam` are revoked: one look-up by primary key."""
        query = sa.select(revoked_tokens.c.id).where(revoked_tokens.c.id == family_id)
        with self._engine.connect() as connection:
            return connection.scalar(query) is not None

    def revoke_family(self, family_id: str) -> None:
        """Stop everything that came from one sign-in, at once; may be repeated."""
        with self._engine.begin() as connection:
            _revoke(connection, [family_id])

    def revoke_all_of(self, user_id: str) -> None:
        """Stop every code, refresh token and access token family of an account."""
        self._revoke_where(refresh_tokens.c.user_id == user_id, authorization_codes.c.user_id == user_id)

    def revoke_all_of_client(self, client_id: str) -> list[str]:
        """Stop everything a client holds; answers the families that were revoked."""
        return self._revoke_where(refresh_tokens.c.client_id == client_id, authorization_codes.c.client_id == client_id)

    def consented(self, user_id: str, client_id: str) -> set[str]:
        """The scopes the customer has allowed this client so far."""
        query = sa.select(consents.c.scope)
        query = query.where(consents.c.user_id == user_id, consents.c.client_id == client_id)
        with self._engine.connect() as connection:
            return set((connection.scalar(query) or "").split())

    def consent(self, user_id: str, client_id: str, scope: str) -> None:
        """Remember what was allowed, beside what was allowed before."""
        whole = " ".join(sorted(self.consented(user_id, client_id) | set(scope.split())))
        statement = mysql_insert(consents).values(user_id=user_id, client_id=client_id, scope=whole, given_at=now())
        update = {"scope": statement.inserted.scope, "given_at": statement.inserted.given_at}
        with self._engine.begin() as connection:
            connection.execute(statement.on_duplicate_key_update(update))

    def _revoke_where(self, of_tokens: sa.ColumnElement[bool], of_codes: sa.ColumnElement[bool]) -> list[str]:
        families = sa.select(refresh_tokens.c.family_id).where(of_tokens, refresh_tokens.c.revoked_at.is_(None))
        codes = sa.select(authorization_codes.c.family_id).where(
            of_codes, authorization_codes.c.expires_at > now() - timedelta(hours=1)
        )
        with self._engine.begin() as connection:
            revoked = sorted(set(connection.scalars(families)) | set(connection.scalars(codes)))
            _revoke(connection, revoked)
            unused = authorization_codes.c.used_at.is_(None)
            connection.execute(sa.update(authorization_codes).where(of_codes, unused).values(used_at=now()))
        return revoked

    def _row(self, query: sa.Select[Any]) -> sa.RowMapping | None:
        with self._engine.connect() as connection:
            return connection.execute(query).mappings().first()


def _revoke(connection: sa.Connection, families: list[str]) -> None:
    if not families:
        return
    moment = now()
    # As long as its longest-lived token could live, so that none outlives the note of its revocation.
    until = moment + timedelta(days=REFRESH_DAYS)
    statement = mysql_insert(revoked_tokens).values([{"id": family, "expires_at": until} for family in families])
    connection.execute(statement.on_duplicate_key_update(expires_at=statement.inserted.expires_at))
    these = refresh_tokens.c.family_id.in_(families) & refresh_tokens.c.revoked_at.is_(None)
    connection.execute(sa.update(refresh_tokens).where(these).values(revoked_at=moment))


def _kept(kind: Any, row: sa.RowMapping) -> Any:
    return kind(**{name: row[name] for name in kind.__dataclass_fields__})
