"""Mails about accounts that wait to be sent: who they go to stands here and not in Temporal's history."""

import sqlalchemy as sa
from sqlalchemy.dialects.mysql import insert as mysql_insert
from uuid_utils import uuid7

from adapters.mysql.clock import now
from adapters.mysql.tables.identity import account_mails
from schemas.account_mails import AccountMailKind, WaitingMail


class WaitingMails:
    """One row per mail, deleted once it was sent."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def add(self, kind: AccountMailKind, email: str, user_id: str | None) -> str:
        """Have a mail wait, answer its id."""
        mail_id = str(uuid7())
        row = {"id": mail_id, "kind": kind, "user_id": user_id, "email": email, "created_at": now()}
        with self._engine.begin() as connection:
            connection.execute(sa.insert(account_mails).values(row))
        return mail_id

    def add_once(self, mail_id: str, kind: AccountMailKind, email: str, user_id: str) -> bool:
        """Have a mail of this id wait; False when it does already."""
        row = {"id": mail_id, "kind": kind, "user_id": user_id, "email": email, "created_at": now()}
        with self._engine.begin() as connection:
            statement = mysql_insert(account_mails).values(row).prefix_with("IGNORE")
            return connection.execute(statement).rowcount == 1

    def get(self, mail_id: str) -> WaitingMail | None:
        """The mail, unless it was sent or removed."""
        with self._engine.connect() as connection:
            row = connection.execute(sa.select(account_mails).where(account_mails.c.id == mail_id)).mappings().first()
        return None if row is None else WaitingMail.model_validate(dict(row))

    def remove(self, mail_id: str) -> None:
        """It was sent, or shall not be."""
        with self._engine.begin() as connection:
            connection.execute(sa.delete(account_mails).where(account_mails.c.id == mail_id))
