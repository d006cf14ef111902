"""Accounts and their roles: the User service's tables."""

import unicodedata
from datetime import UTC

import sqlalchemy as sa

from adapters.mysql.tables import user_roles, users
from domain.errors import EmailTaken
from schemas.users import Account, Role


def normalise_email(address: str) -> str:
    """The one spelling an address is kept and found under: NFKC, lower case."""
    return unicodedata.normalize("NFKC", address).strip().lower()


class Accounts:
    """Who may sign in, and as what."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def create(self, account: Account) -> Account:
        """Store a new account and return it as kept; raises EmailTaken when the address has one."""
        kept = account.model_copy(update={"email": normalise_email(account.email)})
        try:
            with self._engine.begin() as connection:
                connection.execute(sa.insert(users).values(kept.model_dump(exclude={"roles"})))
                connection.execute(sa.insert(user_roles), [{"user_id": kept.id, "role": role} for role in kept.roles])
        except sa.exc.IntegrityError as error:
            raise EmailTaken("An account with this e-mail address exists.") from error
        return kept

    def by_email(self, address: str) -> Account | None:
        """The account of an address, in whatever case it is written."""
        email = normalise_email(address)
        account = self._find(users.c.email == email)
        # The column's collation takes é for e; an account is only found by its own address.
        return account if account is not None and account.email == email else None

    def by_id(self, account_id: str) -> Account | None:
        """The account with this id."""
        return self._find(users.c.id == account_id)

    def roles(self, account_id: str) -> list[Role]:
        """What the account may act as, in alphabetical order; empty for an unknown one."""
        with self._engine.connect() as connection:
            return _roles(connection, account_id)

    def _find(self, condition: sa.ColumnElement[bool]) -> Account | None:
        with self._engine.connect() as connection:
            row = connection.execute(sa.select(users).where(condition)).mappings().first()
            if row is None:
                return None
            values = dict(row, created_at=row["created_at"].replace(tzinfo=UTC), active=bool(row["active"]))
            return Account(**values, roles=_roles(connection, row["id"]))


def _roles(connection: sa.Connection, account_id: str) -> list[Role]:
    query = sa.select(user_roles.c.role).where(user_roles.c.user_id == account_id).order_by(user_roles.c.role)
    return [Role(role) for role in connection.scalars(query)]
