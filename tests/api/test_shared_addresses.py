"""An address belongs to who proves it: registering, signing in and resetting show nobody whether it has an owner."""

import re
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import httpx2
import pytest
from pwdlib.hashers.argon2 import Argon2Hasher
from temporalio.client import Client
from uuid_utils import uuid7

from adapters.connections import Connections
from adapters.mysql.identity.users import Accounts
from adapters.settings import Settings
from api.services import Services, build_services
from api.tokens import AccessTokens, KeyRing
from dev.testbed import Testbed
from tests.fixture_types import PASSWORD, Json, Mailed, MakeCustomer

OWN, OTHER = "the password of the first", "the password of the second"
HERE = f"2001:db8:6::{uuid7().hex[-4:]}"  # no other test guesses from it
CONFIRM, HAVE_ONE = "confirm your e-mail address", "already have an account"


def some_address() -> str:
    return f"shared-{uuid7().hex}@shop.example.com"


def register(api: httpx2.Client, email: str, password: str) -> httpx2.Response:
    answer = api.post("/v1/users", json={"email": email, "password": password, "name": "Somebody"})
    assert answer.status_code == 201, answer.text
    return answer


def sign_in(api: httpx2.Client, email: str, password: str) -> httpx2.Response:
    return api.post("/oauth2/token", data={"grant_type": "password", "username": email, "password": password})


def who(api: httpx2.Client, email: str, password: str) -> Json:
    """The profile that the password opens."""
    answer = sign_in(api, email, password)
    assert answer.status_code == 200, answer.text
    headers = {"Authorization": f"Bearer {answer.json()['access_token']}"}
    return dict(api.get("/v1/users/me", headers=headers).json()) | {"headers": headers}


def code_in(text: str) -> str:
    found = re.search(r"\?token=([\w-]+)", text)
    assert found, text
    return found.group(1)


def verify(api: httpx2.Client, code: str) -> httpx2.Response:
    return api.post("/v1/email-verifications", json={"token": code})


def subjects(engine: Testbed, email: str) -> list[str]:
    """Of all mails to an address, newest first."""
    base = engine.url("MAIL_UI_PORT")
    query: dict[str, str | int] = {"query": f"to:{email}", "limit": 200}
    return [str(one["Subject"]) for one in httpx2.get(f"{base}/api/v1/search", params=query).json()["messages"]]


def shape(answer: httpx2.Response) -> tuple[object, ...]:
    """All of an answer that is not of one account alone."""
    body = answer.json()
    same = {name: body[name] for name in ("email", "email_verified", "name", "roles")}
    return answer.status_code, sorted(answer.headers), answer.headers["location"], sorted(body), same


@pytest.fixture
def owned(api: httpx2.Client, mailed: Mailed) -> str:
    """An address that an account has proven; its password is OWN."""
    email = some_address()
    register(api, email, OWN)
    assert verify(api, code_in(mailed(email, CONFIRM))).status_code == 200
    return email


def test_registering_an_address_again_looks_the_same_and_opens_an_account(api: httpx2.Client, mailed: Mailed) -> None:
    email = some_address()
    first, second = register(api, email, OWN), register(api, email.upper(), OTHER)
    assert shape(first) == shape(second)
    assert who(api, email, OTHER)["id"] == second.json()["id"] != first.json()["id"]
    assert mailed(email, CONFIRM, 2), "nobody has proven it, so both may"


def test_each_customer_can_sign_in_right_after_registering(api: httpx2.Client) -> None:
    email = some_address()
    for password in (OWN, OTHER):
        made = register(api, email, password).json()
        assert who(api, email, password)["id"] == made["id"]


def test_an_account_pushed_aside_keeps_its_tokens_and_can_prove_the_address(api: httpx2.Client, mailed: Mailed) -> None:
    email = some_address()
    register(api, email, OWN)
    before, code = who(api, email, OWN), code_in(mailed(email, CONFIRM))
    register(api, email, OTHER)
    assert sign_in(api, email, OWN).status_code == 400
    assert api.get("/v1/users/me", headers=before["headers"]).status_code == 200
    assert verify(api, code).status_code == 200
    assert who(api, email, OWN)["id"] == before["id"]
    assert who(api, email, OTHER)["email_verified"] is False


def test_registering_an_owned_address_is_answered_like_any_other(
    api: httpx2.Client, owned: str, mailed: Mailed, engine: Testbed
) -> None:
    owner = who(api, owned, OWN)
    fresh = register(api, some_address(), OTHER)
    taken = register(api, owned, OTHER)
    assert (taken.status_code, sorted(taken.headers), sorted(taken.json())) == (
        fresh.status_code,
        sorted(fresh.headers),
        sorted(fresh.json()),
    )
    assert taken.json()["email_verified"] is False
    mail = mailed(owned, HAVE_ONE)
    assert "?token=" not in mail
    assert "http" not in mail
    assert subjects(engine, owned).count("Please confirm your e-mail address") == 1, "the owner's own"
    assert api.get("/v1/users/me", headers=owner["headers"]).status_code == 200
    assert who(api, owned, OWN)["id"] == owner["id"]
    assert who(api, owned, OTHER)["id"] == taken.json()["id"]


def test_an_owned_address_takes_as_long_to_register(costly_api: httpx2.Client, owned: str) -> None:
    def seconds(email: str) -> float:
        started = time.perf_counter()
        register(costly_api, email, OTHER)
        return time.perf_counter() - started

    # In turns, so that whatever else the machine does hits both alike; the fastest of each was disturbed least.
    pairs = [(seconds(some_address()), seconds(owned)) for _ in range(5)]
    fresh, taken = (min(times) for times in zip(*pairs, strict=True))
    assert 0.3 < taken / fresh < 3


def test_what_happens_to_an_account_with_an_owned_address_is_not_mailed(
    api: httpx2.Client, owned: str, mailed: Mailed, engine: Testbed
) -> None:
    register(api, owned, OTHER)
    mailed(owned, HAVE_ONE)
    before = subjects(engine, owned)
    stranger = who(api, owned, OTHER)["headers"]
    assert api.post("/v1/users/me/email-verification", headers=stranger).status_code == 202
    change = {"current_password": OTHER, "new_password": OTHER + " changed"}
    changed = api.put("/v1/users/me/password", headers=stranger, json=change)
    assert changed.status_code == 200
    stranger = {"Authorization": f"Bearer {changed.json()['access_token']}"}
    body = {"password": OTHER + " changed"}
    assert api.request("DELETE", "/v1/users/me", headers=stranger, json=body).status_code == 204
    time.sleep(2)
    assert subjects(engine, owned) == before
    assert who(api, owned, OWN)["email_verified"] is True


def test_a_mailbox_is_not_flooded_by_registrations(
    api: httpx2.Client, owned: str, engine: Testbed, mailed: Mailed
) -> None:
    for _ in range(8):
        register(api, owned, OTHER)
    mailed(owned, HAVE_ONE)
    time.sleep(3)
    assert 1 <= sum(HAVE_ONE in subject for subject in subjects(engine, owned)) <= 4


def test_of_two_links_to_one_address_the_second_is_refused(api: httpx2.Client, mailed: Mailed) -> None:
    email = some_address()
    codes = []
    for nth, password in enumerate((OWN, OTHER), start=1):
        register(api, email, password)
        codes.append(code_in(mailed(email, CONFIRM, nth)))
    assert verify(api, codes[1]).status_code == 200
    late = verify(api, codes[0])
    assert (late.status_code, late.json()["code"]) == (422, "invalid_link")
    assert who(api, email, OTHER)["email_verified"] is True
    assert who(api, email, OWN)["email_verified"] is False, "the newest of those that only claim it, once more"


def test_of_two_who_use_their_links_at_once_exactly_one_wins(api: httpx2.Client, mailed: Mailed) -> None:
    email = some_address()
    codes = []
    for nth, password in enumerate((OWN, OTHER), start=1):
        register(api, email, password)
        codes.append(code_in(mailed(email, CONFIRM, nth)))
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda code: verify(api, code), codes))
    assert sorted(answer.status_code for answer in answers) == [200, 422]


def test_a_reset_is_for_the_owner_and_else_for_the_newest(api: httpx2.Client, owned: str, mailed: Mailed) -> None:
    owner = who(api, owned, OWN)
    register(api, owned, OTHER)
    api.post("/v1/password-resets", json={"email": owned})
    reset = {"token": code_in(mailed(owned, "Reset your password")), "password": "the owner's new password"}
    assert api.put("/v1/password-resets", json=reset).status_code == 204
    assert who(api, owned, reset["password"])["id"] == owner["id"]
    assert who(api, owned, OTHER)["id"] != owner["id"]
    email = some_address()
    register(api, email, OWN)
    newest = register(api, email, OTHER).json()
    api.post("/v1/password-resets", json={"email": email})
    reset["token"] = code_in(mailed(email, "Reset your password"))
    assert api.put("/v1/password-resets", json=reset).status_code == 204
    assert (now := who(api, email, reset["password"]))["id"] == newest["id"]
    assert now["email_verified"] is True


def test_who_proves_an_address_by_a_reset_shuts_out_whoever_registered_it(api: httpx2.Client, mailed: Mailed) -> None:
    email = some_address()
    register(api, email, OTHER)
    stranger = who(api, email, OTHER)["headers"]
    wanted = {"name": "to come back with", "scopes": ["profile:read"]}
    key = api.post("/v1/users/me/api-keys", json=wanted, headers=stranger).json()["key"]
    assert api.get("/v1/users/me", headers={"Authorization": f"Bearer {key}"}).status_code == 200
    api.post("/v1/password-resets", json={"email": email})
    reset = {"token": code_in(mailed(email, "Reset your password")), "password": OWN}
    assert api.put("/v1/password-resets", json=reset).status_code == 204
    for headers in (stranger, {"Authorization": f"Bearer {key}"}):
        assert api.get("/v1/users/me", headers=headers).status_code == 401


def test_a_change_to_a_claimed_address_is_possible_and_to_an_owned_one_is_not(
    api: httpx2.Client, owned: str, mailed: Mailed, make_customer: MakeCustomer, connections: Connections
) -> None:
    claimed = some_address()
    register(api, claimed, OTHER)
    mover, password = make_customer(), PASSWORD
    for wanted in (owned, claimed):
        body = {"email": wanted, "password": password}
        assert api.post("/v1/users/me/email", headers=mover.headers, json=body).status_code == 202
    code = code_in(mailed(claimed, "confirm your new e-mail address"))
    late = make_customer()
    assert api.post("/v1/users/me/email", headers=late.headers, json=body).status_code == 202
    late_code = code_in(mailed(claimed, "confirm your new e-mail address", 2))
    assert verify(api, code).status_code == 200
    assert (owner := Accounts(connections.engine).owner_of(claimed))
    assert owner.id == mover.id
    assert (answer := verify(api, late_code)).status_code == 422, answer.text
    assert who(api, owned, OWN)["email_verified"] is True


def test_a_stranger_in_their_own_account_cannot_clear_guesses_at_the_owner(
    api: httpx2.Client, owned: str, settings: Settings
) -> None:
    register(api, owned, OTHER)
    answers = []
    for _ in range(settings.login_failures_per_account + 3):
        answers.append(sign_in(api, owned, "a wrong guess").status_code)
        answers.append(sign_in(api, owned, OTHER).status_code)
    assert 429 in answers


class CountingHasher:
    """The real one, counted."""

    def __init__(self, hasher: Argon2Hasher) -> None:
        self._hasher, self.verified, self.hashed = hasher, 0, 0

    def verify(self, password: str, kept: str) -> bool:
        self.verified += 1
        return bool(self._hasher.verify(password, kept))

    def hash(self, password: str) -> str:
        self.hashed += 1
        return str(self._hasher.hash(password))

    def check_needs_rehash(self, kept: str) -> bool:
        return bool(self._hasher.check_needs_rehash(kept))


@dataclass
class ApiInProcess:
    """The API's own services in this process, with a counted hasher."""

    services: Services
    hasher: CountingHasher


@pytest.fixture
def in_process(connections: Connections, settings: Settings, temporal_client: Client) -> ApiInProcess:
    tokens = AccessTokens(KeyRing(settings.auth_keys_dir), settings)
    services = build_services(connections, temporal_client, tokens)
    hasher = CountingHasher(services.identity.passwords._hasher)
    services.identity.passwords._hasher = hasher  # type: ignore[assignment]
    return ApiInProcess(services, hasher)


@pytest.mark.parametrize("password", [OWN, OTHER, "neither of them"])
def test_a_sign_in_compares_two_passwords_whoever_there_is(
    api: httpx2.Client, owned: str, mailed: Mailed, in_process: ApiInProcess, password: str
) -> None:
    both, claimed = some_address(), some_address()
    register(api, both, OWN)
    assert verify(api, code_in(mailed(both, CONFIRM))).status_code == 200
    for email in (both, claimed):
        register(api, email, OTHER)
    for email in (some_address(), claimed, owned, both):
        before = in_process.hasher.verified
        found = in_process.services.identity.server.account_with(email, password, HERE)
        opens = {OWN: email in (owned, both), OTHER: email in (claimed, both)}.get(password, False)
        assert (found is not None) == opens, email
        assert in_process.hasher.verified - before == 2, email


def test_a_locked_owner_stays_out_and_takes_as_long(api: httpx2.Client, owned: str, in_process: ApiInProcess) -> None:
    register(api, owned, OTHER)
    owner = in_process.services.identity.accounts.owner_of(owned)
    assert owner
    in_process.services.identity.accounts.set_active(owner.id, active=False)
    before = in_process.hasher.verified
    assert in_process.services.identity.server.account_with(owned, OWN, HERE) is None
    assert in_process.services.identity.server.account_with(owned, OTHER, HERE) is not None
    assert in_process.hasher.verified - before == 4
