"""An index is rebuilt while it is searched and written; a killed worker, a failure, a cancellation cost nothing."""

import asyncio
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
import pytest
import uuid_utils
from elasticsearch import NotFoundError
from temporalio.api.sdk.v1 import WorkflowMetadata
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle

from adapters.connections import Connections
from adapters.mysql.catalog.price_changes import PriceChanges
from adapters.mysql.catalog.products import Catalog
from adapters.mysql.identity.users import Accounts
from adapters.search.feeds import Feed, order_feed, product_feed
from dev.testbed import Testbed
from domain.catalog import ProductStatus
from schemas.catalog import Price, Product, Variant
from schemas.reindex import Reindex, Reindexed, ReindexProgress, Subject
from schemas.users import Role
from tests.fixture_types import PASSWORD, Json, MakeCustomer
from workflows.names import CATALOG_QUEUE, REINDEX_PROGRESS, reindex_workflow_id
from workflows.reindex import ReindexWorkflow

ADMIN = str(Path(sys.executable).with_name("order-admin"))
MANY = 3000
WORD = f"zq{uuid_utils.uuid7().hex[-10:]}"


@pytest.fixture(scope="module")
def feed(connections: Connections) -> Feed:
    return product_feed(connections.engine, connections.elasticsearch, connections.settings.name_prefix)


@pytest.fixture(scope="module")
def shop(engine: Testbed, connections: Connections, feed: Feed) -> list[Product]:
    """So many products that filling an index takes a while."""
    moment = datetime.now(UTC)
    # Begun before the last look at prices that begin: else the next look would have the indexer write all of these
    # once more, perhaps in the middle of a test that counts what is written.
    paid = Price(amount=500, currency="EUR", valid_from=moment - timedelta(days=1))
    products = [
        Product(
            code=f"RE-{WORD.upper()}-{number:05}",
            name=f"Kite {WORD} {number}",
            brand="testbrand",
            category="tests",
            status=ProductStatus.ACTIVE,
            variants=[Variant(sku=f"RE-{WORD.upper()}-{number:05}", weight_grams=100, prices=[paid])],
            created_at=moment,
            updated_at=moment,
        )
        for number in range(MANY)
    ]
    for start in range(0, MANY, 500):
        Catalog(connections.engine).put_many(products[start : start + 500])
    # Tests before this one have prices that ended by themselves; the schedule that announces it does not run here.
    PriceChanges(connections.engine).announce(lambda _: None)
    until_same(feed)
    return products


Handle = WorkflowHandle[ReindexWorkflow, Reindexed]


@pytest.fixture
def signed_in(connections: Connections, api: httpx2.Client, make_customer: MakeCustomer) -> dict[str, str]:
    """Headers of somebody who keeps the catalog."""
    account = make_customer()
    Accounts(connections.engine).set_roles(account.id, [Role.CUSTOMER, Role.CATALOG])
    form = {"grant_type": "password", "username": account.email, "password": PASSWORD}
    token = api.post("/oauth2/token", data=form).json()["access_token"]
    return {"Authorization": f"Bearer {token}"}


def until_same(feed: Feed, seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while differing := list(feed.differing()):
        assert time.monotonic() < deadline, f"{len(differing)} differ, as {differing[:5]}"
        time.sleep(0.2)


@contextmanager
def meanwhile(*actions: Callable[[int], None]) -> Iterator[list[BaseException]]:
    """Do these again and again, each in a thread of its own, for the length of the block; what went wrong."""
    stop, failures = threading.Event(), list[BaseException]()

    def go_on(action: Callable[[int], None]) -> None:
        turn = 0
        while not stop.is_set():
            try:
                action(turn)
            except BaseException as failure:  # noqa: BLE001 - the test shows it
                failures.append(failure)
                return
            turn += 1

    threads = [threading.Thread(target=go_on, args=(action,)) for action in actions]
    for thread in threads:
        thread.start()
    try:
        yield failures
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def test_reindex_under_load_fails_no_search_and_loses_no_write(
    api: httpx2.Client, connections: Connections, feed: Feed, shop: list[Product], signed_in: dict[str, str]
) -> None:
    catalog, before = Catalog(connections.engine), feed.index.current()
    searched, written = 0, 0

    def search(_: int) -> None:
        nonlocal searched
        answer = api.get("/v1/products", params={"q": WORD, "limit": 5})
        assert answer.status_code == 200, answer.text
        assert (len(answer.json()["items"]), answer.json()["total"] >= MANY) == (5, True)
        searched += 1

    def turn_pages(_: int) -> None:
        cursor, seen = None, 0
        for _page in range(6):
            answer = api.get(
                "/v1/products", params={"q": WORD, "limit": 50, "sort": "price_asc", "cursor": cursor or ()}
            )
            assert answer.status_code == 200, answer.text
            seen += len(answer.json()["items"])
            cursor = answer.json()["next_cursor"]
        assert seen == 300

    def edit(turn: int) -> None:
        nonlocal written
        changed = shop[(turn * 7) % MANY]
        fresh = changed.model_copy(update={"code": f"{changed.code}-N{turn}", "variants": [_variant(changed, turn)]})
        catalog.put_many([changed.model_copy(update={"name": f"Kite {WORD} edited {turn}"}), fresh])
        written += 2
        time.sleep(0.02)

    with meanwhile(search, turn_pages, edit) as failures:
        time.sleep(0.5)
        started = api.post("/v1/products:reindex", headers=signed_in)
        joined = api.post("/v1/products:reindex", headers=signed_in)
        assert (started.status_code, joined.status_code) == (202, 202), started.text
        assert started.json()["run_id"] == joined.json()["run_id"]
        status = _until_ended(api, started.headers["location"], signed_in)
        time.sleep(1)
    assert not failures, failures[0]
    assert status["state"] == "completed"
    assert status["progress"]["done"] >= MANY
    assert searched > 20
    assert written > 20
    assert feed.index.current() == status["progress"]["index"] != before
    assert not connections.elasticsearch.indices.exists(index=str(before))
    until_same(feed)


def _variant(product: Product, turn: int) -> Variant:
    return product.variants[0].model_copy(update={"sku": f"{product.code}-N{turn}"})


def _until_ended(api: httpx2.Client, address: str, headers: dict[str, str]) -> Json:
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline:
        answer = api.get(address, headers=headers)
        assert answer.status_code == 200, answer.text
        status: Json = answer.json()
        if status["state"] != "running":
            return status
        time.sleep(0.2)
    raise AssertionError(f"still {status}")


async def _start(client: Client, chunk: int, subject: Subject = "products") -> Handle:
    return await client.start_workflow(
        ReindexWorkflow.run,
        Reindex(subject=subject, chunk=chunk),
        id=reindex_workflow_id(subject),
        task_queue=CATALOG_QUEUE,
    )


async def _progress(handle: Handle) -> ReindexProgress:
    memo = await (await handle.describe()).memo_value(REINDEX_PROGRESS, None)
    return ReindexProgress.model_validate(memo or {"subject": "products"})


async def _until_filling(handle: Handle, done: int) -> ReindexProgress:
    deadline = time.monotonic() + 120
    while (progress := await _progress(handle)).done < done:
        assert time.monotonic() < deadline, progress
    return progress


async def test_a_worker_killed_in_the_middle_is_taken_over_where_it_was(
    engine: Testbed, feed: Feed, shop: list[Product], temporal_client: Client
) -> None:
    handle = await _start(temporal_client, chunk=25)
    progress = await _until_filling(handle, 200)
    engine.kill("order-worker")
    killed_at = (await _progress(handle)).done
    assert killed_at < progress.total
    engine.start("order-worker")
    result: Reindexed = await handle.result()
    assert feed.index.current() == result.index == progress.index
    history = [event async for event in handle.fetch_history_events()]
    made = [event for event in history if event.HasField("activity_task_scheduled_event_attributes")]
    assert sum(event.activity_task_scheduled_event_attributes.activity_type.name == "make_index" for event in made) == 1
    until_same(feed)


async def test_a_worker_killed_inside_a_chunk_is_taken_over_at_its_last_heartbeat(
    engine: Testbed, feed: Feed, shop: list[Product], temporal_client: Client
) -> None:
    handle = await _start(temporal_client, chunk=5000)
    place = await _until_first_heartbeat(handle)
    engine.kill("order-worker")
    index = str((await _progress(handle)).index)
    written = await _settled_writes(feed, index)
    engine.start("order-worker")
    result: Reindexed = await handle.result()
    # Both what came before the kill and what came after are counted, so what was done twice shows.
    assert 0 < place <= written < result.documents
    assert _writes(feed, index) <= written + result.documents - place
    until_same(feed)


async def _until_first_heartbeat(handle: Handle) -> int:
    """How many things the activity that fills had written when it said so."""
    deadline = time.monotonic() + 120
    while True:
        described = await handle.describe()
        for pending in described.raw_description.pending_activities:
            if pending.activity_type.name == "fill_index" and pending.heartbeat_details.payloads:
                _, done = await described.data_converter.decode(pending.heartbeat_details.payloads)
                return int(done)
        assert time.monotonic() < deadline


def _writes(feed: Feed, index: str) -> int:
    stats = feed.index._client.indices.stats(index=index, metric="indexing")
    return int(stats["_all"]["primaries"]["indexing"]["index_total"])


async def _settled_writes(feed: Feed, index: str) -> int:
    """How many documents were written, once what the killed worker had sent is done."""
    before = -1
    while before != (now := _writes(feed, index)):
        before = now
        await asyncio.sleep(0.5)
    return now


async def test_who_looks_into_the_web_ui_sees_how_far_it_is(
    engine: Testbed, shop: list[Product], temporal_client: Client
) -> None:
    handle = await _start(temporal_client, chunk=50)
    await _until_filling(handle, 500)
    filling = await _details(handle)
    result: Reindexed = await handle.result()
    said = re.fullmatch(
        r"\*\*products: filling\*\*\n\n([\d,]+) of ([\d,]+) written \((\d+) %\), ([\d,]+) a second, into `(.+)`",
        filling,
    )
    assert said, filling
    done, total, share, rate = (int(said[group].replace(",", "")) for group in range(1, 5))
    assert 500 <= done < total
    assert (share, said[5]) == (100 * done // total, result.index)
    assert rate > 0
    ended = await _details(handle)
    assert ended.startswith(f"**products: done**\n\n{result.documents:,} of {result.documents:,} written (100 %)")
    assert ended.endswith(f"into `{result.index}`")


async def _details(handle: Handle) -> str:
    metadata = await handle.query("__temporal_workflow_metadata", result_type=WorkflowMetadata)
    return str(metadata.current_details)


async def test_a_cancelled_reindex_leaves_everything_as_it_was(
    feed: Feed, connections: Connections, shop: list[Product], temporal_client: Client
) -> None:
    before = feed.index.current()
    handle = await _start(temporal_client, chunk=25)
    progress = await _until_filling(handle, 100)
    await handle.cancel()
    with pytest.raises(WorkflowFailureError):
        await handle.result()
    assert feed.index.current() == before
    with pytest.raises(NotFoundError):
        connections.elasticsearch.indices.get(index=str(progress.index))
    assert feed.index.targets() == [before]
    assert (await _progress(handle)).phase == "removed"


async def test_an_index_that_takes_not_everything_is_removed(
    feed: Feed, connections: Connections, shop: list[Product], temporal_client: Client
) -> None:
    before = feed.index.current()
    handle = await _start(temporal_client, chunk=25)
    progress = await _until_filling(handle, 100)
    # From now on the half-made index takes no more documents.
    connections.elasticsearch.indices.put_settings(index=str(progress.index), settings={"index.blocks.write": True})
    with pytest.raises(WorkflowFailureError):
        await handle.result()
    connections.elasticsearch.indices.get(index=str(before))
    assert (feed.index.current(), feed.index.targets()) == (before, [before])


async def test_orders_are_reindexed_by_the_same_workflow(
    connections: Connections, temporal_client: Client, engine: Testbed
) -> None:
    orders = order_feed(connections.engine, connections.elasticsearch, connections.settings.name_prefix)
    before = orders.index.current()
    result: Reindexed = await (await _start(temporal_client, 1000, "orders")).result()
    assert orders.index.current() == result.index != before


def test_the_command_reindexes_with_temporal_and_without(engine: Testbed, feed: Feed, shop: list[Product]) -> None:
    before = feed.index.current()
    said = engine.run([ADMIN, "reindex"])
    assert f"{feed.index.current()}, which searches use now" in said
    between = feed.index.current()
    assert between != before
    said = engine.run([ADMIN, "reindex", "--here"])
    assert feed.index.current() not in (before, between)
    until_same(feed)


def test_what_is_missing_is_made_at_set_up_and_what_is_left_over_is_shown(
    engine: Testbed, feed: Feed, connections: Connections, shop: list[Product]
) -> None:
    old = f"{feed.index.alias.rpartition('-v')[0]}-v1-20260101"
    with suppress(NotFoundError):
        connections.elasticsearch.indices.delete(index=old)
    connections.elasticsearch.indices.create(index=old)
    said = engine.run([ADMIN, "setup"])
    assert f"{feed.index.current()} is there" in said
    assert old in said
    engine.run([ADMIN, "reindex"])
    assert connections.elasticsearch.indices.exists(index=old)  # the release before may be asking it
    assert old in engine.run([ADMIN, "drop-outdated"])
    assert not connections.elasticsearch.indices.exists(index=old)
    assert old not in engine.run([ADMIN, "drop-outdated"])
    until_same(feed)
