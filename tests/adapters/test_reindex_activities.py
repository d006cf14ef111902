"""Two releases make their indices side by side, each its own; one that takes no writes is waited for or abandoned."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
import uuid_utils
from pydantic import BaseModel
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.search import SearchActivities
from adapters.connections import Connections
from adapters.search.feeds import Feed, product_feed
from adapters.search.live_index import Document, LiveIndex, WriteDelayed, WriteRefused
from schemas.reindex import FillIndex, IndexFilled, IndexNamed, MakeIndex
from tests.fixture_types import MakeProduct

Release = Callable[[int], Feed]


@pytest.fixture
def release(connections: Connections) -> Iterator[Release]:
    """The feed of a release whose index has this version; all of them beside those of other tests."""
    prefix = f"test-{uuid_utils.uuid7().hex[-12:]}-"
    feed = product_feed(connections.engine, connections.elasticsearch, prefix)

    def of(version: int) -> Feed:
        mapping = {"dynamic": False, "properties": {"code": {"type": "keyword"}}}
        return replace(feed, index=LiveIndex(connections.elasticsearch, f"{prefix}products-v{version}", {}, mapping))

    yield of
    for name in connections.elasticsearch.indices.get(index=f"{prefix}*"):
        connections.elasticsearch.indices.delete(index=name)


@pytest.fixture
def products(make_product: MakeProduct) -> list[str]:
    return [make_product() for _ in range(4)]


def run(feed: Feed, activity: str, command: BaseModel, heartbeat: tuple[object, ...] = ()) -> Any:
    environment = ActivityEnvironment()
    environment.info = replace(environment.info, heartbeat_details=heartbeat)
    return environment.run(getattr(SearchActivities({"products": feed}), activity), command)


def made(feed: Feed, suffix: str) -> IndexNamed:
    index = run(feed, "make_index", MakeIndex(subject="products", suffix=suffix)).index
    return IndexNamed(subject="products", index=index)


@pytest.mark.parametrize(("own", "other"), [(2, 3), (3, 2), (1, 10), (10, 1)])
def test_what_is_left_over_is_dropped_by_its_own_release_alone(release: Release, own: int, other: int) -> None:
    mine, theirs = release(own), release(other)
    filled_by_setup = theirs.index.create()  # and about to be switched to
    asked_by_them = theirs.index.create()
    theirs.index.switch_to(asked_by_them)
    cut_off, fresh = made(mine, "cut-off"), made(mine, "fresh")
    run(mine, "switch_index", fresh)
    assert run(mine, "drop_leftovers", fresh) == [cut_off.index]
    assert theirs.index.targets() == sorted([filled_by_setup, asked_by_them])
    assert (mine.index.targets(), theirs.index.current()) == ([fresh.index], asked_by_them)


def test_what_earlier_releases_left_is_distinguished_from_what_later_ones_made(release: Release) -> None:
    first, second, tenth = (release(version) for version in (1, 2, 10))
    names = {feed.index.alias: feed.index.create() for feed in (first, second, tenth)}
    assert first.index.outdated() == []
    assert second.index.outdated() == [names[first.index.alias]]
    assert tenth.index.outdated() == sorted([names[first.index.alias], names[second.index.alias]])


@pytest.mark.parametrize(
    "activity", ["fill_index", "verify_index", "compact_index", "switch_index", "drop_index", "drop_leftovers"]
)
def test_a_worker_leaves_another_release_s_index_alone(release: Release, activity: str) -> None:
    mine, theirs = release(1), release(11)
    index = made(theirs, "fresh").index
    command = (
        FillIndex(subject="products", index=index, after="", limit=1)
        if activity == "fill_index"
        else IndexNamed(subject="products", index=index)
    )
    with pytest.raises(ApplicationError, match="not an index of this release") as refusal:
        run(mine, activity, command)
    assert refusal.value.non_retryable
    assert (theirs.index.targets(), mine.index.current()) == ([index], None)


def test_filling_goes_on_where_the_last_heartbeat_was(release: Release, products: list[str]) -> None:
    feed = release(1)
    keys = list(feed.next_keys("", 4))
    fresh = made(feed, "fresh")
    command = FillIndex(subject="products", index=fresh.index, after="", limit=4)
    assert run(feed, "fill_index", command, (keys[1], 2)) == IndexFilled(after=keys[3], count=4)
    assert feed.index.missing(fresh.index, keys) == keys[:2]


@pytest.mark.parametrize("how", ["index.blocks.write", "index.blocks.read_only_allow_delete", "closed"])
def test_an_index_without_writes_delays_updates_and_ends_its_filling(
    release: Release, connections: Connections, how: str
) -> None:
    index, indices = release(1).index, connections.elasticsearch.indices
    name = index.create()
    if how == "closed":
        indices.close(index=name)
    else:
        indices.put_settings(index=name, settings={how: True})
    document = Document("A", 1, {"code": "A"})
    assert index.targets() == [name]
    with pytest.raises(WriteDelayed):
        index.put([name], [document], live=True)
    if how != "index.blocks.read_only_allow_delete":  # which a full disk sets and a free one lifts
        with pytest.raises(WriteRefused):
            index.put([name], [document])
