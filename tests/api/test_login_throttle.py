"""Guessing gets slower: for the account whoever guesses, for the address whatever it guesses, with Redis or without."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx2
import pytest
import redis
import sqlalchemy as sa
import uuid_utils
from redis.backoff import NoBackoff
from redis.retry import Retry

from adapters.connections import Connections
from adapters.login_throttle import RecentLogins
from adapters.mysql.identity.login_failures import LoginFailures
from adapters.mysql.identity.security_events import SecurityEvents
from adapters.mysql.tables.identity import login_failures, security_events
from adapters.settings import Settings
from api.login_throttle import LoginThrottle, TooManyAttempts
from dev.testbed import free_port
from tests.fixture_types import PASSWORD, Customer, Mailed

FREE, FREE_OF_ADDRESS = 3, 6
MakeThrottle = Callable[..., LoginThrottle]


@pytest.fixture
def make_throttle(connections: Connections, settings: Settings) -> MakeThrottle:
    """A throttle with small budgets, on the test's stores."""
    free = {"login_failures_per_account": FREE, "login_failures_per_address": FREE_OF_ADDRESS}

    def make(cache: redis.Redis | None = None) -> LoginThrottle:
        engine = connections.engine
        recent = RecentLogins(connections.redis if cache is None else cache)
        return LoginThrottle(settings.model_copy(update=free), recent, LoginFailures(engine), SecurityEvents(engine))

    return make


@pytest.fixture
def dead_redis() -> Iterator[redis.Redis]:
    with redis.Redis(port=free_port(), retry=Retry(NoBackoff(), 0)) as client:
        yield client


@pytest.fixture(params=["redis", "mysql"])
def throttle(request: pytest.FixtureRequest, make_throttle: MakeThrottle, dead_redis: redis.Redis) -> LoginThrottle:
    """The same rules apply with Redis and without."""
    return make_throttle(dead_redis) if request.param == "mysql" else make_throttle()


def unique(kind: str) -> str:
    return f"{kind}-{uuid_utils.uuid7().hex}@shop.example.com"


def wait_of(throttle: LoginThrottle, email: str, address: str) -> int:
    """Seconds a guess must wait; 0 when it was made, and was wrong."""
    try:
        throttle.check(email, address)
    except TooManyAttempts as refusal:
        return refusal.retry_after
    throttle.failed(email, address)
    return 0


def guesses_until_paused(throttle: LoginThrottle, who: Callable[[], tuple[str, str]]) -> tuple[int, int]:
    """How many guesses were let through, and how long the next must wait. On a slow machine a short pause is over
    before it is met.
    """
    for number in range(30):
        if wait := wait_of(throttle, *who()):
            return number, wait
    raise AssertionError("never paused")


def test_each_pause_for_an_account_is_longer_than_the_one_before(throttle: LoginThrottle) -> None:
    # Every guess from another address: the account is what is protected.
    email, origins = unique("guessed"), iter(f"198.51.100.{n}" for n in range(200))
    guesses, wait = guesses_until_paused(throttle, lambda: (email, next(origins)))
    assert guesses >= FREE + 1
    waits = [wait]
    for _ in range(2):
        time.sleep(waits[-1] + 0.05)
        waits.append(guesses_until_paused(throttle, lambda: (email, next(origins)))[1])
    assert waits == sorted(set(waits))


def test_an_address_that_tries_many_accounts_is_paused(throttle: LoginThrottle) -> None:
    address = f"2001:db8::{uuid_utils.uuid7().hex[-4:]}"
    guesses, _ = guesses_until_paused(throttle, lambda: (unique("sprayed"), address))
    assert guesses >= FREE_OF_ADDRESS + 1
    assert wait_of(throttle, unique("sprayed"), "203.0.113.77") == 0, "another address is not meant"


def test_signing_in_clears_the_account_but_not_the_address(throttle: LoginThrottle) -> None:
    email, address = unique("owner"), f"2001:db8::{uuid_utils.uuid7().hex[-4:]}"
    for _ in range(FREE):
        assert wait_of(throttle, email, address) == 0
    throttle.check(email, address)
    throttle.succeeded(email, address, proven=True)
    assert [wait_of(throttle, email, address) for _ in range(3)] == [0, 0, 0]
    guesses, _ = guesses_until_paused(throttle, lambda: (unique("other"), address))
    assert guesses < FREE_OF_ADDRESS, "the address had failed often before"


def test_an_account_that_only_claims_an_address_clears_none_of_its_failures(throttle: LoginThrottle) -> None:
    """Else whoever registers somebody's address could sign in to that account after every few guesses at the other."""
    email, origins = unique("claimed"), iter(f"198.51.100.{n}" for n in range(200))
    for _ in range(FREE):
        assert wait_of(throttle, email, next(origins)) == 0
    for _ in range(3):
        origin = next(origins)
        throttle.check(email, origin)
        throttle.succeeded(email, origin, proven=False)
        time.sleep(1.1)
    guesses, wait = guesses_until_paused(throttle, lambda: (email, next(origins)))
    assert guesses <= 2, "no failure is forgotten"
    assert wait <= 2, "and no success counts as one"


def test_an_account_nobody_has_is_paused_like_one_that_exists(throttle: LoginThrottle, customer: Customer) -> None:
    for email in (customer.email.upper(), unique("nobody")):
        origins = iter(f"192.0.2.{n}" for n in range(200))

        def guess(email: str = email, origins: Iterator[str] = origins) -> tuple[str, str]:
            return email, next(origins)

        guesses, wait = guesses_until_paused(throttle, guess)
        assert guesses >= FREE + 1
        assert wait >= 1


def test_what_failed_before_redis_went_away_still_counts(make_throttle: MakeThrottle, dead_redis: redis.Redis) -> None:
    email = unique("guessed")
    before, after = make_throttle(), make_throttle(dead_redis)
    for n in range(FREE):
        assert wait_of(before, email, f"198.51.100.{n}") == 0
    guesses, _ = guesses_until_paused(after, lambda: (email, "203.0.113.1"))
    assert guesses <= FREE


def test_guesses_sent_side_by_side_are_all_counted(make_throttle: MakeThrottle) -> None:
    throttle, email = make_throttle(), unique("rushed")

    def guess(number: int) -> bool:
        try:
            throttle.check(email, f"198.51.100.{number}")
        except TooManyAttempts:
            return False
        return True

    with ThreadPoolExecutor(20) as pool:
        allowed = sum(pool.map(guess, range(40)))
    assert FREE + 1 <= allowed <= FREE + 4, "a short pause may end meanwhile, but the next is twice as long"


def test_the_address_of_a_stranger_is_kept_only_as_a_digest(
    make_throttle: MakeThrottle, connections: Connections
) -> None:
    email = unique("stranger")
    assert wait_of(make_throttle(), email, "203.0.113.9") == 0
    with connections.engine.connect() as connection:
        subjects = connection.scalars(sa.select(login_failures.c.subject)).all()
        noted = connection.execute(sa.select(security_events.c.data)).scalars().all()
    assert not any(email in str(one) for one in [*subjects, *noted])
    assert not [key for key in connections.redis.scan_iter("login:*") if email in key]


def test_the_token_endpoint_pauses_and_says_for_how_long(
    api: httpx2.Client, customer: Customer, settings: Settings
) -> None:
    form = {"grant_type": "password", "username": customer.email, "password": "wrong"}
    answers: list[httpx2.Response] = []
    while not answers or answers[-1].status_code == 400:
        answers.append(api.post("/oauth2/token", data=form))
    *failed, paused = answers
    assert len(failed) > settings.login_failures_per_account
    assert {answer.json()["error"] for answer in failed} == {"invalid_grant"}
    assert paused.status_code == 429, paused.text
    wait = int(paused.headers["retry-after"])
    assert wait >= 1
    time.sleep(wait + 0.1)
    assert api.post("/oauth2/token", data=form | {"password": PASSWORD}).status_code == 200


def test_a_password_reset_lets_its_owner_in_at_once(
    api: httpx2.Client, customer: Customer, mailed: Mailed, settings: Settings
) -> None:
    form = {"grant_type": "password", "username": customer.email, "password": "wrong"}
    for _ in range(settings.login_failures_per_account + 4):
        api.post("/oauth2/token", data=form)
    api.post("/v1/password-resets", json={"email": customer.email})
    code = mailed(customer.email, "Reset your password").split("?token=")[1].split()[0]
    assert api.put("/v1/password-resets", json={"token": code, "password": "a new long secret"}).status_code == 204
    assert api.post("/oauth2/token", data=form | {"password": "a new long secret"}).status_code == 200
