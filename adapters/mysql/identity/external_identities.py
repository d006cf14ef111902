"""Accounts elsewhere that may sign in to an account here."""

import sqlalchemy as sa

from adapters.mysql.clock import now
from adapters.mysql.constraints import PRIMARY, violated_key
from adapters.mysql.tables.identity import external_identities
from domain.errors import IdentityLinked


class ExternalIdentities:
    """Which subject of which provider is which account."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def account_id(self, provider: str, subject: str) -> str | None:
        """The account this subject signs in to."""
        query = sa.select(external_identities.c.user_id, external_identities.c.subject).where(
            external_identities.c.provider == provider, external_identities.c.subject == subject
        )
        with self._engine.connect() as connection:
            rows = connection.execute(query).all()
        # The server does not count a space at the end; a subject is only found by its own spelling.
        return next((str(row.user_id) for row in rows if row.subject == subject), None)

    def link(self, provider: str, subject: str, user_id: str, email: str) -> None:
        """Let the subject sign in to the account from now on; raises IdentityLinked when it does so already."""
        row = {"provider": provider, "subject": subject, "user_id": user_id, "email": email, "linked_at": now()}
        try:
            with self._engine.begin() as connection:
                connection.execute(sa.insert(external_identities).values(row))
        except sa.exc.IntegrityError as error:
            if violated_key(error) != PRIMARY:
                raise
            raise IdentityLinked("This sign-in belongs to an account already.") from error
