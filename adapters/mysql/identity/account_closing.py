"""Closing an account: everything personal goes in one transaction, the bare row stays for the orders that name it."""

import sqlalchemy as sa

from adapters.mysql.clock import now
from adapters.mysql.identity.users import keep_an_admin
from adapters.mysql.tables.identity import (
    account_mails,
    addresses,
    api_keys,
    consents,
    email_tokens,
    external_identities,
    users,
)

CLOSED_NAME = "Closed account"


def close_account(engine: sa.Engine, user_id: str) -> None:
    """Erase the account's person, end its sessions, and free its address; closing it again changes nothing.

    Raises LastAdmin.
    """
    open_one = sa.and_(users.c.id == user_id, users.c.closed_at.is_(None))
    with engine.begin() as connection:
        keep_an_admin(connection, user_id)
        connection.execute(
            sa.update(users)
            .where(open_one)
            .values(
                # RFC 2606 keeps .invalid from ever being anybody's. Nobody owns what is not proven (`verified_email`).
                email=f"{user_id}@closed.invalid",
                name=CLOSED_NAME,
                password_hash=None,
                email_verified_at=None,
                active=False,
                marketing_emails=False,
                token_version=users.c.token_version + 1,
                closed_at=now(),
            )
        )
        connection.execute(sa.delete(addresses).where(addresses.c.user_id == user_id))
        connection.execute(sa.delete(external_identities).where(external_identities.c.user_id == user_id))
        connection.execute(sa.delete(api_keys).where(api_keys.c.user_id == user_id))
        connection.execute(sa.delete(email_tokens).where(email_tokens.c.user_id == user_id))
        connection.execute(sa.delete(account_mails).where(account_mails.c.user_id == user_id))
        connection.execute(sa.delete(consents).where(consents.c.user_id == user_id))
