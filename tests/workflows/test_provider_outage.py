"""The payment provider is away for ten minutes: every order that needs it meanwhile ends as it would have."""

import asyncio
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import httpx2
import pytest
from temporalio.api.sdk.v1 import WorkflowMetadata
from temporalio.client import WorkflowHandle

from dev.testbed import Testbed
from domain.fulfilment import ParcelStatus
from domain.orders import OrderStatus, PaymentStatus
from schemas.checkout import CheckoutOutcome
from schemas.orders import CancelOrder
from tests.workflows.conftest import Order, skip
from workflows.names import payment_workflow_id
from workflows.orders.checkout import CheckoutWorkflow

AWAY = timedelta(minutes=10)
Journal = Callable[[str], list[dict[str, Any]]]


@pytest.fixture
def provider_away(bed: Testbed) -> Iterator[Callable[[], int]]:
    """No request gets through the provider's door until `back` is called, which says how many were turned away."""
    address = f"{bed.url('PAYMENT_SIMULATOR_PORT')}/_control/faults"
    armed = httpx2.post(address, json={"kind": "fail_before", "times": 1_000_000}).raise_for_status().json()["id"]

    def back() -> int:
        hits: int = next(one["hits"] for one in httpx2.get(address).json() if one["id"] == armed)
        httpx2.delete(address).raise_for_status()
        return hits

    yield back
    httpx2.delete(address).raise_for_status()


@pytest.fixture
async def on_its_way(place: Any, make_product: Any) -> Order:
    """An order whose money is held; asked for before the provider goes away."""
    order: Order = await place({make_product(stock=5): 1})
    assert (await order.first_answer()).outcome is CheckoutOutcome.AUTHORIZED
    return order


async def test_orders_wait_for_it_and_are_paid_once(
    on_its_way: Order,
    provider_away: Callable[[], int],
    place: Any,
    make_product: Any,
    skipping: Any,
    provider_journal: Journal,
) -> None:
    sku = make_product(stock=20)
    waiting = [await place({sku: 1}) for _ in range(3)]
    declined = await place({sku: 1}, payment_method="pm_card_chargeDeclined")
    regretted = await place({sku: 1})
    await on_its_way.carrier(ParcelStatus.DISPATCHED)
    for order in (*waiting, declined, regretted):
        while not order.recorded():
            await asyncio.sleep(0.02)
    cancel = CancelOrder(actor="customer:test", reason="takes too long")
    cancelling = asyncio.create_task(regretted.handle.execute_update(CheckoutWorkflow.cancel, cancel))

    await skip(skipping, AWAY, timedelta(seconds=120))
    assert all(order.view().status is OrderStatus.PENDING for order in (*waiting, declined))
    assert not any(provider_journal(order.input.order_id) for order in (*waiting, declined, regretted))
    assert on_its_way.view().payment_status is PaymentStatus.AUTHORIZED
    assert provider_away() >= 5 * 10  # each asked again at least every minute
    # Now, because waiting for any result lets the days pass in which a parcel nobody hears of is given up.
    await on_its_way.carrier(ParcelStatus.DELIVERED)

    for order in waiting:
        await order.first_answer()
        assert (await order.delivered()).payment_status is PaymentStatus.CAPTURED
        assert [one["effect"] for one in provider_journal(order.input.order_id)] == ["authorization", "capture"]
    assert (await declined.handle.result()).reason == "payment_declined"
    assert (await cancelling).status is OrderStatus.CANCELLED
    effects = [one["effect"] for one in provider_journal(regretted.input.order_id)]
    assert effects in ([], ["authorization", "void"])
    assert (await on_its_way.handle.result()).status is OrderStatus.DELIVERED
    assert [one["effect"] for one in provider_journal(on_its_way.input.order_id)] == ["authorization", "capture"]


async def test_an_order_placed_while_our_key_is_turned_away_ends_right_once_it_is_mended(
    place: Any, make_product: Any, provider_fault: Any, provider_journal: Journal
) -> None:
    struck = [provider_fault("401", operation, times=3) for operation in ("create", "capture")]
    order = await place({make_product(stock=5): 1})
    assert (await order.first_answer()).outcome is CheckoutOutcome.AUTHORIZED
    view = await order.delivered()
    assert (view.status, view.payment_status) == (OrderStatus.DELIVERED, PaymentStatus.CAPTURED)
    assert [one["effect"] for one in provider_journal(view.id)] == ["authorization", "capture"]
    assert all(one() for one in struck)


async def test_an_operator_is_called_once_and_the_order_goes_on_by_itself(
    provider_away: Callable[[], int],
    place: Any,
    make_product: Any,
    skipping: Any,
    provider_journal: Journal,
    caplog: pytest.LogCaptureFixture,
) -> None:
    order = await place({make_product(stock=5): 1})
    while not order.recorded():
        await asyncio.sleep(0.02)
    payment = order.client.get_workflow_handle(payment_workflow_id(order.input.order_id))
    await skip(skipping, AWAY, timedelta(seconds=120))
    assert "owed" not in await details(payment)

    await skip(skipping, timedelta(hours=2, minutes=20), timedelta(seconds=240))
    owed = await details(payment)
    assert "**owed:** hold the amount: the provider does not answer since" in owed
    calls = [one for one in caplog.records if "somebody must look" in one.message]
    assert [one.levelname for one in calls] == ["ERROR"]
    assert provider_away() > 0

    assert (await order.first_answer()).outcome is CheckoutOutcome.AUTHORIZED
    assert "owed" not in await details(payment)
    assert "hold the amount: answered at last" in await details(payment)
    assert (await order.delivered()).payment_status is PaymentStatus.CAPTURED
    assert [one["effect"] for one in provider_journal(order.input.order_id)] == ["authorization", "capture"]


async def details(handle: WorkflowHandle[Any, Any]) -> str:
    """What an operator reads in the Web UI."""
    told = await handle.query("__temporal_workflow_metadata", result_type=WorkflowMetadata)
    return str(told.current_details)
