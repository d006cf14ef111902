"""What stands behind mailed links: single use, expiring, kept only as a digest."""

import hashlib
import secrets
from collections.abc import Collection
from datetime import timedelta

import sqlalchemy as sa

from adapters.mysql.clock import now
from adapters.mysql.tables.identity import email_tokens
from schemas.account_mails import AccountMailKind, LinkToken

_BYTES = 32
_LIVE_AT_ONCE = 5
_C = email_tokens.c


class EmailTokens:
    """Issues and redeems link tokens."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def issue(self, user_id: str, purpose: AccountMailKind, email: str, lifetime: timedelta) -> str | None:
        """A new secret for a link to be mailed to the address.

        None when so many are on their way already that one more would only be a nuisance.
        """
        moment, secret = now(), secrets.token_urlsafe(_BYTES)
        theirs = sa.and_(_C.user_id == user_id, _C.purpose == purpose)
        row = {
            "digest": _digest(secret),
            "user_id": user_id,
            "purpose": purpose,
            "email": email,
            "created_at": moment,
            "expires_at": moment + lifetime,
        }
        with self._engine.begin() as connection:
            connection.execute(sa.delete(email_tokens).where(theirs, _C.expires_at <= moment))
            live = connection.scalar(sa.select(sa.func.count()).where(theirs, _C.used_at.is_(None))) or 0
            if live >= _LIVE_AT_ONCE:
                return None
            connection.execute(sa.insert(email_tokens).values(row))
        return secret

    def withdraw(self, secret: str) -> None:
        """The mail with this secret could not be sent."""
        with self._engine.begin() as connection:
            connection.execute(sa.delete(email_tokens).where(_C.digest == _digest(secret)))

    def look_up(self, secret: str, purposes: Collection[AccountMailKind]) -> LinkToken | None:
        """What a link stands for, without using it up; None when it is unknown, used or expired."""
        with self._engine.connect() as connection:
            return _live(connection, secret, purposes)

    def redeem(self, secret: str, purposes: Collection[AccountMailKind]) -> LinkToken | None:
        """Use a link up, and with it every other of its kind; None when it is unknown, used or expired.

        Of two who use it at the same moment one gets None.
        """
        moment = now()
        with self._engine.begin() as connection:
            token = _live(connection, secret, purposes)
            if token is None:
                return None
            this = sa.and_(_C.digest == _digest(secret), _C.used_at.is_(None))
            if connection.execute(sa.update(email_tokens).where(this).values(used_at=moment)).rowcount != 1:
                return None
            siblings = sa.and_(_C.user_id == token.user_id, _C.purpose == token.purpose, _C.used_at.is_(None))
            connection.execute(sa.update(email_tokens).where(siblings).values(used_at=moment))
            return token

    def forget_all(self, user_id: str) -> None:
        """No link mailed to this account so far works any more."""
        with self._engine.begin() as connection:
            connection.execute(sa.delete(email_tokens).where(_C.user_id == user_id))


def _live(connection: sa.Connection, secret: str, purposes: Collection[AccountMailKind]) -> LinkToken | None:
    query = sa.select(_C.user_id, _C.purpose, _C.email).where(
        _C.digest == _digest(secret), _C.purpose.in_(list(purposes)), _C.used_at.is_(None), _C.expires_at > now()
    )
    row = connection.execute(query).mappings().first()
    return None if row is None else LinkToken.model_validate(dict(row))


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
