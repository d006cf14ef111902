"""A worker in the middle of a call to the payment provider: one that lives is waited for, one that is dead is not."""

import asyncio
from collections.abc import Callable

import httpx2
import pytest
from temporalio.api.enums.v1 import TimeoutType
from temporalio.api.history.v1 import ActivityTaskStartedEventAttributes

from dev.testbed import Testbed
from temporal_clients.connection import connect_temporal
from tests.e2e.conftest import Charges, Shopper
from tests.fixture_types import MakeProduct
from workflows.names import payment_workflow_id
from workflows.options import PROVIDER

SILENCE = PROVIDER["heartbeat_timeout"].total_seconds()
SlowProvider = Callable[[float], Callable[[], int]]


@pytest.fixture
def slow_provider(engine: Testbed) -> SlowProvider:
    """The provider takes so many seconds over its next authorization; answers how often it has."""
    address = f"{engine.url('PAYMENT_SIMULATOR_PORT')}/_control/faults"

    def slow(seconds: float) -> Callable[[], int]:
        fault = {"kind": "latency", "match": {"operation": "create"}, "times": 1, "seconds": seconds}
        armed = httpx2.post(address, json=fault).raise_for_status().json()["id"]
        return lambda: next(one["hits"] for one in httpx2.get(address).json() if one["id"] == armed)

    return slow


async def asked(hits: Callable[[], int]) -> None:
    async with asyncio.timeout(120):
        while not await asyncio.to_thread(hits):
            await asyncio.sleep(0.05)


async def attempts(engine: Testbed, order_id: str) -> list[ActivityTaskStartedEventAttributes]:
    """The attempts at which the calls to the provider have come to their end, and why those before them failed."""
    client = await connect_temporal(engine.settings)
    history = await client.get_workflow_handle(payment_workflow_id(order_id)).fetch_history()
    started = [event.activity_task_started_event_attributes for event in history.events]
    return [one for one in started if one.attempt]


async def the_order(shopper: Shopper) -> str:
    return str((await shopper.client.get("/v1/orders")).json()["items"][0]["id"])


async def test_a_slow_answer_is_waited_for(
    engine: Testbed, shopper: Shopper, make_product: MakeProduct, charges: Charges, slow_provider: SlowProvider
) -> None:
    version = await shopper.fill_cart(**{make_product(stock=5): 1})
    hits = slow_provider(SILENCE + 4)
    answer = await shopper.check_out(version)
    assert answer.status_code in (httpx2.codes.CREATED, httpx2.codes.ACCEPTED), answer.text
    order = await shopper.until(answer.json()["id"], "delivered")
    assert hits() == 1
    assert [effect for effect, _ in charges(order["id"])] == ["authorization", "capture"]
    assert {one.attempt for one in await attempts(engine, order["id"])} == {1}, "nobody took the worker for dead"


async def test_a_dead_worker_is_noticed_by_its_silence(
    engine: Testbed, shopper: Shopper, make_product: MakeProduct, charges: Charges, slow_provider: SlowProvider
) -> None:
    version = await shopper.fill_cart(**{make_product(stock=5): 1})
    # Ample to kill the worker meanwhile, and over before the next attempt, which else would meet its own key in use.
    hits = slow_provider(SILENCE / 2)
    checkout = asyncio.create_task(shopper.check_out(version))
    await asked(hits)
    engine.kill("order-worker")
    engine.start("order-worker")
    order = await shopper.until(await the_order(shopper), "delivered", 180)
    repeated = [one for one in await attempts(engine, order["id"]) if one.attempt > 1]
    ended_by = {one.last_failure.timeout_failure_info.timeout_type for one in repeated}
    assert TimeoutType.TIMEOUT_TYPE_HEARTBEAT in ended_by
    assert TimeoutType.TIMEOUT_TYPE_START_TO_CLOSE not in ended_by
    await checkout
    assert [effect for effect, _ in charges(order["id"])] == ["authorization", "capture"]
    assert 2 in {one.attempt for one in repeated}
