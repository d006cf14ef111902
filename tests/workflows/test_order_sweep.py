"""The sweep lists what no workflow looks after, once, until it is mended. On the real server: the other lists none."""

import uuid
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import pytest
from temporalio.client import Client

from adapters.connections import Connections
from adapters.mysql.orders.operator_tasks import OperatorTaskStore
from domain.fulfilment import ParcelStatus
from domain.ledger import EntryKind
from domain.orders import OrderStatus, PaymentStatus
from schemas.operator_tasks import OperatorTaskCode, OperatorTaskView
from schemas.order_sweep import OrdersSwept
from schemas.parcel_resolutions import ResolutionAction
from temporal_clients.orders import RunningOrders
from tests.workflows.failed_deliveries import resolve_by
from tests.workflows.failed_deliveries import tasks_of as failed_deliveries
from tests.workflows.lost_orders import Adopt, age, check_money_and_stock, lose
from tests.workflows.orders import Order
from tests.workflows.refunds import made, refund
from tests.workflows.waiting import until, until_async
from workflows.names import ORDERS_QUEUE
from workflows.orders.order_sweep import OrderSweepWorkflow

Sweep = Callable[[], Awaitable[OrdersSwept]]


@pytest.fixture
def sweep(temporal_client: Client) -> Sweep:
    async def run() -> OrdersSwept:
        return await temporal_client.execute_workflow(
            OrderSweepWorkflow.run, id=f"sweep-{uuid.uuid4()}", task_queue=ORDERS_QUEUE
        )

    return run


async def until_swept(sweep: Sweep, order: Order) -> None:
    """Temporal's lists are a little behind."""

    async def found() -> bool:
        await sweep()
        return bool(tasks_of(order.connections, order))

    await until_async(found)


def tasks_of(connections: Connections, order: Order) -> list[OperatorTaskView]:
    """What the sweep lists of it: its own workflows may need an operator as well."""
    page = OperatorTaskStore(connections.engine).page(None, 1000)
    return [task for task in page.items if task.workflow_id == f"order-sweep-{order.id}"]


async def test_the_sweep_lists_a_lost_order_once_and_ends_that_when_it_is_mended(
    *, two_in_real_time: Order, adopt: Adopt, sweep: Sweep, connections: Connections
) -> None:
    order = two_in_real_time
    age(connections, order)
    await sweep()
    assert tasks_of(connections, order) == []
    await lose(order, with_children=False)
    for _ in range(2):
        assert (await sweep()).without_workflow > 0
        (task,) = tasks_of(connections, order)
        assert task.code is OperatorTaskCode.ORDER_WITHOUT_WORKFLOW
        assert task.route == f"POST /v1/ops/orders/{order.id}/adopt"
    await adopt(order)
    await order.handle.result()
    await sweep()
    assert tasks_of(connections, order) == []


async def test_the_sweep_lists_what_is_left_of_an_ended_order(
    *, two_in_real_time: Order, adopt: Adopt, sweep: Sweep, connections: Connections
) -> None:
    order = two_in_real_time
    await order.carrier_event(ParcelStatus.DISPATCHED, 1)
    await until(lambda: "payment.captured" in order.event_types())
    await lose(order, with_children=True)
    age(connections, order, status=OrderStatus.FAILED)
    await sweep()
    (task,) = tasks_of(connections, order)
    assert "parcel 1 and the payment" in task.text
    await adopt(order)
    await until(lambda: "parcel.cancelled" in order.event_types())
    await order.carrier_event(ParcelStatus.DELIVERED, 1)
    await order.handle.result()
    check_money_and_stock(order, connections, 1)


async def lose_and_deliver(order: Order) -> None:
    """Its parcels go on by themselves, and its payment waits for what nobody will ask of it."""
    await lose(order, with_children=False)
    for parcel in (1, 2):
        await order.carrier_event(ParcelStatus.DISPATCHED, parcel)
        await order.carrier_event(ParcelStatus.DELIVERED, parcel)
    await order.until(OrderStatus.DELIVERED)


async def test_the_sweep_lists_a_lost_order_that_was_delivered_meanwhile(
    *, two_in_real_time: Order, adopt: Adopt, sweep: Sweep, connections: Connections
) -> None:
    order = two_in_real_time
    await lose_and_deliver(order)
    age(connections, order)
    await sweep()
    (task,) = tasks_of(connections, order)
    assert (task.code, task.resolvable) == (OperatorTaskCode.ORDER_WITHOUT_WORKFLOW, True)
    assert task.text.endswith("is delivered, and no workflow looks after the payment")
    await adopt(order)
    assert (await order.handle.result()).status is OrderStatus.DELIVERED
    assert order.money()[EntryKind.CAPTURE] == order.view().total.amount
    check_money_and_stock(order, connections, 1, 2)
    age(connections, order)
    await sweep()
    assert tasks_of(connections, order) == []


@pytest.mark.parametrize(
    ("status", "since"), [(PaymentStatus.DISPUTED, timedelta(hours=5)), (PaymentStatus.AUTHORIZED, timedelta(days=60))]
)
async def test_money_that_is_held_is_listed_until_it_is_not(
    *,
    status: PaymentStatus,
    since: timedelta,
    two_in_real_time: Order,
    sweep: Sweep,
    connections: Connections,
) -> None:
    """Whatever else is said of the payment, and however long nothing has happened."""
    order = two_in_real_time
    await lose_and_deliver(order)
    age(connections, order, payment_status=status)
    for past in (timedelta(hours=5), since):
        age(connections, order, past)
        await sweep()
        assert len(tasks_of(connections, order)) == 1


async def test_what_is_shipped_again_is_listed_only_when_its_workflow_is_lost(
    *, two_in_real_time: Order, adopt: Adopt, sweep: Sweep, connections: Connections
) -> None:
    order = two_in_real_time
    for parcel in (1, 2):
        await order.carrier_event(ParcelStatus.DISPATCHED, parcel)
    await order.carrier_event(ParcelStatus.DELIVERED, 1)
    await order.carrier_event(ParcelStatus.LOST, 2)
    await order.handle.result()
    assert (await resolve_by(order.client, ResolutionAction.SHIP_AGAIN)(order, 2)).code is None
    await until(lambda: order.view().parcels[2].status is ParcelStatus.BOOKED)
    age(connections, order)
    await sweep()
    assert tasks_of(connections, order) == []
    await order.parcel(3).terminate("by mistake")
    await sweep()
    (task,) = tasks_of(connections, order)
    assert task.text.endswith("no workflow looks after parcel 3")
    await adopt(order)
    await order.handle.result()
    await until(lambda: order.view().parcels[2].status is ParcelStatus.CANCELLED)
    await until(lambda: 3 in [failed.parcel for failed in failed_deliveries(order)])
    check_money_and_stock(order, connections, 1, 2)
    assert order.view().status is OrderStatus.DELIVERED


async def test_the_sweep_lists_no_order_that_has_ended_and_was_refunded_in_part(
    *, two_in_real_time: Order, sweep: Sweep, temporal_client: Client, connections: Connections
) -> None:
    order = two_in_real_time
    await order.delivered_all()
    made(await refund(temporal_client, order.id, 700))
    assert order.view().payment_status is PaymentStatus.PARTIALLY_REFUNDED
    age(connections, order)
    await sweep()
    assert tasks_of(connections, order) == []


async def test_the_sweep_lists_a_workflow_whose_order_has_ended(
    *, two_in_real_time: Order, sweep: Sweep, connections: Connections, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = two_in_real_time
    age(connections, order, status=OrderStatus.FAILED)
    pages, soon = RunningOrders.order_pages, datetime.now(UTC) + timedelta(minutes=1)
    monkeypatch.setattr(RunningOrders, "order_pages", lambda self, _, size: pages(self, soon, size))
    await until_swept(sweep, order)
    (task,) = tasks_of(connections, order)
    assert (task.code, task.route) == (OperatorTaskCode.WORKFLOW_OF_ENDED_ORDER, None)
