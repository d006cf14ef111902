"""Accounts are found by one spelling of their address, and only once."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
import uuid_utils

from adapters.connections import Connections
from adapters.mysql.users import Accounts, normalise_email
from domain.errors import EmailTaken
from schemas.users import Account, Role

MakeAccount = Callable[..., Account]


@pytest.fixture
def accounts(connections: Connections) -> Accounts:
    return Accounts(connections.engine)


@pytest.fixture
def new_account() -> MakeAccount:
    def new(email: str | None = None, *roles: Role) -> Account:
        account_id = str(uuid_utils.uuid7())
        return Account(
            id=account_id,
            email=email or f"{account_id}@shop.example.com",
            name="Zoë 🚚",
            password_hash="$argon2id$not-a-real-one",
            roles=list(roles) or [Role.CUSTOMER],
            token_version=1,
            active=True,
            created_at=datetime.now(UTC),
        )

    return new


def test_an_account_comes_back_as_it_was_created(accounts: Accounts, new_account: MakeAccount) -> None:
    created = accounts.create(new_account(None, Role.ADMIN, Role.SUPPORT))
    assert accounts.by_id(created.id) == created
    assert accounts.roles(created.id) == [Role.ADMIN, Role.SUPPORT]


def test_an_address_is_taken_in_every_spelling(accounts: Accounts, new_account: MakeAccount) -> None:
    address = f"Ada-{uuid_utils.uuid7()}@Shop.Example.com"
    created = accounts.create(new_account(address))
    with pytest.raises(EmailTaken):
        accounts.create(new_account(address.upper()))
    found = accounts.by_email(f" {address.swapcase()}")
    assert found is not None
    assert found.id == created.id


def test_an_account_is_not_found_by_an_address_that_only_looks_like_its_own(
    accounts: Accounts, new_account: MakeAccount
) -> None:
    tail = f"{uuid_utils.uuid7()}@shop.example.com"
    accounts.create(new_account(f"jose-{tail}"))
    assert accounts.by_email(f"josé-{tail}") is None


def test_nobody_is_found_by_an_unknown_id(accounts: Accounts) -> None:
    assert accounts.by_id(str(uuid_utils.uuid7())) is None
    assert accounts.roles(str(uuid_utils.uuid7())) == []


def test_full_width_letters_are_the_letters_they_stand_for() -> None:
    assert normalise_email("\uff21\uff24\uff21@shop.example.com") == "ada@shop.example.com"
