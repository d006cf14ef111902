"""Many customers for load tests and benches, with accounts and tokens that were made without a sign-in.

Hashing passwords for two hundred registrations and sign-ins would take minutes, and is not what is measured.
"""

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime

import sqlalchemy as sa

from adapters.mysql.identity.oauth_clients import FIRST_PARTY_CLIENT, FIRST_PARTY_SCOPE
from adapters.mysql.identity.users import Accounts
from adapters.settings import Settings
from api.tokens import AccessTokens, KeyRing
from schemas.users import Account, Role


def open_accounts(engine: sa.Engine, count: int) -> list[Account]:
    """New customers that have no password."""
    accounts = Accounts(engine)
    return [accounts.create(_customer()) for _ in range(count)]


def headers_of(settings: Settings, accounts: Sequence[Account]) -> list[dict[str, str]]:
    """An access token for each, as our own storefront would have it."""
    tokens = AccessTokens(KeyRing(settings.auth_keys_dir), settings)
    return [
        {"Authorization": f"Bearer {tokens.issue(account, FIRST_PARTY_CLIENT, FIRST_PARTY_SCOPE)}"}
        for account in accounts
    ]


def _customer() -> Account:
    name = uuid.uuid4().hex
    return Account(
        id=str(uuid.uuid4()),
        email=f"crowd-{name}@shop.example.com",
        name="Crowd",
        password_hash=None,
        roles=[Role.CUSTOMER],
        token_version=0,
        active=True,
        created_at=datetime.now(UTC),
    )
