"""What orders reserve while they run, wait for, and lose when no workflow is left to run them."""

import asyncio
import uuid
from datetime import UTC, datetime, timedelta
from typing import Protocol

import pytest
import sqlalchemy as sa
from temporalio.client import Client, WorkflowExecutionStatus

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
from schemas.order_requests import CancelOrder
from schemas.stock import SetStockRules
from schemas.stock_upkeep import ReservationsExpired
from temporal_clients.orders import RunningOrders
from tests.adapters.test_stock import order_of
from tests.fixture_types import MakeProduct
from tests.replay.test_replay import MOST_EVENTS
from tests.workflows.orders import MOVED_BY_HAND, Place
from tests.workflows.time_skipping import skip
from tests.workflows.waiting import current_details, until, until_async, until_details
from workflows.names import FULFILMENT_QUEUE, ORDERS_QUEUE, fulfilment_workflow_id
from workflows.orders.checkout import CheckoutWorkflow
from workflows.orders.stock_upkeep import ReservationExpiryWorkflow, StockReconciliationWorkflow
from workflows.parcels.fulfilment import FulfilmentWorkflow

DISPATCHED, DELIVERED = ParcelStatus.DISPATCHED, ParcelStatus.DELIVERED
CANCEL = CancelOrder(actor="customer:test", reason="changed my mind")


class LateProduct(Protocol):
    """A SKU that may be sold beyond what is in stock."""

    def __call__(self, stock: int = 0) -> str: ...


class Deliver(Protocol):
    """Goods arrive; the parcels they complete are signalled as the API does it, unless the message gets lost."""

    async def __call__(self, sku: str, units: int, *, signal: bool = True) -> None: ...


@pytest.fixture
def late_product(make_product: MakeProduct, connections: Connections) -> LateProduct:
    def make(stock: int = 0) -> str:
        sku = make_product(stock=stock)
        Stock(connections.engine).set_rules(sku, SetStockRules(backorderable=True))
        return sku

    return make


@pytest.fixture
def deliver(connections: Connections, skipping: Client) -> Deliver:
    async def deliver(sku: str, units: int, *, signal: bool = True) -> None:
        arrived = await asyncio.to_thread(
            Stock(connections.engine).receive, [(sku, "BER", units)], "staff:test", "delivery"
        )
        if signal:
            await RunningOrders(skipping).signal_allocations(arrived)

    return deliver


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


# --- the reservation lasts as long as the order


async def test_a_running_order_extends_its_reservation(
    place: Place, make_product: MakeProduct, skipping: Client, connections: Connections
) -> None:
    order = await place({make_product(stock=5): 1})
    await order.first_answer()
    await order.until(OrderStatus.PROCESSING)
    make_overdue(connections, order.id)
    await skip(skipping, timedelta(hours=37))
    await until(lambda: expires_at(connections, order.id) > datetime.now(UTC) + timedelta(hours=47))
    await order.carrier_event(DISPATCHED)
    await order.carrier_event(DELIVERED)
    assert (await order.handle.result()).status is OrderStatus.DELIVERED


async def test_a_finished_order_leaves_no_timer_and_a_short_history(place: Place, make_product: MakeProduct) -> None:
    order = await place({make_product(stock=5): 1})
    await order.first_answer()
    await order.carrier_event(DISPATCHED)
    await order.carrier_event(DELIVERED)
    await order.handle.result()
    names = [event.WhichOneof("attributes") for event in (await order.handle.fetch_history()).events]
    assert names.count("timer_started_event_attributes") == names.count("timer_canceled_event_attributes") == 1
    assert len(names) <= MOST_EVENTS


async def test_an_overdue_reservation_of_a_running_order_is_left_and_named(
    place: Place, make_product: MakeProduct, skipping: Client, connections: Connections
) -> None:
    order = await place({make_product(stock=5): 2})
    await order.first_answer()
    make_overdue(connections, order.id)
    done = await look_for_overdue(skipping)
    assert order.id in done.running
    assert order.reserved() == 2
    await order.carrier_event(DISPATCHED)
    await order.carrier_event(DELIVERED)
    await order.handle.result()


async def test_an_overdue_reservation_of_a_lost_order_is_released(
    make_product: MakeProduct, skipping: Client, connections: Connections
) -> None:
    sku, orders = make_product(stock=5), OrderStore(connections.engine)
    order_id = orders.place(order_of({sku: 2})).order_id  # it has no workflow
    make_overdue(connections, order_id)
    done = await look_for_overdue(skipping)
    assert done.released >= 1
    assert order_id not in done.running
    (level,) = Stock(connections.engine).levels(sku)
    assert (level.reserved, level.available) == (0, 5)
    event = orders.history(order_id).items[-1]
    assert (event.type, event.actor, event.data["units"]) == ("order.reservation_expired", "system", 2)


async def test_a_parcel_that_still_runs_keeps_the_reservation_of_its_lost_order(
    make_product: MakeProduct, skipping: Client, connections: Connections
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
    await parcel.signal(FulfilmentWorkflow.cancel)
    await parcel.result()
    await look_for_overdue(skipping)
    assert Stock(connections.engine).levels(sku)[0].reserved == 0


async def look_for_overdue(client: Client) -> ReservationsExpired:
    """What one run answers, read from its history: to wait for a result would let time pass for others."""
    handle = await client.start_workflow(
        ReservationExpiryWorkflow.run, id=f"expiry-{uuid.uuid4()}", task_queue=ORDERS_QUEUE
    )

    async def closed() -> bool:
        return (await handle.describe()).status is not WorkflowExecutionStatus.RUNNING

    await until_async(closed)
    end = (await handle.fetch_history()).events[-1].workflow_execution_completed_event_attributes
    (found,) = await client.data_converter.decode(end.result.payloads, [ReservationsExpired])
    assert isinstance(found, ReservationsExpired)
    return found


# --- waiting for goods


async def test_a_parcel_waits_for_its_goods_and_leaves_when_they_arrive(
    place: Place, late_product: LateProduct, deliver: Deliver
) -> None:
    sku = late_product()
    order = await place({sku: 2})
    answer = await order.first_answer()
    assert answer.outcome is CheckoutOutcome.AUTHORIZED
    await order.until(OrderStatus.CONFIRMED)
    await until_details(order.parcel(), "waits for 2 backordered unit(s)")
    await deliver(sku, 1)
    await deliver(sku, 1)
    await until(lambda: "parcel.booked" in order.event_types())
    assert "backorder allocated" in await current_details(order.parcel())
    await order.carrier_event(DISPATCHED)
    await order.carrier_event(DELIVERED)
    assert (await order.handle.result()).status is OrderStatus.DELIVERED
    assert order.event_types().count("order.backorder_allocated") == 2
    assert order.money()[EntryKind.CAPTURE] == order.view().total.amount
    assert (order.reserved(), order.available()) == (0, 0)


async def test_what_is_in_stock_leaves_at_once_and_is_captured_for_itself(
    place: Place, late_product: LateProduct, deliver: Deliver
) -> None:
    sku = late_product(stock=3)
    order = await place({sku: 5})
    await order.first_answer()
    assert [[line.quantity for line in parcel.lines] for parcel in order.view().parcels] == [[3], [2]]
    await order.carrier_event(DISPATCHED, 1)
    await order.carrier_event(DELIVERED, 1)
    await until(lambda: order.event_types().count("payment.captured") == 1)
    captured = order.money()[EntryKind.CAPTURE]
    assert 0 < captured < order.view().total.amount
    await deliver(sku, 2)
    await order.carrier_event(DISPATCHED, 2)
    await order.carrier_event(DELIVERED, 2)
    assert (await order.handle.result()).status is OrderStatus.DELIVERED
    assert order.money()[EntryKind.CAPTURE] == order.view().total.amount


async def test_what_is_waited_for_can_be_cancelled_after_the_rest_has_left(
    place: Place, late_product: LateProduct
) -> None:
    order = await place({late_product(stock=3): 5})
    await order.first_answer()
    await order.carrier_event(DISPATCHED, 1)
    await order.carrier_event(DELIVERED, 1)
    await until(lambda: order.event_types().count("payment.captured") == 1)
    captured = order.money()[EntryKind.CAPTURE]
    answer = await order.handle.execute_update(CheckoutWorkflow.cancel, CANCEL)
    assert (answer.dispatched, answer.cancelled) == ([1], [2])
    assert (await order.handle.result()).status is OrderStatus.DELIVERED
    money = order.money()
    assert 0 < money[EntryKind.CAPTURE] == captured
    assert captured + money[EntryKind.VOID] == order.view().total.amount
    assert order.reserved() == 0


async def test_a_lost_message_delays_the_parcel_but_does_not_strand_it(
    place: Place, late_product: LateProduct, deliver: Deliver, skipping: Client
) -> None:
    sku = late_product()
    order = await place({sku: 1})
    await order.first_answer()
    await until(lambda: order.view().status is OrderStatus.CONFIRMED)
    await deliver(sku, 1, signal=False)
    await skip(skipping, timedelta(hours=2))
    await until(lambda: "parcel.booked" in order.event_types())
    await order.carrier_event(DISPATCHED)
    await order.carrier_event(DELIVERED)
    assert (await order.handle.result()).status is OrderStatus.DELIVERED


async def test_an_order_that_waits_for_goods_can_be_cancelled(
    place: Place, late_product: LateProduct, deliver: Deliver
) -> None:
    sku = late_product(stock=1)
    order = await place({sku: 3})
    await order.first_answer()
    await until(lambda: "parcel.booked" in order.event_types())
    assert await order.cancel(CANCEL) is OrderStatus.CANCELLED
    await order.handle.result()
    assert order.event_types().count("parcel.cancelled") == 2
    assert (order.reserved(), order.available()) == (0, 1)
    money = order.money()
    assert money[EntryKind.VOID] == money[EntryKind.AUTHORIZATION]
    await deliver(sku, 5)
    assert order.available() == 6


async def test_the_units_of_a_cancelled_order_go_to_those_who_wait(
    place: Place, late_product: LateProduct, deliver: Deliver
) -> None:
    sku = late_product()
    first = await place({sku: 2})
    await first.first_answer()
    second = await place({sku: 1})
    await second.first_answer()
    await deliver(sku, 1)
    assert first.reserved() == 1
    await first.cancel(CANCEL)
    await until(lambda: "parcel.booked" in second.event_types())
    await second.carrier_event(DISPATCHED)
    await second.carrier_event(DELIVERED)
    assert (await second.handle.result()).status is OrderStatus.DELIVERED


async def test_a_message_before_the_goods_is_not_believed(
    place: Place, late_product: LateProduct, deliver: Deliver
) -> None:
    sku = late_product()
    order = await place({sku: 2})
    await order.first_answer()
    await until(lambda: order.view().status is OrderStatus.CONFIRMED)
    parcel = order.parcel()
    await until_details(parcel, "waits for 2")
    await parcel.signal(FulfilmentWorkflow.stock_allocated)
    await deliver(sku, 1)
    await parcel.signal(FulfilmentWorkflow.stock_allocated)
    await until_details(parcel, "waits for 1")
    assert "parcel.booked" not in order.event_types()
    await order.cancel(CANCEL)
    assert (await order.handle.result()).status is OrderStatus.CANCELLED


# --- the scheduled reconciliation


async def test_the_reconciliation_records_what_it_finds(
    make_product: MakeProduct, skipping: Client, connections: Connections, caplog: pytest.LogCaptureFixture
) -> None:
    sku = make_product(stock=5)
    this = stock.c.sku == sku

    def falsify(units: int) -> None:
        with connections.engine.begin() as connection:
            connection.execute(sa.update(stock).where(this).values(on_hand=stock.c.on_hand + units))

    falsify(1)
    found = await skipping.execute_workflow(
        StockReconciliationWorkflow.run, id=f"reconciliation-{sku}", task_queue=ORDERS_QUEUE
    )
    newest = StockReconciliations(connections.engine).page(None, 1).items[0]
    falsify(-1)
    assert found.differences_found == newest.differences_found >= 1
    (difference,) = [one for one in newest.differences if one.sku == sku]
    assert (difference.on_hand.balance, difference.on_hand.ledger) == (6, 5)
    errors = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert [sku in message for message in errors if "stock ledger, balances and reservations disagree" in message] == [
        True
    ]
    again = await skipping.execute_workflow(
        StockReconciliationWorkflow.run, id=f"reconciliation-again-{sku}", task_queue=ORDERS_QUEUE
    )
    assert again.levels_checked >= 1
    assert sku not in {one.sku for one in StockReconciliations(connections.engine).page(None, 1).items[0].differences}
