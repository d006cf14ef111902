"""One key, one action, one answer; a dead process's key is taken over, a living one's is not."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa
import uuid_utils

from adapters.connections import Connections
from adapters.mysql.idempotency import IdempotencyKeys
from adapters.mysql.tables.shared import idempotency_keys
from domain.errors import IdempotencyMismatch, RequestInProgress

ROUTE = "POST /v1/checkouts"
ONE, OTHER = "a" * 64, "b" * 64


@pytest.fixture
def keys(connections: Connections) -> IdempotencyKeys:
    return IdempotencyKeys(connections.engine)


@pytest.fixture
def hasty_keys(connections: Connections) -> IdempotencyKeys:
    """A claim ends after a moment, as if its process had died long ago."""
    return IdempotencyKeys(connections.engine, lock_seconds=0.05)


@pytest.fixture
def who() -> str:
    return f"user:{uuid_utils.uuid7()}"


def new_id() -> str:
    return str(uuid_utils.uuid7())


def test_the_first_request_is_fresh_and_owns_the_id_it_brought(keys: IdempotencyKeys, who: str) -> None:
    order_id = new_id()
    begun = keys.begin(who, ROUTE, "k", ONE, order_id)
    assert (begun.fresh, begun.resource_id, begun.is_answered) == (True, order_id, False)
    owned = keys.owner_of(order_id)
    assert owned is not None
    assert (owned.principal, owned.answered) == (who, False)


def test_a_repeat_while_the_first_is_in_flight_is_refused(keys: IdempotencyKeys, who: str) -> None:
    keys.begin(who, ROUTE, "k", ONE, new_id())
    with pytest.raises(RequestInProgress):
        keys.begin(who, ROUTE, "k", ONE, new_id())


def test_a_repeat_after_the_answer_gets_the_answer(keys: IdempotencyKeys, who: str) -> None:
    first = keys.begin(who, ROUTE, "k", ONE, new_id())
    keys.finish(who, ROUTE, "k", 201, {"id": first.resource_id, "lines": [1, "zwei"]})
    again = keys.begin(who, ROUTE, "k", ONE, new_id())
    assert again.resource_id == first.resource_id
    assert (again.status_code, again.response) == (201, {"id": first.resource_id, "lines": [1, "zwei"]})


def test_the_first_answer_stays(keys: IdempotencyKeys, who: str) -> None:
    keys.begin(who, ROUTE, "k", ONE, new_id())
    keys.finish(who, ROUTE, "k", 201, {"n": 1})
    keys.finish(who, ROUTE, "k", 409, {"n": 2})
    assert keys.begin(who, ROUTE, "k", ONE, new_id()).response == {"n": 1}


@pytest.mark.parametrize("answered", [True, False])
def test_the_key_of_another_request_is_refused(keys: IdempotencyKeys, who: str, answered: bool) -> None:
    keys.begin(who, ROUTE, "k", ONE, new_id())
    if answered:
        keys.finish(who, ROUTE, "k", 201, {})
    with pytest.raises(IdempotencyMismatch):
        keys.begin(who, ROUTE, "k", OTHER, new_id())


def test_a_released_key_goes_on_under_the_same_id(keys: IdempotencyKeys, who: str) -> None:
    first = keys.begin(who, ROUTE, "k", ONE, new_id())
    keys.release(who, ROUTE, "k")
    again = keys.begin(who, ROUTE, "k", ONE, new_id())
    assert (again.fresh, again.resource_id) == (False, first.resource_id)
    with pytest.raises(RequestInProgress):
        keys.begin(who, ROUTE, "k", ONE, new_id())


def test_the_key_of_a_dead_request_is_taken_over(hasty_keys: IdempotencyKeys, who: str) -> None:
    first = hasty_keys.begin(who, ROUTE, "k", ONE, new_id())
    time.sleep(0.1)
    again = hasty_keys.begin(who, ROUTE, "k", ONE, new_id())
    assert (again.fresh, again.resource_id) == (False, first.resource_id)


def test_keys_are_each_principals_and_each_routes_own(keys: IdempotencyKeys, who: str) -> None:
    keys.begin(who, ROUTE, "k", ONE, new_id())
    assert keys.begin(f"{who}-2", ROUTE, "k", OTHER, new_id()).fresh
    assert keys.begin(who, "POST /v1/elsewhere", "k", OTHER, new_id()).fresh
    assert keys.begin(who, ROUTE, "K", OTHER, new_id()).fresh


def test_an_expired_key_is_as_good_as_new(keys: IdempotencyKeys, connections: Connections, who: str) -> None:
    keys.begin(who, ROUTE, "k", ONE, new_id())
    keys.finish(who, ROUTE, "k", 201, {"n": 1})
    with connections.engine.begin() as connection:
        past = sa.text("'2020-01-01'")
        connection.execute(idempotency_keys.update().where(idempotency_keys.c.principal == who).values(expires_at=past))
    order_id = new_id()
    begun = keys.begin(who, ROUTE, "k", OTHER, order_id)
    assert (begun.fresh, begun.resource_id, begun.is_answered) == (True, order_id, False)


def test_of_many_at_once_one_acts(keys: IdempotencyKeys, who: str) -> None:
    def attempt(_: int) -> str:
        try:
            return "fresh" if keys.begin(who, ROUTE, "k", ONE, new_id()).fresh else "taken over"
        except RequestInProgress:
            return "in progress"

    with ThreadPoolExecutor(16) as pool:
        outcomes = list(pool.map(attempt, range(32)))
    assert outcomes.count("fresh") == 1
    assert outcomes.count("in progress") == 31


def test_nobody_owns_an_unknown_id(keys: IdempotencyKeys) -> None:
    assert keys.owner_of(new_id()) is None
