"""What orders hold while they live, wait for, and lose when nobody is at work on them any more."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio
import sqlalchemy as sa
from temporalio.api.sdk.v1 import WorkflowMetadata
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowUpdateFailedError

from adapters.connections import Connections
from adapters.mysql.clock import aware
from adapters.mysql.orders.orders import OrderStore
from adapters.mysql.orders.stock import Stock
from adapters.mysql.orders.stock_reconciliations import StockReconciliations
from adapters.mysql.tables.stock import reservations, stock
from domain.fulfilment import ParcelStatus
from domain.ledger import EntryKind
from domain.orders import OrderStatus
from schemas.checkout import CheckoutOutcome
from schemas.fulfilment import FulfilmentInput
from schemas.orders import CancelOrder
from schemas.stock import SetStockRules
from schemas.stock_upkeep import ReservationsExpired
from temporal_clients.orders import RunningOrders
from tests.adapters.test_stock import order_of
from tests.replay.test_replay import MOST_EVENTS
from tests.workflows.conftest import MOVED_BY_HAND, skip, time_skipping
from workflows.names import FULFILMENT_QUEUE, ORDERS_QUEUE, fulfilment_workflow_id
from workflows.orders.checkout import CheckoutWorkflow
from workflows.orders.fulfilment import FulfilmentWorkflow
from workflows.orders.stock_upkeep import ReservationExpiryWorkflow, StockReconciliationWorkflow

DISPATCHED, DELIVERED = ParcelStatus.DISPATCHED, ParcelStatus.DELIVERED
CANCEL = CancelOrder(actor="customer:test", reason="changed my mind")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def skipping(connections: Connections) -> AsyncIterator[Client]:
    """A server of its own, on which nothing has kept time from being skipped."""
    async with time_skipping(connections) as client:
        yield client


@pytest.fixture
def late_product(make_product: Any, connections: Connections) -> Callable[[int], str]:
    """A SKU that may be sold beyond what is there."""

    def make(stock: int = 0) -> str:
        sku: str = make_product(stock=stock)
        Stock(connections.engine).set_rules(sku, SetStockRules(backorderable=True))
        return sku

    return make


@pytest.fixture
def deliver(connections: Connections, skipping: Client) -> Any:
    """Goods arrive; the parcels they complete are told as the API tells them, unless the message gets lost."""

    async def deliver(sku: str, units: int, *, told: bool = True) -> None:
        arrived = await asyncio.to_thread(
            Stock(connections.engine).receive, [(sku, "BER", units)], "staff:test", "delivery"
        )
        if told:
            await RunningOrders(skipping).signal_allocations(arrived)

    return deliver


OPERATOR_AFTER = timedelta(seconds=90)


def expires_at(connections: Connections, order_id: str) -> datetime:
    query = sa.select(reservations.c.expires_at).where(reservations.c.order_id == order_id)
    with connections.engine.connect() as connection:
        return aware(connection.execute(query).scalar_one())


def make_overdue(connections: Connections, order_id: str) -> None:
    past = datetime.now(UTC) - timedelta(minutes=1)
    with connections.engine.begin() as connection:
        connection.execute(
            sa.update(reservations)
            .where(reservations.c.order_id == order_id)
            .values(expires_at=past.replace(tzinfo=None))
        )


async def details_of_parcel(order: Any, number: int) -> str:
    parcel = order.client.get_workflow_handle(fulfilment_workflow_id(order.input.order_id, number))
    told = await parcel.query("__temporal_workflow_metadata", result_type=WorkflowMetadata)
    return str(told.current_details)


async def until(look: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not await asyncio.to_thread(look):
            await asyncio.sleep(0.05)


# --- the reservation lives as long as the order


async def test_a_living_order_extends_its_reservation(
    place: Any, make_product: Any, skipping: Client, connections: Connections
) -> None:
    order = await place({make_product(stock=5): 1})
    await order.first_answer()
    await order.until(OrderStatus.PROCESSING)
    make_overdue(connections, order.input.order_id)
    await skip(skipping, timedelta(hours=37), OPERATOR_AFTER)
    await until(lambda: expires_at(connections, order.input.order_id) > datetime.now(UTC) + timedelta(hours=47))
    await order.carrier(DISPATCHED)
    await order.carrier(DELIVERED)
    assert (await order.handle.result()).status is OrderStatus.DELIVERED


async def test_a_finished_order_leaves_no_timer_and_a_short_history(place: Any, make_product: Any) -> None:
    order = await place({make_product(stock=5): 1})
    await order.first_answer()
    await order.carrier(DISPATCHED)
    await order.carrier(DELIVERED)
    await order.handle.result()
    names = [event.WhichOneof("attributes") for event in (await order.handle.fetch_history()).events]
    assert names.count("timer_started_event_attributes") == names.count("timer_canceled_event_attributes") == 1
    assert len(names) <= MOST_EVENTS


async def test_an_overdue_reservation_of_an_order_at_work_is_left_and_named(
    place: Any, make_product: Any, skipping: Client, connections: Connections
) -> None:
    order = await place({make_product(stock=5): 2})
    await order.first_answer()
    make_overdue(connections, order.input.order_id)
    done = await look_for_overdue(skipping)
    assert order.input.order_id in done.running
    assert order.reserved() == 2
    await order.carrier(DISPATCHED)
    await order.carrier(DELIVERED)
    await order.handle.result()


async def test_an_overdue_reservation_of_a_lost_order_is_given_back(
    make_product: Any, skipping: Client, connections: Connections
) -> None:
    sku, orders = make_product(stock=5), OrderStore(connections.engine)
    order_id = orders.place(order_of({sku: 2})).order_id  # its workflow was never heard of
    make_overdue(connections, order_id)
    done = await look_for_overdue(skipping)
    assert done.released >= 1
    assert order_id not in done.running
    (level,) = Stock(connections.engine).levels(sku)
    assert (level.reserved, level.available) == (0, 5)
    told = orders.history(order_id).items[-1]
    assert (told.type, told.actor, told.data["units"]) == ("order.reservation_expired", "system", 2)


async def test_a_parcel_that_is_still_at_work_keeps_the_reservation_of_its_lost_order(
    make_product: Any, skipping: Client, connections: Connections
) -> None:
    sku, orders = make_product(stock=5), OrderStore(connections.engine)
    command = order_of({sku: 2})
    placed = orders.place(command)
    address = command.order.shipping_address.model_copy(update={"postal_code": MOVED_BY_HAND})
    job = FulfilmentInput(
        order_id=placed.order_id,
        parcel=placed.parcels[0],
        parcels_in_order=1,
        address=address,
        shipping_method="standard",
    )
    parcel = await skipping.start_workflow(
        FulfilmentWorkflow.run, job, id=fulfilment_workflow_id(placed.order_id, 1), task_queue=FULFILMENT_QUEUE
    )
    make_overdue(connections, placed.order_id)
    assert placed.order_id in (await look_for_overdue(skipping)).running
    assert Stock(connections.engine).levels(sku)[0].reserved == 2
    await parcel.signal(FulfilmentWorkflow.call_back)
    await parcel.result()
    await look_for_overdue(skipping)
    assert Stock(connections.engine).levels(sku)[0].reserved == 0


async def look_for_overdue(client: Client) -> ReservationsExpired:
    """What one run answers, read from its history: to wait for a result would let the time of others run."""
    handle = await client.start_workflow(
        ReservationExpiryWorkflow.run, id=f"expiry-{uuid.uuid4()}", task_queue=ORDERS_QUEUE
    )
    async with asyncio.timeout(30):
        while (await handle.describe()).status is WorkflowExecutionStatus.RUNNING:
            await asyncio.sleep(0.05)
    end = (await handle.fetch_history()).events[-1].workflow_execution_completed_event_attributes
    (found,) = await client.data_converter.decode(end.result.payloads, [ReservationsExpired])
    assert isinstance(found, ReservationsExpired)
    return found


# --- waiting for goods


async def test_a_parcel_waits_for_its_goods_and_leaves_when_they_arrive(
    place: Any, late_product: Any, deliver: Any
) -> None:
    sku = late_product()
    order = await place({sku: 2})
    answer = await order.first_answer()
    assert answer.outcome is CheckoutOutcome.AUTHORIZED
    await order.until(OrderStatus.CONFIRMED)
    async with asyncio.timeout(20):
        while "waits for 2 backordered unit(s)" not in await details_of_parcel(order, 1):
            await asyncio.sleep(0.05)
    await deliver(sku, 1)
    await deliver(sku, 1)
    await until(lambda: "parcel.booked" in order.event_types())
    assert "the goods are complete" in await details_of_parcel(order, 1)
    await order.carrier(DISPATCHED)
    await order.carrier(DELIVERED)
    assert (await order.handle.result()).status is OrderStatus.DELIVERED
    assert order.event_types().count("order.backorder_allocated") == 2
    assert order.money()[EntryKind.CAPTURE] == order.view().total.amount
    assert (order.reserved(), order.available()) == (0, 0)


async def test_what_is_there_leaves_at_once_and_is_captured_for_itself(
    place: Any, late_product: Any, deliver: Any
) -> None:
    sku = late_product(stock=3)
    order = await place({sku: 5})
    await order.first_answer()
    assert [[line.quantity for line in parcel.lines] for parcel in order.view().parcels] == [[3], [2]]
    await order.carrier(DISPATCHED, 1)
    await order.carrier(DELIVERED, 1)
    await until(lambda: order.event_types().count("payment.captured") == 1)
    captured = order.money()[EntryKind.CAPTURE]
    assert 0 < captured < order.view().total.amount
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await order.handle.execute_update(CheckoutWorkflow.cancel, CANCEL)
    assert getattr(refused.value.cause, "type", None) == "too_late"
    await deliver(sku, 2)
    await order.carrier(DISPATCHED, 2)
    await order.carrier(DELIVERED, 2)
    assert (await order.handle.result()).status is OrderStatus.DELIVERED
    assert order.money()[EntryKind.CAPTURE] == order.view().total.amount


async def test_a_lost_message_delays_the_parcel_but_does_not_strand_it(
    place: Any, late_product: Any, deliver: Any, skipping: Client
) -> None:
    sku = late_product()
    order = await place({sku: 1})
    await order.first_answer()
    await until(lambda: order.view().status is OrderStatus.CONFIRMED)
    await deliver(sku, 1, told=False)
    await skip(skipping, timedelta(hours=2), OPERATOR_AFTER)
    await until(lambda: "parcel.booked" in order.event_types())
    await order.carrier(DISPATCHED)
    await order.carrier(DELIVERED)
    assert (await order.handle.result()).status is OrderStatus.DELIVERED


async def test_an_order_that_waits_for_goods_can_be_cancelled(place: Any, late_product: Any, deliver: Any) -> None:
    sku = late_product(stock=1)
    order = await place({sku: 3})
    await order.first_answer()
    await until(lambda: "parcel.booked" in order.event_types())
    result = await order.handle.execute_update(CheckoutWorkflow.cancel, CANCEL)
    assert result.status is OrderStatus.CANCELLED
    await order.handle.result()
    assert order.event_types().count("parcel.cancelled") == 2
    assert (order.reserved(), order.available()) == (0, 1)
    money = order.money()
    assert money[EntryKind.VOID] == money[EntryKind.AUTHORIZATION]
    await deliver(sku, 5)
    assert order.available() == 6


async def test_the_units_of_a_cancelled_order_wake_those_who_wait(place: Any, late_product: Any, deliver: Any) -> None:
    sku = late_product()
    first = await place({sku: 2})
    await first.first_answer()
    second = await place({sku: 1})
    await second.first_answer()
    await deliver(sku, 1)
    assert first.reserved() == 1
    await first.handle.execute_update(CheckoutWorkflow.cancel, CANCEL)
    await until(lambda: "parcel.booked" in second.event_types())
    await second.carrier(DISPATCHED)
    await second.carrier(DELIVERED)
    assert (await second.handle.result()).status is OrderStatus.DELIVERED


async def test_a_message_before_the_goods_is_not_believed(place: Any, late_product: Any, deliver: Any) -> None:
    sku = late_product()
    order = await place({sku: 2})
    await order.first_answer()
    await until(lambda: order.view().status is OrderStatus.CONFIRMED)
    parcel = order.client.get_workflow_handle(fulfilment_workflow_id(order.input.order_id, 1))
    async with asyncio.timeout(20):
        while "waits for 2" not in await details_of_parcel(order, 1):
            await asyncio.sleep(0.05)
    await parcel.signal(FulfilmentWorkflow.stock_allocated)
    await deliver(sku, 1)
    async with asyncio.timeout(20):
        await parcel.signal(FulfilmentWorkflow.stock_allocated)
        while "waits for 1" not in await details_of_parcel(order, 1):
            await asyncio.sleep(0.05)
    assert "parcel.booked" not in order.event_types()
    await order.handle.execute_update(CheckoutWorkflow.cancel, CANCEL)
    assert (await order.handle.result()).status is OrderStatus.CANCELLED


# --- the proof, by the clock


async def test_the_reconciliation_keeps_what_it_finds(
    make_product: Any, skipping: Client, connections: Connections, caplog: pytest.LogCaptureFixture
) -> None:
    sku = make_product(stock=5)
    this = stock.c.sku == sku

    def lie(units: int) -> None:
        with connections.engine.begin() as connection:
            connection.execute(sa.update(stock).where(this).values(on_hand=stock.c.on_hand + units))

    lie(1)
    found = await skipping.execute_workflow(
        StockReconciliationWorkflow.run, id=f"reconciliation-{sku}", task_queue=ORDERS_QUEUE
    )
    newest = StockReconciliations(connections.engine).page(None, 1).items[0]
    lie(-1)
    assert found.differences_found == newest.differences_found >= 1
    (difference,) = [one for one in newest.differences if one.sku == sku]
    assert (difference.on_hand.balance, difference.on_hand.ledger) == (6, 5)
    told = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert [sku in message for message in told if "books of stock disagree" in message] == [True]
    again = await skipping.execute_workflow(
        StockReconciliationWorkflow.run, id=f"reconciliation-again-{sku}", task_queue=ORDERS_QUEUE
    )
    assert again.levels_checked >= 1
    assert sku not in {one.sku for one in StockReconciliations(connections.engine).page(None, 1).items[0].differences}
