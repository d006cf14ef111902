"""Accounts and their roles: the User service's tables.

An e-mail address belongs to the account that has proven it, its owner; until then several accounts may carry it
(`docs/decisions/0006`). Of those that only claim it the newest counts wherever an address has to stand for one account.
"""

import unicodedata
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, timedelta
from typing import Any

import sqlalchemy as sa

from adapters.mysql.clock import now
from adapters.mysql.constraints import violated_key
from adapters.mysql.tables.identity import user_roles, users
from domain.errors import EmailTaken, LastAdmin, NotFound
from schemas.base import Open
from schemas.users import Account, MailPreference, Role

_SAME_EMAIL = "uq_users_verified_email"
_DERIVED = {"roles", "email_verified"}
# What every token already issued was signed with is outdated by adding one.
_NEXT_VERSION = users.c.token_version + 1


def normalise_email(address: str) -> str:
    """The one spelling an address is kept and found under: NFKC, lower case."""
    return unicodedata.normalize("NFKC", address).strip().lower()


class Accounts:
    """Who may sign in, and as what."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def create(self, account: Account) -> Account:
        """Store a new account and return it as kept; raises EmailTaken when its address is proven, and another's."""
        kept = account.model_copy(update={"email": normalise_email(account.email)})
        values = kept.model_dump(exclude=_DERIVED) | {"email_verified_at": now() if kept.email_verified else None}
        with _first_to_prove_it(), self._engine.begin() as connection:
            connection.execute(sa.insert(users).values(values))
            connection.execute(sa.insert(user_roles), [{"user_id": kept.id, "role": role} for role in kept.roles])
        return kept

    def owner_of(self, address: str) -> Account | None:
        """The account that has proven the address, in whatever case it is written."""
        with self._engine.connect() as connection:
            return _owner(connection, normalise_email(address))

    def that_may_sign_in_by(self, address: str) -> tuple[Account | None, Account | None]:
        """Whom a password for the address is compared with: its owner, and the newest account that only claims it.

        An older one that a newer has pushed aside keeps its tokens and its mailed links, it just cannot sign in by
        password until it has proven the address: each more would make a sign-in slower, and reveal how many there are.
        """
        with self._engine.connect() as connection:
            email = normalise_email(address)
            return _owner(connection, email), _newest_unverified(connection, email)

    def by_email(self, address: str) -> Account | None:
        """The account an address stands for: its owner, else the newest that claims it."""
        owner, newest = self.that_may_sign_in_by(address)
        return owner or newest

    def count_registered(self, address: str, within: timedelta) -> int:
        """How many accounts were opened with the address lately."""
        query = sa.select(sa.func.count()).select_from(users)
        query = query.where(users.c.email == normalise_email(address), users.c.created_at > now() - within)
        with self._engine.connect() as connection:
            return connection.scalar(query) or 0

    def by_id(self, account_id: str) -> Account | None:
        """The account with this id."""
        with self._engine.connect() as connection:
            return _first(connection, users.c.id == account_id)

    def roles(self, account_id: str) -> list[Role]:
        """What the account may act as, in alphabetical order; empty for an unknown one."""
        with self._engine.connect() as connection:
            return _roles(connection, account_id)

    def mail_preferences(self, account_ids: Collection[str]) -> dict[str, MailPreference]:
        """Whether each of the accounts that exist wants marketing mails."""
        query = sa.select(users).where(users.c.id.in_(list(account_ids)))
        with self._engine.connect() as connection:
            return {
                row.id: MailPreference(
                    email=row.email,
                    subscribed=row.active and row.email_verified_at is not None and row.marketing_emails,
                    closed=row.closed_at is not None,
                )
                for row in connection.execute(query)
            }

    def set_marketing_emails(self, user_id: str, subscribed: bool) -> Account:
        """Set whether the account wants marketing mails; raises NotFound."""
        return self._change(user_id, marketing_emails=subscribed)

    def rename(self, user_id: str, name: str) -> Account:
        """Give the account another name; raises NotFound."""
        return self._change(user_id, name=name)

    def set_roles(self, user_id: str, roles: Sequence[Open[Role]]) -> Account:
        """Replace the account's roles and outdate its tokens, in one transaction; raises NotFound, LastAdmin."""
        with self._engine.begin() as connection:
            if Role.ADMIN not in roles:
                keep_an_admin(connection, user_id)
            _update(connection, user_id, token_version=_NEXT_VERSION)
            connection.execute(sa.delete(user_roles).where(user_roles.c.user_id == user_id))
            if roles:
                rows = [{"user_id": user_id, "role": role} for role in sorted(set(roles))]
                connection.execute(sa.insert(user_roles), rows)
            return _read(connection, user_id)

    def set_active(self, user_id: str, active: bool) -> Account:
        """Lock or unlock the account and outdate its tokens; raises NotFound, also for a closed one, and LastAdmin."""
        with self._engine.begin() as connection:
            if not active:
                keep_an_admin(connection, user_id)
            _update(connection, user_id, active=active, token_version=_NEXT_VERSION)
            return _read(connection, user_id)

    def bump_token_version(self, user_id: str) -> int:
        """Outdate every token issued so far, answer the version that counts now; raises NotFound."""
        return self._change(user_id, token_version=_NEXT_VERSION).token_version

    def set_password_hash(self, user_id: str, password_hash: str) -> Account:
        """Replace the password and outdate the tokens; raises NotFound."""
        return self._change(user_id, password_hash=password_hash, token_version=_NEXT_VERSION)

    def renew_password_hash(self, user_id: str, kept: str, renewed: str) -> None:
        """Keep the same password under another hash, and every token; does nothing where it was changed meanwhile."""
        same = sa.and_(users.c.id == user_id, users.c.password_hash == kept)
        with self._engine.begin() as connection:
            connection.execute(sa.update(users).where(same).values(password_hash=renewed))

    def mark_email_verified(self, user_id: str) -> Account:
        """Note that the address is the account's own; the first time counts. Raises NotFound, EmailTaken.

        Of two accounts that prove one address at the same moment the unique key lets one win.
        """
        with _first_to_prove_it():
            return self._change(user_id, email_verified_at=sa.func.coalesce(users.c.email_verified_at, now()))

    def change_email(self, user_id: str, address: str) -> Account:
        """Move the account to an address that was proven to be its own; raises NotFound, EmailTaken."""
        with _first_to_prove_it():
            return self._change(user_id, email=normalise_email(address), email_verified_at=now())

    def _change(self, user_id: str, **values: Any) -> Account:
        with self._engine.begin() as connection:
            _update(connection, user_id, **values)
            return _read(connection, user_id)


@contextmanager
def _first_to_prove_it() -> Iterator[None]:
    try:
        yield
    except sa.exc.IntegrityError as error:
        if violated_key(error) != _SAME_EMAIL:
            raise
        raise EmailTaken("Another account has proven this e-mail address.") from error


def _owner(connection: sa.Connection, email: str) -> Account | None:
    return _first(connection, users.c.verified_email == email)


def _newest_unverified(connection: sa.Connection, email: str) -> Account | None:
    newest = sa.select(users.c.id).where(users.c.email == email, users.c.verified_email.is_(None))
    newest = newest.order_by(users.c.created_at.desc(), users.c.id.desc()).limit(1)
    found = connection.scalar(newest)
    return None if found is None else _first(connection, users.c.id == found)


def keep_an_admin(connection: sa.Connection, user_id: str) -> None:
    """Raise LastAdmin when nobody else can appoint staff; until the transaction ends, nobody else stops to."""
    query = sa.select(users.c.id).join(user_roles, user_roles.c.user_id == users.c.id)
    query = query.where(user_roles.c.role == Role.ADMIN, users.c.active).order_by(users.c.id).with_for_update()
    if list(connection.scalars(query)) == [user_id]:
        raise LastAdmin("This is the last administrator.")


def _update(connection: sa.Connection, user_id: str, **values: Any) -> None:
    """Change an account that is not closed; raises NotFound."""
    theirs = sa.and_(users.c.id == user_id, users.c.closed_at.is_(None))
    # Locked first: MySQL counts a row that was found but had the values already as not changed.
    if connection.scalar(sa.select(users.c.id).where(theirs).with_for_update()) is None:
        raise NotFound("There is no such account.")
    connection.execute(sa.update(users).where(theirs).values(**values))


def _read(connection: sa.Connection, user_id: str) -> Account:
    account = _first(connection, users.c.id == user_id)
    assert account is not None  # the caller's transaction holds its row
    return account


def _first(connection: sa.Connection, condition: sa.ColumnElement[bool]) -> Account | None:
    row = connection.execute(sa.select(users).where(condition)).mappings().first()
    if row is None:
        return None
    seen = {
        "created_at": row["created_at"].replace(tzinfo=UTC),
        "active": bool(row["active"]),
        "email_verified": row["email_verified_at"] is not None,
        "marketing_emails": bool(row["marketing_emails"]),
    }
    return Account(**{**row, **seen}, roles=_roles(connection, row["id"]))


def _roles(connection: sa.Connection, account_id: str) -> list[Any]:
    query = sa.select(user_roles.c.role).where(user_roles.c.user_id == account_id).order_by(user_roles.c.role)
    return list(connection.scalars(query))
