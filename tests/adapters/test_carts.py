"""The cart never loses a change, and its copy in Redis never wins over the truth."""

import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pymongo
import pytest
import redis
import uuid_utils
from pymongo.errors import PyMongoError

from adapters.carts import MAX_LINES, CartStore, cart_id_of, guest_owner, user_owner
from adapters.connections import Connections
from domain.errors import CartChanged, InvalidRequest


@pytest.fixture
def carts(connections: Connections) -> CartStore:
    return CartStore(connections.mongo, connections.redis)


@pytest.fixture
def nowhere() -> Iterator[redis.Redis]:
    """A cache nobody answers for."""
    with redis.Redis(port=9, socket_connect_timeout=0.2, retry=None, decode_responses=True) as client:
        yield client


@pytest.fixture
def owner() -> str:
    return user_owner(str(uuid_utils.uuid7()))


def test_a_cart_nobody_has_touched_is_empty_at_version_zero(carts: CartStore, owner: str) -> None:
    cart = carts.get(owner)
    assert (cart.id, cart.version, cart.items) == (cart_id_of(owner), 0, {})


def test_every_change_counts_the_version_up(carts: CartStore, owner: str) -> None:
    assert carts.set_quantity(owner, "A", 2).version == 1
    assert carts.set_quantity(owner, "B", 1).version == 2
    assert carts.remove(owner, "A").version == 3
    assert carts.get(owner).items == {"B": 1}
    assert carts.clear(owner).version == 4
    assert carts.current(owner).items == {}


def test_what_changes_nothing_leaves_the_version(carts: CartStore, owner: str) -> None:
    version = carts.set_quantity(owner, "A", 2).version
    assert carts.set_quantity(owner, "A", 2).version == version
    assert carts.remove(owner, "B").version == version


@pytest.mark.parametrize("sku", ["A.B", "A..B.", "$A", "A%2EB", "100%", "A$.$B"])
def test_a_sku_with_signs_that_mean_something_to_mongo_is_just_a_sku(carts: CartStore, owner: str, sku: str) -> None:
    carts.set_quantity(owner, sku, 3)
    carts.set_quantity(owner, "PLAIN", 1)
    assert carts.current(owner).items == {sku: 3, "PLAIN": 1}
    assert carts.remove(owner, sku).items == {"PLAIN": 1}


def test_a_change_of_a_version_that_is_past_is_refused_with_the_cart_as_it_is(carts: CartStore, owner: str) -> None:
    carts.set_quantity(owner, "A", 1)
    latest = carts.set_quantity(owner, "A", 2)
    with pytest.raises(CartChanged) as refusal:
        carts.set_quantity(owner, "A", 5, expected_version=1)
    assert refusal.value.details["cart"] == latest
    assert carts.set_quantity(owner, "A", 5, expected_version=2).version == 3


def test_one_line_too_many_is_refused(carts: CartStore, owner: str) -> None:
    for number in range(MAX_LINES):
        carts.set_quantity(owner, f"SKU-{number}", 1)
    with pytest.raises(InvalidRequest):
        carts.set_quantity(owner, "ONE-MORE", 1)
    assert len(carts.set_quantity(owner, "SKU-0", 2).items) == MAX_LINES


def test_no_change_of_many_at_once_is_lost(carts: CartStore, owner: str) -> None:
    skus = [f"SKU-{number}" for number in range(40)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda sku: carts.set_quantity(owner, sku, 1), random.sample(skus, len(skus))))
    cart = carts.current(owner)
    assert sorted(cart.items) == sorted(skus)
    assert cart.version == len(skus)
    assert carts.get(owner) == cart


def test_of_two_who_expect_the_same_version_one_wins(carts: CartStore, owner: str) -> None:
    carts.set_quantity(owner, "A", 1)

    def attempt(quantity: int) -> bool:
        try:
            carts.set_quantity(owner, "A", quantity, expected_version=1)
        except CartChanged:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(attempt, range(2, 10))) == 1


def test_the_cart_that_became_an_order_is_emptied_once(carts: CartStore, owner: str) -> None:
    cart = carts.set_quantity(owner, "A", 1)
    for _ in range(2):
        carts.complete(owner, cart.id, cart.version, "order-1")
    emptied = carts.current(owner)
    assert (emptied.items, emptied.version, emptied.checked_out_by) == ({}, cart.version + 1, "order-1")


def test_a_cart_that_has_changed_since_the_order_is_left_as_it_is(carts: CartStore, owner: str) -> None:
    ordered = carts.set_quantity(owner, "A", 1)
    newer = carts.set_quantity(owner, "B", 1)
    carts.complete(owner, ordered.id, ordered.version, "order-1")
    assert carts.current(owner) == newer


def test_without_redis_a_cart_is_only_slower(connections: Connections, nowhere: redis.Redis, owner: str) -> None:
    carts = CartStore(connections.mongo, nowhere)
    changed = carts.set_quantity(owner, "A", 1)
    assert carts.get(owner) == changed


def test_an_older_copy_never_replaces_a_newer_one(carts: CartStore, connections: Connections, owner: str) -> None:
    older = carts.set_quantity(owner, "A", 1)
    newer = carts.set_quantity(owner, "A", 2)
    carts._cache.put(older)
    assert carts.get(owner) == newer
    assert connections.redis.hget(f"cart:{owner}", "version") == str(newer.version)


def test_a_copy_from_before_an_outage_of_redis_is_not_believed(
    carts: CartStore, connections: Connections, nowhere: redis.Redis, owner: str
) -> None:
    carts.set_quantity(owner, "A", 1)
    elsewhere = CartStore(connections.mongo, nowhere)
    newer = elsewhere.set_quantity(owner, "A", 2)  # Redis was away: the old copy is still there
    assert carts.get(owner).version == 1, "another process may show it for its short lifetime"
    elsewhere._cache._client = elsewhere._cache._put.registered_client = connections.redis  # Redis is back
    assert elsewhere.get(owner) == newer
    assert carts.get(owner) == newer


def test_the_copy_does_not_live_long(carts: CartStore, connections: Connections, owner: str) -> None:
    carts.set_quantity(owner, "A", 1)
    assert 0 < int(str(connections.redis.ttl(f"cart:{owner}"))) <= 60


def test_without_mongo_no_cart_is_shown(connections: Connections, owner: str) -> None:
    with pymongo.MongoClient("mongodb://127.0.0.1:9", serverSelectionTimeoutMS=200) as client:
        carts = CartStore(client["orders_test"], connections.redis)
        with pytest.raises(PyMongoError):
            carts.get(owner)


def test_a_guests_token_is_not_stored() -> None:
    token = "t" * 32
    assert token not in guest_owner(token)
    assert guest_owner(token) != guest_owner(token + "t")
