"""Personal API keys: kept as digests, found by them, noted when used."""

import hashlib
import secrets
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from adapters.mysql.clock import now
from adapters.mysql.tables.identity import api_keys
from schemas.security import ApiKey

MARK = "oe_"
_PREFIX_BYTES = 4
_SECRET_BYTES = 32
_NOTED_EVERY = timedelta(minutes=1)


def new_api_key() -> tuple[str, str]:
    """A fresh key `oe_<prefix>_<secret>`, and the prefix by which its owner knows it."""
    prefix = f"{MARK}{secrets.token_hex(_PREFIX_BYTES)}"
    return f"{prefix}_{secrets.token_urlsafe(_SECRET_BYTES)}", prefix


class ApiKeys:
    """The keys of accounts."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def create(self, user_id: str, key: str, shown: ApiKey) -> None:
        """Keep the digest of a new key with what is shown of it."""
        row = shown.model_dump(exclude={"last_used_at"}) | {"user_id": user_id, "digest": _digest(key)}
        for moment in ("created_at", "expires_at"):
            row[moment] = row[moment].astimezone(UTC).replace(tzinfo=None) if row[moment] else None
        with self._engine.begin() as connection:
            connection.execute(sa.insert(api_keys).values(row))

    def owner_of(self, key: str) -> tuple[str, ApiKey] | None:
        """The account a key belongs to and what it was made for; None when it opens nothing (any more)."""
        query = sa.select(api_keys).where(api_keys.c.digest == _digest(key), *_live())
        with self._engine.connect() as connection:
            row = connection.execute(query).mappings().first()
        return None if row is None else (row["user_id"], _shown(row))

    def note_use(self, key: ApiKey) -> None:
        """Remember that the key was used, at most once a minute."""
        moment = now()
        if key.last_used_at is not None and moment - key.last_used_at.replace(tzinfo=None) < _NOTED_EVERY:
            return
        statement = sa.update(api_keys).where(api_keys.c.id == key.id).values(last_used_at=moment)
        with self._engine.begin() as connection:
            connection.execute(statement)

    def of(self, user_id: str) -> list[ApiKey]:
        """The account's keys that still open something, newest first."""
        query = sa.select(api_keys).where(api_keys.c.user_id == user_id, *_live()).order_by(api_keys.c.id.desc())
        with self._engine.connect() as connection:
            return [_shown(row) for row in connection.execute(query).mappings()]

    def revoke(self, user_id: str, key_id: str | None = None) -> int:
        """End one key of the account, or all; how many were ended."""
        statement = sa.update(api_keys).where(api_keys.c.user_id == user_id, api_keys.c.revoked_at.is_(None))
        if key_id is not None:
            statement = statement.where(api_keys.c.id == key_id)
        with self._engine.begin() as connection:
            return connection.execute(statement.values(revoked_at=now())).rowcount


def _live() -> tuple[sa.ColumnElement[bool], ...]:
    unexpired = sa.or_(api_keys.c.expires_at.is_(None), api_keys.c.expires_at > now())
    return api_keys.c.revoked_at.is_(None), unexpired


def _shown(row: sa.RowMapping) -> ApiKey:
    values: dict[str, Any] = dict(row)
    moments = {name: value.replace(tzinfo=UTC) for name, value in values.items() if isinstance(value, datetime)}
    return ApiKey.model_validate(values | moments)


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()
