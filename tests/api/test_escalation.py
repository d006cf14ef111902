"""A call stays unanswered past the limit: search attribute, list and metric show it, and all clear once it is not."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta

import httpx2
import pytest
import pytest_asyncio
from prometheus_client.parser import text_string_to_metric_families
from temporalio.client import Client

from adapters.connections import Connections
from dev.testbed import Testbed
from schemas.checkout import CheckoutOutcome
from tests.fixture_types import Headers, Json, MakeProduct
from tests.workflows.orders import Order, place_order
from tests.workflows.time_skipping import skip, time_skipping
from tests.workflows.waiting import search_attributes, until

CODE = "provider_unanswered"


@pytest_asyncio.fixture(loop_scope="session")
async def skipping(connections: Connections) -> AsyncIterator[Client]:
    async with time_skipping(connections) as client:
        yield client


@pytest.fixture
def simulator(bed: Testbed) -> Iterator[str]:
    """The provider answers nothing, and its webhooks get lost: they would reach an API that knows another Temporal."""
    control = f"{bed.url('PAYMENT_SIMULATOR_PORT')}/_control"
    httpx2.put(f"{control}/webhooks", json={"copies": 0}).raise_for_status()
    httpx2.post(f"{control}/faults", json={"kind": "fail_before", "times": 1_000_000}).raise_for_status()
    yield control
    for what in ("faults", "webhooks"):
        httpx2.delete(f"{control}/{what}").raise_for_status()


class Shown:
    """What staff and Prometheus see of an order."""

    def __init__(self, api: httpx2.Client, staff: Headers, order: Order) -> None:
        self._api, self._staff, self._order = api, staff, order

    def tasks(self, **query: bool) -> list[Json]:
        params = {"number": self._order.view().number, **query}
        (found,) = self._api.get("/v1/ops/orders", params=params, headers=self._staff).json()["items"] or [{}]
        return list(found.get("operator_tasks", []))

    def counted(self) -> float:
        families = text_string_to_metric_families(self._api.get("/metrics").text)
        samples = [sample for family in families for sample in family.samples if sample.name == "orders_needs_operator"]
        return next(sample.value for sample in samples if sample.labels["code"] == CODE)


async def test_a_call_that_is_not_answered_is_escalated_and_cleared_once_it_is(
    *,
    api: httpx2.Client,
    staff: Headers,
    connections: Connections,
    make_product: MakeProduct,
    skipping: Client,
    simulator: str,
) -> None:
    order = await place_order(skipping, connections, {make_product(stock=5): 1})
    await until(order.recorded)
    shown = Shown(api, staff, order)
    await skip(skipping, timedelta(minutes=10))
    before = shown.counted()
    assert shown.tasks() == []
    assert "NeedsOperator" not in await search_attributes(order.payment)

    await skip(skipping, timedelta(minutes=10))
    await until(lambda: shown.tasks(needs_operator=True))
    (task,) = await asyncio.to_thread(shown.tasks)
    assert (task["code"], task["workflow_id"], task["route"]) == (CODE, order.payment.id, None)
    assert task["text"].startswith("authorize the amount: the provider does not answer since")
    attributes = await search_attributes(order.payment)
    assert attributes["NeedsOperator"] == [CODE]
    assert str(attributes["StuckSince"])[:19] == task["since"][:19]
    assert shown.counted() == before + 1

    httpx2.delete(f"{simulator}/faults").raise_for_status()
    assert (await order.first_answer()).outcome is CheckoutOutcome.AUTHORIZED
    await until(lambda: not shown.tasks())
    assert shown.tasks(needs_operator=True) == []
    assert not {"NeedsOperator", "StuckSince"} & (await search_attributes(order.payment)).keys()
    assert shown.counted() == before
    await order.delivered()
