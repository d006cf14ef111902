"""A dispute's hold and a payment that is awaited, at once: neither ends the other."""

import asyncio

import pytest
from temporalio.client import Client, WorkflowUpdateHandle

from adapters.connections import Connections
from adapters.mysql.orders.orders import OrderStore
from domain.events import EventType
from domain.orders import OrderStatus
from schemas.address_changes import AddressAnswer
from schemas.disputes import DisputeUpdated
from schemas.orders import RecordStatus, StatusRecorded
from tests.fixture_types import MakeProduct
from tests.workflows.addresses import Basket, begin_to_move, order_from_denmark
from tests.workflows.orders import Order, Place
from tests.workflows.provider import Authenticate
from tests.workflows.waiting import until, until_async
from workflows.names import DISPUTE_UPDATED

SECURE_CARD = "pm_card_threeDSecure2Required"
pytestmark = pytest.mark.usefixtures("rotterdam_asks")


@pytest.fixture
async def basket(place: Place, make_product: MakeProduct, connections: Connections, skipping: Client) -> Basket:
    return await order_from_denmark(place, make_product, connections, skipping)


async def dispute(order: Order, *, frozen: bool = True) -> None:
    """As its DisputeWorkflow does."""
    await order.handle.signal(DISPUTE_UPDATED, DisputeUpdated(dispute_id="dp_test", frozen=frozen))


async def was_put_on_hold(order: Order) -> bool:
    """Whether its last parcel has the signal: what the order records of it comes next."""
    events = (await order.parcel(2).fetch_history()).events
    return "hold" in [event.workflow_execution_signaled_event_attributes.signal_name for event in events]


async def ask_the_bank(basket: Basket) -> WorkflowUpdateHandle[AddressAnswer]:
    """The order awaits its payment, of what it costs more at another address."""
    moving = await begin_to_move(basket.order, "US", SECURE_CARD)
    await basket.order.until(OrderStatus.AWAITING_PAYMENT)
    return moving


async def test_it_is_on_hold_once_it_awaits_its_payment_no_more(basket: Basket, authenticate: Authenticate) -> None:
    order = basket.order
    moving = await ask_the_bank(basket)
    await dispute(order)
    await until(lambda: "order.on_hold" in order.event_types())
    view = order.view()
    assert (view.status, view.payment_action is None) == (OrderStatus.AWAITING_PAYMENT, False)
    authenticate(order.intent())
    await order.provider_event()
    assert await moving.result() == AddressAnswer()
    assert order.view().status is OrderStatus.ON_HOLD
    await dispute(order, frozen=False)
    await until(lambda: "order.released" in order.event_types())
    assert order.view().status is OrderStatus.PROCESSING
    await basket.deliver()
    assert order.view().status is OrderStatus.DELIVERED


async def test_it_is_on_hold_when_the_address_stays(basket: Basket, authenticate: Authenticate) -> None:
    order = basket.order
    moving = await ask_the_bank(basket)
    await dispute(order)
    await until(lambda: "order.on_hold" in order.event_types())
    authenticate(order.intent(), "failed")
    await order.provider_event("payment_intent.payment_failed")
    assert (await moving.result()).code == "payment_declined"
    assert order.view().status is OrderStatus.ON_HOLD


async def test_a_released_order_awaits_its_payment_still(basket: Basket, authenticate: Authenticate) -> None:
    order = basket.order
    await dispute(order)
    await order.until(OrderStatus.ON_HOLD)
    moving = await ask_the_bank(basket)
    await dispute(order, frozen=False)
    await until(lambda: "order.released" in order.event_types())
    assert order.view().status is OrderStatus.AWAITING_PAYMENT
    authenticate(order.intent())
    await order.provider_event()
    assert await moving.result() == AddressAnswer()
    assert order.view().status is OrderStatus.PROCESSING


async def test_the_hold_and_the_banks_answer_at_the_same_moment(
    basket: Basket, authenticate: Authenticate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The hold is recorded while it is being recorded that the order is paid: the hold comes after that, and stays."""
    order, record, held_up = basket.order, OrderStore.record_status, asyncio.Event()
    loop, disputed = asyncio.get_running_loop(), asyncio.Event()

    def slowly(store: OrderStore, command: RecordStatus) -> StatusRecorded:
        if command.order_id == order.id and command.event_type is EventType.ORDER_PAYMENT_RENEWED:
            loop.call_soon_threadsafe(held_up.set)
            asyncio.run_coroutine_threadsafe(disputed.wait(), loop).result(timeout=30)
        return record(store, command)

    moving = await ask_the_bank(basket)
    monkeypatch.setattr(OrderStore, "record_status", slowly)
    authenticate(order.intent())
    await order.provider_event()
    await held_up.wait()
    await dispute(order)
    await until_async(lambda: was_put_on_hold(order))
    disputed.set()
    assert await moving.result() == AddressAnswer()
    await order.until(OrderStatus.ON_HOLD)
    recorded = order.event_types()
    assert recorded.index(EventType.ORDER_PAYMENT_RENEWED) < recorded.index(EventType.ORDER_ON_HOLD)
