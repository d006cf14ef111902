"""The payment provider is away for ten minutes: every order that needs it meanwhile ends as it would have."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import TypeAlias

import httpx2
import pytest
from temporalio.client import Client, WorkflowUpdateStage

from dev.testbed import Testbed
from domain.fulfilment import ParcelStatus
from domain.orders import OrderStatus, PaymentStatus
from schemas.checkout import CheckoutOutcome
from schemas.order_requests import CancelOrder
from tests.fixture_types import MakeProduct
from tests.workflows.orders import Order, Place
from tests.workflows.provider import Journal, MakeFault, effects
from tests.workflows.time_skipping import skip
from tests.workflows.waiting import current_details, until
from workflows.orders.checkout import CheckoutWorkflow

AWAY = timedelta(minutes=10)


# The provider answers nothing until this is called, which says how many requests were refused meanwhile.
ProviderAway: TypeAlias = Callable[[], int]


@pytest.fixture
def provider_away(bed: Testbed) -> Iterator[ProviderAway]:
    address = f"{bed.url('PAYMENT_SIMULATOR_PORT')}/_control/faults"
    armed = httpx2.post(address, json={"kind": "fail_before", "times": 1_000_000}).raise_for_status().json()["id"]

    def back() -> int:
        hits: int = next(one["hits"] for one in httpx2.get(address).json() if one["id"] == armed)
        httpx2.delete(address).raise_for_status()
        return hits

    yield back
    httpx2.delete(address).raise_for_status()


@pytest.fixture
async def authorized(place: Place, make_product: MakeProduct) -> Order:
    """Requested before the provider goes away."""
    order = await place({make_product(stock=5): 1})
    assert (await order.first_answer()).outcome is CheckoutOutcome.AUTHORIZED
    return order


async def test_orders_wait_for_it_and_are_paid_once(
    authorized: Order,
    provider_away: ProviderAway,
    place: Place,
    make_product: MakeProduct,
    skipping: Client,
    provider_journal: Journal,
) -> None:
    sku = make_product(stock=20)
    waiting = [await place({sku: 1}) for _ in range(3)]
    declined = await place({sku: 1}, payment_method="pm_card_chargeDeclined")
    regretted = await place({sku: 1})
    await authorized.carrier_event(ParcelStatus.DISPATCHED)
    for order in (*waiting, declined, regretted):
        await until(order.recorded)
    cancel = CancelOrder(actor="customer:test", reason="takes too long")
    # Accepted before time passes: what a workflow is sent meanwhile may get lost.
    cancelling = await regretted.handle.start_update(
        CheckoutWorkflow.cancel, cancel, wait_for_stage=WorkflowUpdateStage.ACCEPTED
    )

    await skip(skipping, AWAY)
    assert all(order.view().status is OrderStatus.PENDING for order in (*waiting, declined))
    assert not any(provider_journal(order.id) for order in (*waiting, declined, regretted))
    assert authorized.view().payment_status is PaymentStatus.AUTHORIZED
    assert provider_away() >= 5 * 10  # each asked again at least every minute
    # Now, before more time passes, in which a parcel without events would count as lost.
    await authorized.carrier_event(ParcelStatus.DELIVERED)

    for order in waiting:
        await order.first_answer()
        assert (await order.delivered()).payment_status is PaymentStatus.CAPTURED
        assert effects(provider_journal, order.id) == ["authorization", "capture"]
    assert (await declined.handle.result()).reason == "payment_declined"
    assert (await cancelling.result()).status is OrderStatus.CANCELLED
    assert effects(provider_journal, regretted.id) in ([], ["authorization", "void"])
    assert (await authorized.handle.result()).status is OrderStatus.DELIVERED
    assert effects(provider_journal, authorized.id) == ["authorization", "capture"]


async def test_an_order_placed_while_our_key_is_refused_ends_right(
    place: Place, make_product: MakeProduct, provider_fault: MakeFault, provider_journal: Journal
) -> None:
    faults = [provider_fault("401", operation, times=3) for operation in ("create", "capture")]
    order = await place({make_product(stock=5): 1})
    assert (await order.first_answer()).outcome is CheckoutOutcome.AUTHORIZED
    view = await order.delivered()
    assert (view.status, view.payment_status) == (OrderStatus.DELIVERED, PaymentStatus.CAPTURED)
    assert effects(provider_journal, view.id) == ["authorization", "capture"]
    assert all(fault.struck() for fault in faults)


async def test_a_rejected_request_ends_an_order_whose_money_has_not_moved(
    place: Place, make_product: MakeProduct, provider_fault: MakeFault, provider_journal: Journal
) -> None:
    fault = provider_fault("400", "create")
    order = await place({make_product(stock=5): 1})
    result = await order.handle.result()
    assert fault.struck()
    assert (result.status, result.reason) == (OrderStatus.FAILED, "payment_declined")
    assert "order.compensation_blocked" not in order.event_types()
    assert (order.reserved(), effects(provider_journal, order.id)) == (0, [])


@pytest.mark.parametrize("kind", ["401", "403"])
async def test_an_hour_with_a_wrong_key_loses_no_order(
    kind: str,
    authorized: Order,
    place: Place,
    make_product: MakeProduct,
    provider_fault: MakeFault,
    skipping: Client,
    provider_journal: Journal,
) -> None:
    faults = [provider_fault(kind, operation, times=1_000_000) for operation in ("create", "capture")]
    sku = make_product(stock=20)
    waiting = [await place({sku: 1}) for _ in range(3)]
    for order in waiting:
        await until(order.recorded)
    await authorized.carrier_event(ParcelStatus.DISPATCHED)
    await skip(skipping, timedelta(hours=1))
    assert all(order.view().status is OrderStatus.PENDING for order in waiting)
    assert all(fault.hits() for fault in faults)
    assert "needs operator" in await current_details(waiting[0].payment)
    faults[0].end()
    await authorized.carrier_event(ParcelStatus.DELIVERED)
    for order in waiting:
        await order.first_answer()
        assert "needs operator" not in await current_details(order.payment)
        assert (await order.delivered()).payment_status is PaymentStatus.CAPTURED
        assert effects(provider_journal, order.id) == ["authorization", "capture"]
    assert (await authorized.handle.result()).status is OrderStatus.DELIVERED
    assert effects(provider_journal, authorized.id) == ["authorization", "capture"]


async def test_an_operator_is_called_once_and_the_order_goes_on_by_itself(
    provider_away: ProviderAway,
    place: Place,
    make_product: MakeProduct,
    skipping: Client,
    provider_journal: Journal,
    caplog: pytest.LogCaptureFixture,
) -> None:
    order = await place({make_product(stock=5): 1})
    await until(order.recorded)
    payment = order.payment
    await skip(skipping, AWAY)
    assert "needs operator" not in await current_details(payment)

    await skip(skipping, timedelta(hours=2, minutes=20))
    details = await current_details(payment)
    assert "**needs operator:** authorize the amount: the provider does not answer since" in details
    calls = [one for one in caplog.records if "needs operator" in one.message]
    assert [one.levelname for one in calls] == ["ERROR"]
    assert provider_away() > 0

    assert (await order.first_answer()).outcome is CheckoutOutcome.AUTHORIZED
    assert "needs operator" not in await current_details(payment)
    assert "authorize the amount: answered" in await current_details(payment)
    assert (await order.delivered()).payment_status is PaymentStatus.CAPTURED
    assert effects(provider_journal, order.id) == ["authorization", "capture"]
