"""A guest's cart moves into the customer's once, wherever it is interrupted and whoever else is at it."""

import random
from concurrent.futures import ThreadPoolExecutor

import pytest
import uuid_utils

from adapters.carts.store import CartStore
from adapters.connections import Connections
from domain.carts import MAX_LINES, guest_owner, user_owner
from schemas.carts import Cart
from tests.carts import offer


class Killed(Exception):
    """The process was."""


class Fragile(CartStore):
    """Dies at its n-th write to MongoDB: just before it, or just after."""

    deaths: "list[tuple[int, bool]]" = []
    writes = 0

    def _replace(self, *args: object) -> Cart | None:
        self.writes += 1
        if (self.writes, True) in self.deaths:
            raise Killed
        done = super()._replace(*args)  # type: ignore[arg-type]
        if (self.writes, False) in self.deaths:
            raise Killed
        return done


@pytest.fixture
def carts(connections: Connections) -> CartStore:
    return CartStore(connections.mongo, connections.redis)


@pytest.fixture
def user() -> str:
    return user_owner(str(uuid_utils.uuid7()))


@pytest.fixture
def guest() -> str:
    return guest_owner(uuid_utils.uuid7().hex)


def units(carts: CartStore, *owners: str) -> list[dict[str, int]]:
    return [carts.current(owner).items for owner in owners]


def test_lines_are_added_and_the_guests_cart_is_empty(carts: CartStore, user: str, guest: str) -> None:
    carts.set_quantity(user, offer("A"), 1)
    for sku, quantity in {"A": 2, "B": 3}.items():
        carts.set_quantity(guest, offer(sku), quantity)
    merged = carts.merge(user, guest, {})
    assert merged.items == {"A": 3, "B": 3}
    for _ in range(3):
        assert carts.merge(user, guest, {}) == merged
    assert units(carts, user, guest) == [merged.items, {}]


def test_what_the_guest_had_seen_of_a_line_goes_with_it(carts: CartStore, user: str, guest: str) -> None:
    carts.set_quantity(user, offer("A", price=100), 1)
    carts.set_quantity(guest, offer("A", price=200), 1)
    line = carts.set_quantity(guest, offer("B", price=300), 1).seen["B"]
    seen = carts.merge(user, guest, {}).seen
    assert seen["B"] == line
    assert seen["A"].price == offer("A", price=100).price


def test_quantities_are_added_up_to_what_a_cart_takes_and_what_there_is(
    carts: CartStore, user: str, guest: str
) -> None:
    for owner, quantity in ((user, 600), (guest, 500)):
        carts.set_quantity(owner, offer("MANY"), quantity)
    for owner, quantity in ((user, 3), (guest, 4)):
        carts.set_quantity(owner, offer("FEW"), quantity)
    carts.set_quantity(user, offer("SOLD-OUT"), 5)
    for sku in ("SOLD-OUT", "SOLD-OUT-TOO"):
        carts.set_quantity(guest, offer(sku), 1)
    offers = {one.sku: one for one in (offer("FEW", room=5), offer("SOLD-OUT", room=2), offer("SOLD-OUT-TOO", room=0))}
    assert carts.merge(user, guest, offers).items == {"MANY": 999, "FEW": 5, "SOLD-OUT": 5, "SOLD-OUT-TOO": 1}
    assert units(carts, guest) == [{}]


def test_lines_for_which_there_is_no_place_stay_with_the_guest(carts: CartStore, user: str, guest: str) -> None:
    for number in range(MAX_LINES - 1):
        carts.set_quantity(user, offer(f"SKU-{number}"), 1)
    for sku in ("SKU-0", "NEW-1", "NEW-2"):
        carts.set_quantity(guest, offer(sku), 2)
    for _ in range(2):
        merged = carts.merge(user, guest, {}).items
        assert (len(merged), merged["SKU-0"], merged["NEW-1"]) == (MAX_LINES, 3, 2)
        assert units(carts, guest) == [{"NEW-2": 2}]
    carts.remove(user, "SKU-1")
    assert carts.merge(user, guest, {}).items["NEW-2"] == 2
    assert units(carts, guest) == [{}]


def test_a_token_can_be_used_again_after_it_was_merged(carts: CartStore, user: str, guest: str) -> None:
    for total in (1, 2, 3):
        carts.set_quantity(guest, offer("A"), 1)
        assert carts.merge(user, guest, {}).items == {"A": total}


@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
@pytest.mark.parametrize("write", [1, 2])
def test_a_merge_that_is_killed_is_finished_by_the_next_one(
    carts: CartStore, connections: Connections, user: str, guest: str, write: int, before: bool
) -> None:
    carts.set_quantity(user, offer("A"), 1)
    for sku, quantity in {"A": 2, "B": 3}.items():
        carts.set_quantity(guest, offer(sku), quantity)
    fragile = Fragile(connections.mongo, connections.redis)
    fragile.deaths = [(write, before)]
    with pytest.raises(Killed):
        fragile.merge(user, guest, {})
    for _ in range(2):
        assert carts.merge(user, guest, {}).items == {"A": 3, "B": 3}
        assert units(carts, user, guest) == [{"A": 3, "B": 3}, {}]


def test_a_guest_who_goes_on_after_a_killed_merge_loses_and_doubles_nothing(
    carts: CartStore, connections: Connections, user: str, guest: str
) -> None:
    carts.set_quantity(guest, offer("A"), 2)
    fragile = Fragile(connections.mongo, connections.redis)
    fragile.deaths = [(2, True)]
    with pytest.raises(Killed):
        fragile.merge(user, guest, {})
    carts.add(guest, offer("A"), 1)
    carts.set_quantity(guest, offer("B"), 4)
    carts.set_quantity(user, offer("C"), 1)
    assert carts.merge(user, guest, {}).items == {"A": 3, "C": 1, "B": 4}
    assert units(carts, guest) == [{}]


def test_a_guest_who_merely_looks_after_a_killed_merge_doubles_nothing(
    carts: CartStore, connections: Connections, user: str, guest: str
) -> None:
    """Taking note of a new price makes a new version of the cart, of the same units."""
    carts.set_quantity(guest, offer("A", price=100), 2)
    fragile = Fragile(connections.mongo, connections.redis)
    fragile.deaths = [(1, False)]
    with pytest.raises(Killed):
        fragile.merge(user, guest, {})
    carts.acknowledge(guest, {"A": offer("A", price=200)})
    for _ in range(3):
        assert carts.merge(user, guest, {}).items == {"A": 2}
        assert units(carts, guest) == [{}]


def test_what_the_customer_took_out_after_a_killed_merge_does_not_come_back(
    carts: CartStore, connections: Connections, user: str, guest: str
) -> None:
    carts.set_quantity(guest, offer("A"), 2)
    fragile = Fragile(connections.mongo, connections.redis)
    fragile.deaths = [(1, False)]
    with pytest.raises(Killed):
        fragile.merge(user, guest, {})
    carts.remove(user, "A")
    assert carts.merge(user, guest, {}).items == {}


@pytest.mark.parametrize("seed", range(100))
def test_many_merges_at_once_some_of_them_killed_move_everything_once(
    carts: CartStore, connections: Connections, user: str, guest: str, seed: int
) -> None:
    chance = random.Random(seed)
    carts.set_quantity(user, offer("A"), 1)
    for sku, quantity in {"A": 2, "B": 3}.items():
        carts.set_quantity(guest, offer(sku), quantity)
    added = chance.randint(0, 3)

    def merge(number: int) -> None:
        if number == 0:  # the guest's other tab
            for _ in range(added):
                carts.add(guest, offer("C"), 1)
            return
        fragile = Fragile(connections.mongo, connections.redis)
        fragile.deaths = [(chance.randint(1, 3), chance.random() < 0.5)] if chance.random() < 0.6 else []
        try:
            fragile.merge(user, guest, {})
        except Killed:
            return

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(merge, range(4)))
    carts.merge(user, guest, {})
    wanted = {"A": 3, "B": 3} | ({"C": added} if added else {})
    assert units(carts, user, guest) == [wanted, {}]


@pytest.mark.parametrize("seed", range(100))
def test_a_merge_during_a_checkout_loses_and_doubles_no_line(
    carts: CartStore, connections: Connections, user: str, guest: str, seed: int
) -> None:
    """The checkout has frozen a version; its order takes out what it ordered while the guest's lines come in."""
    chance = random.Random(seed)
    frozen = carts.set_quantity(user, offer("A"), 2)
    for sku, quantity in {"A": 1, "B": 3}.items():
        carts.set_quantity(guest, offer(sku), quantity)

    def complete() -> None:
        for _ in range(2):  # an activity may run twice
            carts.complete(user, frozen.id, frozen.version, "order-1", lambda: dict(frozen.items))

    def merge() -> None:
        fragile = Fragile(connections.mongo, connections.redis)
        fragile.deaths = [(chance.randint(1, 2), chance.random() < 0.5)] if seed % 2 else []
        try:
            fragile.merge(user, guest, {})
        except Killed:
            carts.merge(user, guest, {})

    actions = chance.sample([complete, merge], 2)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda action: action(), actions))
    assert units(carts, user, guest) == [{"A": 1, "B": 3}, {}]
