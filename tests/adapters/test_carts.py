"""The cart never loses a change, is emptied once by its order, and ends when its time is over."""

import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
import redis
import uuid_utils
from redis.backoff import NoBackoff
from redis.retry import Retry

from adapters.carts.documents import Lifetimes
from adapters.carts.store import CartStore, ChangeRequest, cart_id_of, ensure_cart_indexes
from adapters.connections import Connections
from domain.carts import MAX_LINES, guest_owner, user_owner
from domain.errors import CartChanged, IdempotencyMismatch, InsufficientStock, InvalidRequest
from schemas.carts import Cart
from tests.carts import offer


@pytest.fixture
def carts(connections: Connections) -> CartStore:
    return CartStore(connections.mongo, connections.redis)


@pytest.fixture
def owner() -> str:
    return user_owner(str(uuid_utils.uuid7()))


def nothing() -> dict[str, int]:
    raise AssertionError("nobody needs to know what was ordered")


def test_a_cart_nobody_has_touched_is_empty_at_version_zero(carts: CartStore, owner: str) -> None:
    cart = carts.current(owner)
    assert (cart.id, cart.version, cart.items) == (cart_id_of(owner), 0, {})


def test_every_change_counts_the_version_up(carts: CartStore, owner: str) -> None:
    assert carts.set_quantity(owner, offer("A"), 2).version == 1
    assert carts.set_quantity(owner, offer("B"), 1).version == 2
    assert carts.add(owner, offer("B"), 3).items == {"A": 2, "B": 4}
    assert carts.remove(owner, "A").version == 4
    assert carts.current(owner).items == {"B": 4}
    assert carts.clear(owner).version == 5
    assert carts.current(owner).items == {}


def test_what_is_answered_is_what_is_kept(carts: CartStore, owner: str) -> None:
    changes: list[Callable[[], Cart]] = [
        lambda: carts.set_quantity(owner, offer("A", 250, room=9), 2),
        lambda: carts.add(owner, offer("B"), 1),
        lambda: carts.clear(owner),
    ]
    for change in changes:
        assert change() == carts.current(owner)


def test_what_changes_nothing_leaves_the_version(carts: CartStore, owner: str) -> None:
    version = carts.set_quantity(owner, offer("A"), 2).version
    assert carts.set_quantity(owner, offer("A"), 2).version == version
    assert carts.remove(owner, "B").version == version
    assert carts.acknowledge(owner, {"A": offer("A")}).version == version


def test_what_the_customer_has_seen_of_a_line_is_kept_with_it(carts: CartStore, owner: str) -> None:
    first = carts.set_quantity(owner, offer("A", price=100, room=5), 2)
    second = carts.set_quantity(owner, offer("B", price=300), 1)
    assert second.seen["A"] == first.seen["A"], "setting one line says nothing about the others"
    dearer = {"A": offer("A", price=150, room=1), "B": offer("B", price=300)}
    seen = carts.acknowledge(owner, dearer).seen
    assert (seen["A"].price, seen["A"].available) == (dearer["A"].price, False)
    assert seen["A"].added_at == first.seen["A"].added_at


@pytest.mark.parametrize("sku", ["A.B", "A..B.", "$A", "A%2EB", "100%", "A$.$B", "Ａ", "A\u202eB", "\U0001f6d2"])
def test_a_sku_with_signs_that_mean_something_to_mongo_is_just_a_sku(carts: CartStore, owner: str, sku: str) -> None:
    carts.set_quantity(owner, offer(sku), 3)
    carts.set_quantity(owner, offer("PLAIN"), 1)
    assert carts.current(owner).items == {sku: 3, "PLAIN": 1}
    assert carts.remove(owner, sku).items == {"PLAIN": 1}


def test_a_change_of_a_version_that_is_past_is_refused_with_the_cart_as_it_is(carts: CartStore, owner: str) -> None:
    carts.set_quantity(owner, offer("A"), 1)
    latest = carts.set_quantity(owner, offer("A"), 2)
    with pytest.raises(CartChanged) as refusal:
        carts.set_quantity(owner, offer("A"), 5, ChangeRequest(version=1))
    assert refusal.value.details["cart"] == latest
    assert carts.set_quantity(owner, offer("A"), 5, ChangeRequest(version=2)).version == 3


def test_limits_are_refused_and_leave_the_cart_as_it_was(carts: CartStore, owner: str) -> None:
    before = carts.set_quantity(owner, offer("A", room=5), 3)
    with pytest.raises(InsufficientStock) as refusal:
        carts.add(owner, offer("A", room=5), 3)
    assert refusal.value.details == {"sku": "A", "wanted": 6, "available": 5}
    with pytest.raises(InvalidRequest):
        carts.add(owner, offer("A"), 997)
    assert carts.current(owner) == before
    assert carts.add(owner, offer("A"), 996).items == {"A": 999}, "what may be sold beyond the stock has no such limit"


def test_one_line_too_many_is_refused(carts: CartStore, connections: Connections, owner: str) -> None:
    for number in range(MAX_LINES):
        carts.set_quantity(owner, offer(f"SKU-{number}"), 1)
    with pytest.raises(InvalidRequest):
        carts.set_quantity(owner, offer("ONE-MORE"), 1)
    assert len(carts.set_quantity(owner, offer("SKU-0"), 2).items) == MAX_LINES


def test_no_change_of_many_at_once_is_lost(carts: CartStore, owner: str) -> None:
    skus = [f"SKU-{number}" for number in range(20)] * 2
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda sku: carts.add(owner, offer(sku), 1), random.sample(skus, len(skus))))
    cart = carts.current(owner)
    assert cart.items == dict.fromkeys(cart.items, 2)
    assert (len(cart.items), cart.version) == (20, len(skus))


def test_of_two_who_expect_the_same_version_one_wins(carts: CartStore, owner: str) -> None:
    carts.set_quantity(owner, offer("A"), 1)

    def attempt(quantity: int) -> bool:
        try:
            carts.set_quantity(owner, offer("A"), quantity, ChangeRequest(version=1))
        except CartChanged:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(attempt, range(2, 10))) == 1


def test_what_is_added_under_a_key_is_added_once(carts: CartStore, owner: str) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: carts.add(owner, offer("A"), 2, ChangeRequest(key="once")), range(8)))
    assert carts.current(owner).items == {"A": 2}
    assert carts.add(owner, offer("A"), 2, ChangeRequest(key="twice")).items == {"A": 4}
    with pytest.raises(IdempotencyMismatch):
        carts.add(owner, offer("A"), 3, ChangeRequest(key="once"))


def test_the_cart_that_became_an_order_is_emptied_once(carts: CartStore, owner: str) -> None:
    cart = carts.set_quantity(owner, offer("A"), 1)
    for _ in range(2):
        carts.complete(owner, cart.id, cart.version, "order-1", nothing)
    emptied = carts.current(owner)
    assert (emptied.items, emptied.version, emptied.checked_out_by) == ({}, cart.version + 1, "order-1")


def test_what_came_into_the_cart_after_the_checkout_stays_for_the_next_order(carts: CartStore, owner: str) -> None:
    ordered = carts.set_quantity(owner, offer("A"), 2)
    carts.add(owner, offer("A"), 1)
    carts.set_quantity(owner, offer("B"), 4)
    for _ in range(3):
        carts.complete(owner, ordered.id, ordered.version, "order-1", lambda: dict(ordered.items))
    assert carts.current(owner).items == {"A": 1, "B": 4}


def test_what_was_taken_out_after_the_checkout_takes_nothing_with_it(carts: CartStore, owner: str) -> None:
    ordered = carts.set_quantity(owner, offer("A"), 2)
    carts.set_quantity(owner, offer("B"), 4)
    carts.set_quantity(owner, offer("A"), 1)
    carts.complete(owner, ordered.id, ordered.version, "order-1", lambda: dict(ordered.items))
    assert carts.current(owner).items == {"B": 4}


def test_a_completed_cart_cannot_be_written_back_to_life(carts: CartStore, owner: str) -> None:
    cart = carts.set_quantity(owner, offer("A"), 1)
    carts.complete(owner, cart.id, cart.version, "order-1", nothing)
    changes: list[Callable[[], object]] = [
        lambda: carts.set_quantity(owner, offer("A"), 2, ChangeRequest(version=cart.version)),
        lambda: carts.remove(owner, "A", ChangeRequest(version=cart.version)),
        lambda: carts.acknowledge(owner, {"A": offer("A", 5)}, ChangeRequest(version=cart.version)),
    ]
    for change in changes:
        with pytest.raises(CartChanged):
            change()
    assert carts.current(owner).items == {}


def test_an_order_empties_no_cart_of_another_life(carts: CartStore, owner: str) -> None:
    old = carts.set_quantity(owner, offer("A"), 1)
    carts.forget(owner)
    new = carts.set_quantity(owner, offer("A"), 1)
    assert (new.version, new.id != old.id) == (old.version, True)
    carts.complete(owner, old.id, old.version, "order-1", nothing)
    assert carts.current(owner) == new


@pytest.fixture
def mayflies(connections: Connections) -> CartStore:
    """Carts that are over at once; MongoDB's own sweep has not come round yet."""
    return CartStore(connections.mongo, connections.redis, lifetimes=Lifetimes(timedelta(0), timedelta(0)))


def test_a_cart_whose_time_is_over_is_empty_before_it_is_deleted(
    carts: CartStore, mayflies: CartStore, connections: Connections, owner: str
) -> None:
    left = mayflies.set_quantity(owner, offer("A"), 3)
    assert connections.mongo["carts"].count_documents({"_id": owner}) == 1
    assert (carts.current(owner).items, carts.current(owner).version) == ({}, left.version)
    begun_again = carts.set_quantity(owner, offer("B"), 1)
    assert (begun_again.items, begun_again.version) == ({"B": 1}, left.version + 1)


def test_guests_carts_end_sooner_than_those_of_accounts(carts: CartStore, owner: str) -> None:
    def days(cart_owner: str) -> int:
        ends = carts.set_quantity(cart_owner, offer("A"), 1).expires_at
        assert ends is not None
        return round((ends - datetime.now(UTC)) / timedelta(days=1))

    assert (days(owner), days(guest_owner(owner))) == (180, 30)


def test_mongo_is_set_to_delete_what_is_over(connections: Connections) -> None:
    ensure_cart_indexes(connections.mongo)
    assert ensure_cart_indexes(connections.mongo) == "its indexes are there"
    indexes = connections.mongo["carts"].index_information()
    assert indexes["expires_at_1"]["expireAfterSeconds"] == 0


def test_a_forgotten_cart_leaves_nothing(carts: CartStore, connections: Connections, owner: str) -> None:
    carts.set_quantity(owner, offer("A"), 1)
    carts.forget(owner)
    assert connections.mongo["carts"].count_documents({"_id": owner}) == 0
    assert carts.current(owner).version == 0
    assert not connections.redis.exists(f"cart:{owner}")


def test_without_redis_a_cart_is_only_slower(connections: Connections, owner: str) -> None:
    with redis.Redis(port=9, socket_connect_timeout=0.2, retry=Retry(NoBackoff(), 0), decode_responses=True) as nowhere:
        carts = CartStore(connections.mongo, nowhere)
        assert carts.current(owner) != carts.set_quantity(owner, offer("A"), 1)
        assert carts.current(owner).items == {"A": 1}


def test_a_guests_token_is_not_stored() -> None:
    token = "t" * 32
    assert token not in guest_owner(token)
    assert guest_owner(token) != guest_owner(token + "t")
