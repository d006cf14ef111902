"""A store of ours is away for 36 hours: every order ends right, and its history stays short."""

from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
import pytest_asyncio
from pydantic import SecretStr
from pymongo import MongoClient
from temporalio.client import Client, WorkflowUpdateStage

from adapters.connections import Connections, create_engine
from domain.fulfilment import ParcelStatus
from domain.orders import OrderStatus, PaymentStatus
from schemas.checkout import CheckoutOutcome
from schemas.order_requests import CancelOrder
from tests.fixture_types import MakeProduct
from tests.proxy import Wire
from tests.workflows.orders import Order, Place
from tests.workflows.provider import Journal, effects
from tests.workflows.time_skipping import skip, time_skipping
from tests.workflows.waiting import Handle, current_details, until_async, until_idle, until_started
from workflows.options import STORE_AWAY, STORE_IN_BACKGROUND
from workflows.orders.checkout import CheckoutWorkflow

AWAY, RETRIED_EVERY = timedelta(hours=36), timedelta(minutes=30)
DISPATCHED, DELIVERED = ParcelStatus.DISPATCHED, ParcelStatus.DELIVERED
MOST_EVENTS = 6 * 36 + 100  # six an hour, and what an order has that meets no outage
NEEDS_OPERATOR = "**needs operator:** {}: the store does not answer since"


@contextmanager
def wire_to(url: SecretStr) -> Iterator[tuple[Wire, SecretStr]]:
    parts = urlsplit(url.get_secret_value())
    assert parts.port is not None
    with Wire(parts.port) as wire:
        credentials, at, _ = parts.netloc.rpartition("@")
        yield wire, SecretStr(parts._replace(netloc=f"{credentials}{at}127.0.0.1:{wire.port}").geturl())


@pytest.fixture(scope="module")
def wires(connections: Connections) -> Iterator[dict[str, tuple[Wire, SecretStr]]]:
    settings = connections.settings
    with wire_to(settings.mysql_url) as mysql, wire_to(settings.mongo_url) as mongo:
        yield {"mysql": mysql, "mongo": mongo}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def skipping(connections: Connections, wires: dict[str, tuple[Wire, SecretStr]]) -> AsyncIterator[Client]:
    """The workers reach their stores by wires that can be cut; what a test itself reads, it reads past them."""
    urls = {store: url for store, (_, url) in wires.items()}
    with ExitStack() as stack:
        engine = create_engine(connections.settings.model_copy(update={"mysql_url": urls["mysql"]}), 64)
        stack.callback(engine.dispose)
        # Answered by nobody, an attempt costs as much real time as it has.
        mongo: MongoClient[dict[str, Any]] = MongoClient(
            urls["mongo"].get_secret_value(), tz_aware=True, serverSelectionTimeoutMS=20, timeoutMS=500
        )
        stack.callback(mongo.close)
        cut_off = replace(connections, engine=engine, mongo=mongo[connections.mongo.name])
        async with time_skipping(cut_off) as client:
            yield client


@pytest.fixture(autouse=True)
def retried_seldom(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server's retries write no history, however many there are; thousands of them would take minutes here."""
    for options in (STORE_AWAY, STORE_IN_BACKGROUND):
        policy = replace(options["retry_policy"], initial_interval=RETRIED_EVERY, maximum_interval=RETRIED_EVERY)
        monkeypatch.setitem(options, "retry_policy", policy)


@pytest.fixture
def mysql(wires: dict[str, tuple[Wire, SecretStr]]) -> Iterator[Wire]:
    yield wires["mysql"][0]
    wires["mysql"][0].mend()


@pytest.fixture
def mongo(wires: dict[str, tuple[Wire, SecretStr]]) -> Iterator[Wire]:
    yield wires["mongo"][0]
    wires["mongo"][0].mend()


async def until_away(handle: Handle, step: str) -> None:
    """The step has become a regular activity: its workflow task, in which it was retried until then, has ended."""

    async def regular() -> bool:
        events = (await handle.fetch_history()).events
        return step in [event.activity_task_scheduled_event_attributes.activity_type.name for event in events]

    await until_started(handle)
    await until_async(regular)


async def events_of(handle: Handle) -> int:
    return len((await handle.fetch_history()).events)


async def check_short(*orders: Order) -> None:
    for order in orders:
        for handle in (order.handle, order.payment, order.parcel()):
            assert await events_of(handle) < MOST_EVENTS


async def test_orders_go_on_where_they_were_when_mysql_is_back(
    place: Place, make_product: MakeProduct, skipping: Client, mysql: Wire, provider_journal: Journal
) -> None:
    sku = make_product(stock=5)
    under_way, regretted = await place({sku: 1}), await place({sku: 1}, payment_method="pm_card_authenticationRequired")
    assert (await under_way.first_answer()).outcome is CheckoutOutcome.AUTHORIZED
    assert (await regretted.first_answer()).outcome is CheckoutOutcome.ACTION_REQUIRED
    await under_way.until(OrderStatus.PROCESSING)
    await until_idle(under_way.parcel())

    mysql.cut()
    new = await place({sku: 1})
    await under_way.carrier_event(DISPATCHED)
    cancel = CancelOrder(actor="customer:test", reason="takes too long")
    cancelling = await regretted.handle.start_update(
        CheckoutWorkflow.cancel, cancel, wait_for_stage=WorkflowUpdateStage.ACCEPTED
    )
    await until_away(new.handle, "price_order")
    await until_away(under_way.parcel(), "record_parcel")
    await until_away(regretted.handle, "record_status")
    await skip(skipping, AWAY)
    assert NEEDS_OPERATOR.format("price 1 line(s)") in await current_details(new.handle)
    assert NEEDS_OPERATOR.format("dispatched") in await current_details(under_way.parcel())
    assert NEEDS_OPERATOR.format("cancelling") in await current_details(regretted.handle)

    mysql.mend()
    await skip(skipping, RETRIED_EVERY)
    assert (await cancelling.result()).status is OrderStatus.CANCELLED
    for order in (under_way, new):
        await order.first_answer()
        assert (await order.delivered()).payment_status is PaymentStatus.CAPTURED
        assert effects(provider_journal, order.id) == ["authorization", "capture"]
        assert "needs operator" not in await current_details(order.handle)
    assert effects(provider_journal, regretted.id) in ([], ["authorization", "void"])
    assert (under_way.reserved(), under_way.available()) == (0, 3)
    await check_short(under_way, new)
    assert await events_of(regretted.handle) < MOST_EVENTS


async def test_an_order_is_delivered_while_mongodb_is_away(
    place: Place, make_product: MakeProduct, skipping: Client, mongo: Wire, provider_journal: Journal
) -> None:
    mongo.cut()
    order = await place({make_product(stock=5): 1})
    assert (await order.first_answer()).outcome is CheckoutOutcome.AUTHORIZED
    await order.carrier_event(DISPATCHED)
    await order.carrier_event(DELIVERED)
    await order.until(OrderStatus.DELIVERED)
    await until_away(order.handle, "complete_cart")
    await skip(skipping, AWAY)
    assert NEEDS_OPERATOR.format("empty the cart") in await current_details(order.handle)

    mongo.mend()
    await skip(skipping, RETRIED_EVERY)
    assert (await order.handle.result()).status is OrderStatus.DELIVERED
    assert effects(provider_journal, order.id) == ["authorization", "capture"]
    assert "needs operator" not in await current_details(order.handle)
    await check_short(order)
