"""The watchdog lists what takes too long, and decides where a rule may. On the real server, as its orders are."""

import uuid
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
import sqlalchemy as sa
from temporalio.client import Client

from adapters.connections import Connections
from adapters.mysql.clock import naive
from adapters.mysql.orders.operator_tasks import OperatorTaskStore
from adapters.mysql.orders.promises import Promises
from adapters.mysql.orders.stock import Stock
from adapters.mysql.tables.orders import operator_tasks, parcels
from domain.errors import NotBackordered
from domain.fulfilment import ParcelStatus
from domain.ledger import EntryKind
from domain.orders import OrderStatus
from schemas.operator_tasks import OperatorTask, OperatorTaskCode, OperatorTaskView, RecordOperatorTasks
from schemas.order_requests import SettleCompensation
from schemas.parcels import ParcelView
from schemas.stock import SetStockRules
from schemas.watchdog import OrdersWatched
from tests.fixture_types import MakeProduct
from tests.workflows.lost_orders import age, check_money_and_stock
from tests.workflows.orders import Order, Place
from tests.workflows.provider import MakeFault
from tests.workflows.time_skipping import skip, time_skipping
from tests.workflows.waiting import current_details, until, until_called
from workflows.names import ORDERS_QUEUE
from workflows.orders.checkout import CheckoutWorkflow
from workflows.orders.watchdog import WatchdogWorkflow

Watch = Callable[[], Awaitable[OrdersWatched]]


@pytest.fixture
def watch(temporal_client: Client) -> Watch:
    async def run() -> OrdersWatched:
        return await temporal_client.execute_workflow(
            WatchdogWorkflow.run, id=f"watchdog-{uuid.uuid4()}", task_queue=ORDERS_QUEUE
        )

    return run


def tasks_of(order: Order, code: OperatorTaskCode) -> list[OperatorTaskView]:
    page = OperatorTaskStore(order.connections.engine).page(None, 1000, code)
    return [task for task in page.items if task.order_id == order.id]


def promise(order: Order, parcel: int, **promised: timedelta) -> None:
    """What was promised of it was so long ago."""
    moments = {name: naive(datetime.now(UTC) + ago) for name, ago in promised.items()}
    this = sa.and_(parcels.c.order_id == order.id, parcels.c.number == parcel)
    with order.connections.engine.begin() as connection:
        connection.execute(sa.update(parcels).where(this).values(moments))


def unanswered(order: Order, hours: float, **more: datetime) -> None:
    """Nobody has answered for so long."""
    values = {"since": naive(datetime.now(UTC) - timedelta(hours=hours)), **more}
    with order.connections.engine.begin() as connection:
        connection.execute(sa.update(operator_tasks).where(operator_tasks.c.order_id == order.id).values(values))


async def backordered(place: Place, make_product: MakeProduct, connections: Connections) -> tuple[Order, str]:
    """Two parcels: one has its goods, and two units of the other are on backorder."""
    there, late = make_product(stock=5, price=1000), make_product(stock=0, price=700)
    Stock(connections.engine).set_rules(late, SetStockRules(backorderable=True))
    order = await place({there: 1, late: 2})
    await order.first_answer()
    await until(lambda: "parcel.booked" in order.event_types())
    return order, late


def parcel_of(order: Order, number: int) -> ParcelView:
    return next(parcel for parcel in order.view().parcels if parcel.number == number)


async def test_a_confirmed_order_promises_when_its_parcels_ship(
    place_in_real_time: Place, make_product: MakeProduct, connections: Connections
) -> None:
    order, late = await backordered(place_in_real_time, make_product, connections)
    confirmed = order.last_event("order.confirmed").occurred_at
    there, waiting = parcel_of(order, 1), parcel_of(order, 2)
    assert there.ship_by is not None
    assert waiting.backordered_until is not None
    assert abs(there.ship_by - confirmed - timedelta(hours=48)) < timedelta(minutes=1)
    assert abs(waiting.backordered_until - confirmed - timedelta(days=30)) < timedelta(minutes=1)
    assert (there.backordered_until, waiting.ship_by, there.late) == (None, None, False)
    Stock(connections.engine).receive([(late, "BER", 2)], "staff:test", "delivery")
    arrived = parcel_of(order, 2)
    assert arrived.backordered_until is None
    assert arrived.ship_by is not None
    assert arrived.ship_by > there.ship_by


async def test_an_order_that_stays_pending_is_listed_until_it_goes_on(
    place_in_real_time: Place, make_product: MakeProduct, provider_fault: MakeFault, watch: Watch
) -> None:
    fault = provider_fault("latency", "create", times=1_000, seconds=60)
    order = await place_in_real_time({make_product(stock=5): 1})
    await until(lambda: "order.stock_reserved" in order.event_types())
    await watch()
    assert tasks_of(order, OperatorTaskCode.ORDER_OVERDUE) == []
    age(order.connections, order)
    for _ in range(2):
        assert (await watch()).overdue > 0
        (task,) = tasks_of(order, OperatorTaskCode.ORDER_OVERDUE)
        assert "has been pending since" in task.text
    fault.end()
    await order.until(OrderStatus.CONFIRMED)
    await watch()
    assert tasks_of(order, OperatorTaskCode.ORDER_OVERDUE) == []


async def test_a_parcel_that_is_late_is_recorded_once_and_listed_until_it_leaves(
    place_in_real_time: Place, make_product: MakeProduct, watch: Watch
) -> None:
    order = await place_in_real_time({make_product(stock=5): 1})
    await order.first_answer()
    await until(lambda: "parcel.booked" in order.event_types())
    await watch()
    assert not parcel_of(order, 1).late
    promise(order, 1, ship_by=timedelta(hours=-1))
    for _ in range(2):
        await watch()
        assert parcel_of(order, 1).late
        (task,) = tasks_of(order, OperatorTaskCode.PARCEL_LATE)
        assert "parcel 1" in task.text
    assert order.event_types().count("parcel.late") == 1
    await order.carrier_event(ParcelStatus.DISPATCHED)
    await until(lambda: "parcel.dispatched" in order.event_types())
    await watch()
    assert tasks_of(order, OperatorTaskCode.PARCEL_LATE) == []
    await order.carrier_event(ParcelStatus.DELIVERED)
    await order.handle.result()


async def test_goods_that_do_not_arrive_in_time_are_cancelled_and_the_rest_goes_on(
    place_in_real_time: Place, make_product: MakeProduct, connections: Connections, watch: Watch
) -> None:
    order, late = await backordered(place_in_real_time, make_product, connections)
    promise(order, 2, backordered_until=timedelta(days=2))
    for _ in range(2):
        await watch()
    assert order.event_types().count("order.backorder_reminder") == 1
    promise(order, 2, backordered_until=timedelta(hours=-1))
    await watch()
    (task,) = tasks_of(order, OperatorTaskCode.BACKORDER_OVERDUE)
    assert task.route == f"POST /v1/orders/{order.id}/backorder"
    assert "parcel.cancelled" not in order.event_types()  # staff have some time first
    promise(order, 2, backordered_until=timedelta(hours=-5))
    await watch()
    await until(lambda: "order.lines_cancelled" in order.event_types())
    event = order.last_event("order.lines_cancelled")
    assert (event.actor, event.data["lines"]) == ("system:watchdog", [{"sku": late, "quantity": 2}])
    await watch()
    assert tasks_of(order, OperatorTaskCode.BACKORDER_OVERDUE) == []
    await order.carrier_event(ParcelStatus.DISPATCHED, 1)
    await order.carrier_event(ParcelStatus.DELIVERED, 1)
    await order.handle.result()
    check_money_and_stock(order, connections, 1)
    assert order.view().payment.captured.amount == parcel_amount(order, 1)


async def test_a_customer_may_wait_longer(
    place_in_real_time: Place, make_product: MakeProduct, connections: Connections, watch: Watch
) -> None:
    order, late = await backordered(place_in_real_time, make_product, connections)
    promise(order, 2, backordered_until=timedelta(hours=-5))
    promises = Promises(connections.engine)
    for _ in range(2):
        promises.wait_longer(order.id, "customer:test")
    assert order.event_types().count("order.backorder_extended") == 1
    await watch()
    assert "order.lines_cancelled" not in order.event_types()
    Stock(connections.engine).receive([(late, "BER", 2)], "staff:test", "delivery")
    with pytest.raises(NotBackordered):
        promises.wait_longer(order.id, "customer:test")
    await order.handle.terminate("enough was seen")


async def test_a_blocked_compensation_is_retried_once_when_nobody_answers(
    place_in_real_time: Place, make_product: MakeProduct, provider_fault: MakeFault, watch: Watch
) -> None:
    order = await place_in_real_time({make_product(stock=5): 1})
    await order.first_answer()
    provider_fault("400", "capture", times=1_000)

    def blocked() -> int:
        return order.event_types().count("order.compensation_blocked")

    def is_listed(times: int) -> bool:
        return blocked() == times and bool(tasks_of(order, OperatorTaskCode.COMPENSATION_BLOCKED))

    await order.carrier_event(ParcelStatus.DISPATCHED)
    for times in (1, 2):
        await until(partial(is_listed, times))
        await watch()
        assert blocked() == times
        unanswered(order, hours=5)
        await watch()
    unanswered(order, hours=50)
    await watch()
    assert blocked() == 2
    by_hand = SettleCompensation(actor="staff:test", reason="paid in cash", retry=False)
    await order.handle.execute_update(CheckoutWorkflow.settle_compensation, by_hand)


async def test_a_mail_server_that_is_away_keeps_no_run_waiting(connections: Connections) -> None:
    moment = datetime.now(UTC)
    task = OperatorTask(code=OperatorTaskCode.OTHER, text="somebody has to look", since=moment - timedelta(hours=3))
    waiting = RecordOperatorTasks(
        workflow_id=f"test-{uuid.uuid4()}", revision=int(moment.timestamp() * 1e6), order_id=None, tasks=[task]
    )
    OperatorTaskStore(connections.engine).record(waiting)
    mail_away = connections.settings.model_copy(update={"operations_mail": "ops@shop.example", "smtp_port": 1})
    async with time_skipping(replace(connections, settings=mail_away)) as client:
        handle = await client.start_workflow(
            WatchdogWorkflow.run, id=f"watchdog-{uuid.uuid4()}", task_queue=ORDERS_QUEUE
        )
        await until_called(handle, "remind_staff")
        await skip(client, timedelta(minutes=5))
        await handle.result()
        assert "Staff could not be mailed" in await current_details(handle)


async def test_a_lost_parcel_is_refunded_by_rule_when_nobody_answers(
    place_in_real_time: Place, make_product: MakeProduct, watch: Watch
) -> None:
    order = await place_in_real_time({make_product(stock=5): 1})
    await order.first_answer()
    for status in (ParcelStatus.DISPATCHED, ParcelStatus.LOST):
        await order.carrier_event(status)
    await order.handle.result()
    await until(lambda: tasks_of(order, OperatorTaskCode.DELIVERY_FAILED))
    await watch()
    unanswered(order, hours=5)  # long for other tasks; about this one its own time counts
    await watch()
    assert order.money()[EntryKind.REFUND] == 0
    unanswered(order, hours=100, due_at=naive(datetime.now(UTC)))
    for _ in range(2):
        await watch()
    assert order.money()[EntryKind.REFUND] == order.view().total.amount
    assert tasks_of(order, OperatorTaskCode.DELIVERY_FAILED) == []


def parcel_amount(order: Order, number: int) -> int:
    this = sa.and_(parcels.c.order_id == order.id, parcels.c.number == number)
    with order.connections.engine.connect() as connection:
        return int(connection.execute(sa.select(parcels.c.amount).where(this)).scalar_one())
