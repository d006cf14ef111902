"""Accounts are found by one spelling of their address, which belongs to the one that has proven it."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
import uuid_utils

from adapters.connections import Connections
from adapters.mysql.identity.account_closing import close_account
from adapters.mysql.identity.users import Accounts, normalise_email
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


def test_several_accounts_may_carry_an_address_and_one_can_prove_it(
    accounts: Accounts, new_account: MakeAccount
) -> None:
    address = f"Ada-{uuid_utils.uuid7()}@Shop.Example.com"
    older, newer = accounts.create(new_account(address)), accounts.create(new_account(address.upper()))
    assert accounts.owner_of(address) is None
    assert accounts.that_may_sign_in_by(f" {address.swapcase()}") == (None, newer)
    assert accounts.by_email(address) == newer
    accounts.mark_email_verified(older.id)
    assert accounts.mark_email_verified(older.id).email_verified
    owner, claims_it = accounts.that_may_sign_in_by(address.swapcase())
    assert (owner and owner.id, claims_it and claims_it.id) == (older.id, newer.id)
    assert (found := accounts.by_email(address))
    assert found.id == older.id
    with pytest.raises(EmailTaken):
        accounts.mark_email_verified(newer.id)
    with pytest.raises(EmailTaken):
        accounts.change_email(accounts.create(new_account()).id, address)
    with pytest.raises(EmailTaken):
        accounts.create(new_account(address).model_copy(update={"email_verified": True}))
    assert accounts.count_registered(address, timedelta(days=1)) == 2


def test_an_address_is_free_again_when_its_owner_moves_or_closes(
    accounts: Accounts, new_account: MakeAccount, connections: Connections
) -> None:
    first, second, third = (accounts.create(new_account("a-" + str(uuid_utils.uuid7()) + "@x.example")) for _ in "123")
    accounts.mark_email_verified(first.id)
    accounts.change_email(first.id, f"moved-{first.email}")
    accounts.change_email(second.id, first.email)
    close_account(connections.engine, second.id)
    assert accounts.owner_of(first.email) is None
    accounts.change_email(third.id, first.email)
    assert (owner := accounts.owner_of(first.email))
    assert owner.id == third.id


def test_of_accounts_that_prove_one_address_at_once_exactly_one_wins(
    accounts: Accounts, new_account: MakeAccount
) -> None:
    for _ in range(5):
        address = f"race-{uuid_utils.uuid7()}@shop.example.com"
        rivals = [accounts.create(new_account(address)) for _ in range(4)]
        outcomes: list[str] = []
        gate = threading.Barrier(len(rivals))

        def prove(account_id: str, gate: threading.Barrier = gate, outcomes: list[str] = outcomes) -> None:
            gate.wait()
            try:
                accounts.mark_email_verified(account_id)
                outcomes.append(account_id)
            except EmailTaken:
                outcomes.append("refused")

        threads = [threading.Thread(target=prove, args=(one.id,)) for one in rivals]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(outcomes) == len(rivals)
        assert outcomes.count("refused") == len(rivals) - 1
        assert (owner := accounts.owner_of(address))
        assert owner.id in outcomes


def test_an_account_is_not_found_by_an_address_that_only_looks_like_its_own(
    accounts: Accounts, new_account: MakeAccount
) -> None:
    tail = f"{uuid_utils.uuid7()}@shop.example.com"
    accounts.create(new_account(f"jose-{tail}"))
    assert accounts.by_email(f"josé-{tail}") is None
    lookalike = accounts.create(new_account(f"josé-{tail}"))
    for one in (lookalike.email, f"jose-{tail}"):
        assert (found := accounts.by_email(one))
        assert accounts.mark_email_verified(found.id).email == one


def test_nobody_is_found_by_an_unknown_id(accounts: Accounts) -> None:
    assert accounts.by_id(str(uuid_utils.uuid7())) is None
    assert accounts.roles(str(uuid_utils.uuid7())) == []


def test_full_width_letters_are_the_letters_they_stand_for() -> None:
    assert normalise_email("\uff21\uff24\uff21@shop.example.com") == "ada@shop.example.com"
