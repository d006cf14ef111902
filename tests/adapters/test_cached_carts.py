"""The copy of a cart in Redis is never believed when it is wrong, whatever happens to Redis and to who writes."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable

import pytest
import pytest_asyncio
import redis
import uuid_utils
from pymongo.errors import ConnectionFailure

from adapters.carts.cache import CartCache, Fence, key_of
from adapters.carts.epoch import CacheEpoch
from adapters.carts.store import CartStore
from adapters.connections import Connections
from dev.testbed import free_port
from domain.carts import user_owner
from domain.errors import InsufficientStock
from schemas.carts import Cart
from tests.carts import CartProcess, cart_process, offer


@pytest_asyncio.fixture
async def process(connections: Connections) -> AsyncIterator[CartProcess]:
    """A process, once whatever an earlier test has suspended is believed again."""
    connections.mongo["cart_cache_epoch"].update_one({"_id": "epoch"}, {"$unset": {"suspended_until": 1}})
    async with cart_process(connections) as one:
        yield one


@pytest.fixture
def owner() -> str:
    return user_owner(str(uuid_utils.uuid7()))


@pytest.fixture
def asked_mongo(process: CartProcess, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Whose cart MongoDB was asked for."""
    asked: list[str] = []
    look = process.store.current

    def current(owner: str) -> Cart:
        asked.append(owner)
        return look(owner)

    monkeypatch.setattr(process.store, "current", current)
    return asked


async def test_a_cached_read_asks_redis_alone(process: CartProcess, owner: str, asked_mongo: list[str]) -> None:
    written = process.store.set_quantity(owner, offer("A"), 1)
    for _ in range(3):
        assert await process.warm.get(owner) == written
    assert asked_mongo == []


async def test_a_cold_read_is_kept_for_the_next(process: CartProcess, owner: str, asked_mongo: list[str]) -> None:
    for _ in range(3):
        assert (await process.warm.get(owner)).version == 0
    assert asked_mongo == [owner]


async def test_a_change_by_another_process_is_seen_at_once(
    process: CartProcess, connections: Connections, owner: str
) -> None:
    async with cart_process(connections) as other:
        for quantity in range(1, 20):
            writer, reader = (process, other) if quantity % 2 else (other, process)
            written = await asyncio.to_thread(writer.store.set_quantity, owner, offer("A"), quantity)
            assert await reader.warm.get(owner) == written


async def test_while_a_change_is_on_its_way_no_copy_is_read_or_made(
    process: CartProcess, connections: Connections, owner: str, asked_mongo: list[str]
) -> None:
    process.store.set_quantity(owner, offer("A"), 1)
    cache = CartCache(connections.redis)
    fence = cache.fence(owner, process.trust.current())
    assert fence is not None
    assert fence.cached is not None
    for _ in range(2):
        await process.warm.get(owner)
    assert asked_mongo == [owner, owner]
    cache.unfence(fence, fence.cached, changed=False)
    await process.warm.get(owner)
    assert len(asked_mongo) == 2


async def test_of_several_writers_the_newest_version_is_read_when_all_are_done(
    process: CartProcess, connections: Connections, owner: str, asked_mongo: list[str]
) -> None:
    cache, epoch = CartCache(connections.redis), process.trust.current()
    carts = [process.store.set_quantity(owner, offer("A"), quantity) for quantity in (1, 2, 3)]
    fences = [one for one in (cache.fence(owner, epoch) for _ in carts) if one is not None]
    for number in (2, 0, 1):  # the newest writes first
        assert await process.warm.get(owner) == carts[2]
        cache.unfence(fences[number], carts[number], changed=True)
    assert asked_mongo == [owner] * 3
    assert await process.warm.get(owner) == carts[2]
    assert len(asked_mongo) == 3


async def test_a_reader_that_was_overtaken_keeps_nothing(
    process: CartProcess, monkeypatch: pytest.MonkeyPatch, owner: str
) -> None:
    """It read MongoDB, then a change was made, then it wants to keep what it has read."""
    look = process.store.current
    newer: list[Cart] = []

    def slow(owner: str) -> Cart:
        seen = look(owner)
        newer.append(process.store.set_quantity(owner, offer("A"), len(newer) + 1))
        return seen

    with monkeypatch.context() as patched:
        patched.setattr(process.store, "current", slow)
        assert (await process.warm.get(owner)).version == 0
    assert await process.warm.get(owner) == newer[-1]


async def test_a_reader_that_was_overtaken_by_a_change_and_a_flush_keeps_nothing(
    process: CartProcess, connections: Connections, monkeypatch: pytest.MonkeyPatch, owner: str
) -> None:
    look = process.store.current

    def slow(owner: str) -> Cart:
        seen = look(owner)
        process.store.set_quantity(owner, offer("A"), 1)
        connections.redis.flushdb()
        return seen

    with monkeypatch.context() as patched:
        patched.setattr(process.store, "current", slow)
        await process.warm.get(owner)
    assert (await process.warm.get(owner)).items == {"A": 1}


class Flushing(CartCache):
    """Redis is flushed between the fence and the word that takes it down, and somebody reads in between."""

    between: Callable[[], None]

    def unfence(self, fence: Fence, cart: Cart, changed: bool) -> bool:
        self.between()
        return super().unfence(fence, cart, changed)


async def test_a_flush_while_a_change_is_on_its_way_leaves_no_old_copy(
    process: CartProcess, connections: Connections, owner: str
) -> None:
    old = process.store.set_quantity(owner, offer("A"), 1)
    cache = Flushing(connections.redis)

    def flush_and_restore() -> None:
        connections.redis.flushdb()
        fence = CartCache(connections.redis).fence(owner, process.trust.current())
        assert fence is not None
        CartCache(connections.redis).unfence(fence, old, changed=False)  # as a reader that was quick before the change

    cache.between = flush_and_restore
    process.store._cache = cache
    newer = process.store.set_quantity(owner, offer("A"), 2)
    assert await process.warm.get(owner) == newer


async def test_a_copy_from_before_a_restart_is_not_believed(
    process: CartProcess, connections: Connections, owner: str
) -> None:
    """What a server reads from its disk when it starts may be a minute old."""
    process.store.set_quantity(owner, offer("A"), 1)
    snapshot = connections.redis.dump(key_of(owner))
    newer = process.store.set_quantity(owner, offer("A"), 2)
    connections.redis.restore(key_of(owner), 60_000, snapshot, replace=True)  # type: ignore[arg-type]
    connections.redis.hset(key_of(owner), "run", "the run before")
    assert await process.warm.get(owner) == newer


class Lost(CartStore):
    """The process dies between MongoDB's yes and its word to Redis."""

    class Died(Exception):
        pass

    def _replace(self, *args: object) -> Cart | None:
        super()._replace(*args)  # type: ignore[arg-type]
        raise self.Died


async def test_a_writer_that_dies_leaves_no_old_copy_behind(
    process: CartProcess, connections: Connections, owner: str
) -> None:
    process.store.set_quantity(owner, offer("A"), 1)
    with pytest.raises(Lost.Died):
        Lost(connections.mongo, connections.redis, process.trust).set_quantity(owner, offer("A"), 2)
    assert (await process.warm.get(owner)).items == {"A": 2}
    connections.redis.hset(key_of(owner), "until", 0)  # its fence has run out
    for _ in range(2):
        assert (await process.warm.get(owner)).items == {"A": 2}


async def test_a_writer_without_redis_is_not_believed_to_have_done_nothing(
    process: CartProcess, connections: Connections, owner: str
) -> None:
    """It can reach nobody's copy; those who can reach Redis must not show the cart as it was."""
    process.store.set_quantity(owner, offer("A"), 1)
    assert await process.warm.get(owner)
    async with cart_process(connections, f"redis://127.0.0.1:{free_port()}/0") as lonely:
        waits = []
        for quantity in (2, 3, 4):
            began = time.monotonic()
            written = await asyncio.to_thread(lonely.store.set_quantity, owner, offer("A"), quantity)
            assert await process.warm.get(owner) == written
            waits.append(time.monotonic() - began)
        assert waits[-1] < waits[0], "only the first change of an outage waits until everybody knows"
        assert await lonely.warm.get(owner) == written


async def test_copies_that_were_suspended_are_not_believed_when_that_ends(
    process: CartProcess, connections: Connections, owner: str, asked_mongo: list[str]
) -> None:
    process.store.set_quantity(owner, offer("A"), 1)
    connections.mongo["carts"].update_one({"_id": owner}, {"$inc": {"version": 1}})  # a change Redis does not know of
    trust = CacheEpoch(connections.mongo)
    await asyncio.to_thread(trust.suspend)
    connections.mongo["cart_cache_epoch"].update_one({"_id": "epoch"}, {"$unset": {"suspended_until": 1}})
    process.trust.refresh()
    assert process.trust.current() is not None
    assert (await process.warm.get(owner)).version == 2
    await process.warm.get(owner)
    assert asked_mongo == [owner], "and new ones are"


async def test_what_is_decided_by_a_copy_is_decided_again_by_the_truth(
    process: CartProcess, connections: Connections, owner: str
) -> None:
    process.store.set_quantity(owner, offer("A"), 1)
    connections.mongo["carts"].update_one({"_id": owner}, {"$inc": {"version": 4}, "$set": {"items.A.quantity": 7}})
    assert process.store.add(owner, offer("A"), 1).items == {"A": 8}
    connections.mongo["carts"].update_one({"_id": owner}, {"$inc": {"version": 1}, "$set": {"items.A.quantity": 1}})
    assert process.store.add(owner, offer("A", room=2), 1).items == {"A": 2}
    with pytest.raises(InsufficientStock):
        process.store.add(owner, offer("A", room=2), 1)


async def test_without_mongo_nothing_is_shown_and_nobody_waits(connections: Connections, owner: str) -> None:
    async with cart_process(connections) as process:
        process.store.set_quantity(owner, offer("A"), 1)
        process.trust._away = ConnectionFailure("cut")
        began = time.monotonic()
        with pytest.raises(ConnectionFailure):
            process.store.current(owner)
        assert time.monotonic() - began < 2, "MongoDB's client would wait for longer"


async def test_many_commands_at_once_each_get_their_own_answer(process: CartProcess) -> None:
    await asyncio.gather(*(process.line.execute("SET", f"line:{n}", n) for n in range(200)))
    answers = await asyncio.gather(
        *(process.line.execute("GET", f"line:{n}") for n in range(200)),
        process.line.execute("HGET", "line:1", "not a hash"),
        return_exceptions=True,
    )
    assert answers[:-1] == [str(n) for n in range(200)]
    assert isinstance(answers[-1], redis.ResponseError)


async def test_whoever_asks_a_server_that_is_away_is_refused_at_once(connections: Connections) -> None:
    async with cart_process(connections, f"redis://127.0.0.1:{free_port()}/0") as lonely:
        began = time.monotonic()
        answers = await asyncio.gather(*(lonely.line.execute("GET", "a") for _ in range(50)), return_exceptions=True)
        assert all(isinstance(one, redis.ConnectionError) for one in answers)
        with pytest.raises(redis.ConnectionError):
            await lonely.line.execute("GET", "a")
        assert time.monotonic() - began < 2
