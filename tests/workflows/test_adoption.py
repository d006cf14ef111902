"""Orders whose workflow is gone: the sweep lists them, and adopting one ends it rightly, to the cent.

On the real server, because the time-skipping one lists no workflows, and may stand still once one was terminated.
"""

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from temporalio.client import Client

from adapters.connections import Connections
from adapters.mysql.clock import naive
from adapters.mysql.orders.operator_tasks import OperatorTaskStore
from adapters.mysql.orders.orders import OrderStore
from adapters.mysql.payments.credit import StoreCredit
from adapters.mysql.payments.ledger import Ledger
from adapters.mysql.tables.orders import orders, parcels
from domain.fulfilment import ParcelStatus
from domain.ledger import EntryKind
from domain.orders import FulfilmentStatus, OrderStatus, PaymentStatus
from schemas.checkout import Adoption
from schemas.operator_tasks import OperatorTaskCode, OperatorTaskView
from schemas.order_requests import SettleCompensation
from schemas.order_sweep import OrdersSwept
from temporal_clients.checkouts import CheckoutClient
from temporal_clients.errors import UpdateRefused
from temporal_clients.orders import RunningOrders
from tests.fixture_types import MakeProduct
from tests.workflows.carrier import CarrierControl
from tests.workflows.orders import Order, Place
from tests.workflows.provider import Journal, effects
from tests.workflows.test_store_credit import Wallet
from tests.workflows.waiting import current_details, until, until_async
from workflows.names import ORDERS_QUEUE, order_workflow_id
from workflows.orders.checkout import CheckoutWorkflow
from workflows.orders.order_sweep import OrderSweepWorkflow

STAFF = Adoption(actor="staff:test", reason="its workflow was terminated by mistake")
Adopt = Callable[..., Awaitable[None]]
Sweep = Callable[[], Awaitable[OrdersSwept]]


@pytest.fixture
def checkouts(temporal_client: Client) -> CheckoutClient:
    return CheckoutClient(temporal_client, 30)


@pytest.fixture
def adopt(checkouts: CheckoutClient, connections: Connections) -> Adopt:
    async def start(order: Order, request: str = "") -> None:
        taken = OrderStore(connections.engine).checkout_of(order.id, STAFF)
        assert taken is not None
        await checkouts.adopt(taken, request or str(uuid.uuid4()))
        order.handle = checkouts.client.get_workflow_handle_for(CheckoutWorkflow.run, order_workflow_id(order.id))

    return start


@pytest.fixture
def sweep(temporal_client: Client) -> Sweep:
    async def run() -> OrdersSwept:
        return await temporal_client.execute_workflow(
            OrderSweepWorkflow.run, id=f"sweep-{uuid.uuid4()}", task_queue=ORDERS_QUEUE
        )

    return run


@pytest.fixture
async def two_parcels(place_in_real_time: Place, make_product: MakeProduct) -> Order:
    """One from Berlin, one from Amsterdam, both booked."""
    order = await place_in_real_time(
        {make_product(stock={"BER": 5}, price=1000): 1, make_product(stock={"AMS": 5}, price=3000): 1}
    )
    await order.first_answer()
    await until(lambda: order.event_types().count("parcel.booked") == 2)
    return order


async def until_swept(sweep: Sweep, order: Order) -> None:
    """Temporal's lists are a little behind."""

    async def found() -> bool:
        return order.id in (await sweep()).orders

    await until_async(found)


async def lose(order: Order, *, with_children: bool) -> None:
    """Its workflow is gone; its children are abandoned, or gone as well."""
    await order.handle.terminate("by mistake")
    if with_children:
        children = [order.payment, *(order.parcel(parcel.number) for parcel in order.view().parcels)]
        await asyncio.gather(*(child.terminate("by mistake") for child in children))


def age(connections: Connections, order: Order, **values: object) -> None:
    """Nothing has happened in it for hours."""
    past = naive(datetime.now(UTC) - timedelta(hours=5))
    with connections.engine.begin() as connection:
        connection.execute(sa.update(orders).where(orders.c.id == order.id).values(updated_at=past, **values))


def tasks_of(connections: Connections, order: Order) -> list[OperatorTaskView]:
    page = OperatorTaskStore(connections.engine).page(None, 1000)
    return [task for task in page.items if task.order_id == order.id]


def check_money_and_stock(order: Order, connections: Connections, *dispatched: int) -> None:
    """Captured is what was dispatched, the rest is voided, and nothing is reserved, to the cent."""
    money = order.money()
    assert money[EntryKind.CAPTURE] + money[EntryKind.VOID] == money[EntryKind.AUTHORIZATION]
    assert sum(Ledger(connections.engine).balances(order.id).values()) == 0
    assert order.view().payment.held.amount == 0
    assert (money[EntryKind.CAPTURE] > 0) is bool(dispatched)
    assert order.reserved() == 0


@pytest.mark.parametrize("with_children", [False, True], ids=["children run on", "children gone as well"])
async def test_booked(
    *,
    two_parcels: Order,
    adopt: Adopt,
    connections: Connections,
    carrier: CarrierControl,
    provider_journal: Journal,
    with_children: bool,
) -> None:
    order = two_parcels
    await lose(order, with_children=with_children)
    await adopt(order)
    await until(lambda: order.view().status is OrderStatus.FAILED)
    assert (await order.handle.result()).status is OrderStatus.FAILED
    view = order.view()
    assert (view.payment_status, view.failure_code) == (PaymentStatus.VOIDED, "adopted")
    assert [carrier.statuses(order.id, parcel) for parcel in (1, 2)] == [["cancelled"], ["cancelled"]]
    assert effects(provider_journal, order.id) == ["authorization", "void"]
    check_money_and_stock(order, connections)
    assert order.available() == 10
    event = order.last_event("order.adopted")
    assert (event.actor, event.data) == (STAFF.actor, {})
    assert f"adopted by {STAFF.actor}: {STAFF.reason}" in await current_details(order.handle)


@pytest.mark.parametrize("with_children", [False, True], ids=["children run on", "children gone as well"])
async def test_one_dispatched(
    *, two_parcels: Order, adopt: Adopt, connections: Connections, carrier: CarrierControl, with_children: bool
) -> None:
    order = two_parcels
    await lose(order, with_children=with_children)
    carrier.advance(order.id, "dispatched", 1)  # its webhook is lost
    if not with_children:
        await order.carrier_event(ParcelStatus.DISPATCHED, 1)
        await until(lambda: "parcel.dispatched" in order.event_types())
    await adopt(order)
    await until(lambda: "order.partly_cancelled" in order.event_types())
    await order.carrier_event(ParcelStatus.DELIVERED, 1)
    assert (await order.handle.result()).status is OrderStatus.DELIVERED
    view = order.view()
    assert (view.status, view.payment_status) == (OrderStatus.DELIVERED, PaymentStatus.CAPTURED)
    assert view.fulfilment_status is FulfilmentStatus.DELIVERED
    assert carrier.statuses(order.id, 2) == ["cancelled"]
    check_money_and_stock(order, connections, 1)
    assert order.available() == 9


async def test_everything_dispatched_and_nothing_captured(
    two_parcels: Order, adopt: Adopt, connections: Connections
) -> None:
    order = two_parcels
    await lose(order, with_children=False)
    await order.payment.terminate("by mistake")
    for number in (1, 2):
        await order.carrier_event(ParcelStatus.DISPATCHED, number)
    await until(lambda: order.event_types().count("parcel.dispatched") == 2)
    await adopt(order)
    await until(lambda: order.view().payment_status is PaymentStatus.CAPTURED)
    for number in (1, 2):
        await order.carrier_event(ParcelStatus.DELIVERED, number)
    assert (await order.handle.result()).status is OrderStatus.DELIVERED
    assert order.view().status is OrderStatus.DELIVERED
    assert "order.partly_cancelled" not in order.event_types()
    assert order.money()[EntryKind.CAPTURE] == order.view().total.amount
    check_money_and_stock(order, connections, 1, 2)


async def test_card_and_store_credit_without_the_payments_workflow(
    *, place_in_real_time: Place, make_product: MakeProduct, adopt: Adopt, connections: Connections
) -> None:
    wallet = Wallet(StoreCredit(connections.engine), 3500)
    order = await place_in_real_time(
        {make_product(stock={"BER": 5}, price=3000): 1, make_product(stock={"AMS": 5}, price=1000): 1},
        customer_id=wallet.customer_id,
        use_store_credit=True,
    )
    await order.first_answer()
    await until(lambda: order.event_types().count("parcel.booked") == 2)
    by_card = order.money()[EntryKind.AUTHORIZATION]
    await lose(order, with_children=False)
    await order.payment.terminate("by mistake")
    number = next(one.number for one in order.view().parcels if one.warehouse == "BER")
    await order.carrier_event(ParcelStatus.DISPATCHED, number)
    await until(lambda: "parcel.dispatched" in order.event_types())
    await adopt(order)
    await until(lambda: "payment.credit_voided" in order.event_types())
    await order.carrier_event(ParcelStatus.DELIVERED, number)
    await order.handle.result()
    query = sa.select(parcels.c.amount).where(parcels.c.order_id == order.id, parcels.c.number == number)
    with connections.engine.connect() as connection:
        share = connection.execute(query).scalar_one()
    assert share > by_card > 0
    payment = order.view().payment
    assert (payment.captured.amount, payment.held.amount) == (share, 0)
    assert order.money()[EntryKind.CAPTURE] == by_card  # the card first, as ever
    assert wallet.balance() == (3500 - (share - by_card), 0)
    assert order.reserved() == 0


async def test_an_order_that_waits_for_its_customer(
    place_in_real_time: Place, make_product: MakeProduct, adopt: Adopt, connections: Connections
) -> None:
    order = await place_in_real_time(
        {make_product(stock=5): 2}, payment_method="pm_card_authenticationRequired", payment_retry_seconds=3600
    )
    await order.first_answer()
    await order.until(OrderStatus.AWAITING_PAYMENT)
    await order.handle.terminate("by mistake")
    await adopt(order)
    assert (await order.handle.result()).status is OrderStatus.FAILED
    assert order.view().status is OrderStatus.FAILED
    check_money_and_stock(order, connections)
    assert order.available() == 5


async def test_an_order_that_was_being_cancelled_ends_as_cancelled(
    two_parcels: Order, adopt: Adopt, connections: Connections
) -> None:
    order = two_parcels
    await lose(order, with_children=False)
    age(connections, order, status=OrderStatus.CANCELLING)
    await adopt(order)
    assert (await order.handle.result()).status is OrderStatus.CANCELLED
    assert order.view().status is OrderStatus.CANCELLED
    check_money_and_stock(order, connections)


async def test_a_running_order_is_not_adopted(
    two_parcels: Order, adopt: Adopt, checkouts: CheckoutClient, connections: Connections
) -> None:
    order = two_parcels
    with pytest.raises(UpdateRefused) as refused:
        await adopt(order)
    assert refused.value.code == "order_running"
    await order.delivered_all()
    assert "order.adopted" not in order.event_types()


async def test_adopted_twice(two_parcels: Order, adopt: Adopt, connections: Connections) -> None:
    order = two_parcels
    await lose(order, with_children=False)
    await adopt(order, "one")
    await order.handle.result()
    before = order.event_types()
    assert before.count("order.adopted") == 1
    await adopt(order, "another")  # nothing is left to do
    await order.handle.result()
    assert order.event_types() == [*before, "order.adopted"]
    assert order.view().status is OrderStatus.FAILED
    check_money_and_stock(order, connections)


async def test_a_repeat_of_the_request_is_no_other(
    two_parcels: Order, adopt: Adopt, connections: Connections, carrier: CarrierControl
) -> None:
    order = two_parcels
    await lose(order, with_children=False)
    carrier.unclear(order.id)
    await adopt(order, "one")
    await until(lambda: order.view().status is OrderStatus.COMPENSATION_BLOCKED)
    await adopt(order, "one")
    with pytest.raises(UpdateRefused) as refused:
        await adopt(order, "another")
    assert refused.value.code == "order_running"
    carrier.end_faults()
    decision = SettleCompensation(actor="staff:test", reason="the carrier works again", retry=True)
    await order.handle.execute_update(CheckoutWorkflow.settle_compensation, decision)
    assert (await order.handle.result()).status is OrderStatus.FAILED
    assert [carrier.statuses(order.id, parcel) for parcel in (1, 2)] == [["cancelled"], ["cancelled"]]
    check_money_and_stock(order, connections)


async def test_the_sweep_lists_a_lost_order_once_and_ends_that_when_it_is_mended(
    *, two_parcels: Order, adopt: Adopt, sweep: Sweep, connections: Connections
) -> None:
    order = two_parcels
    age(connections, order)
    await sweep()
    assert tasks_of(connections, order) == []
    await lose(order, with_children=False)
    for _ in range(2):
        assert order.id in (await sweep()).orders
        (task,) = tasks_of(connections, order)
        assert task.code is OperatorTaskCode.ORDER_WITHOUT_WORKFLOW
        assert task.route == f"POST /v1/ops/orders/{order.id}/adopt"
    await adopt(order)
    await order.handle.result()
    assert order.id not in (await sweep()).orders
    assert tasks_of(connections, order) == []


async def test_the_sweep_lists_what_is_left_of_an_ended_order(
    *, two_parcels: Order, adopt: Adopt, sweep: Sweep, connections: Connections
) -> None:
    order = two_parcels
    await order.carrier_event(ParcelStatus.DISPATCHED, 1)
    await until(lambda: "payment.captured" in order.event_types())
    await lose(order, with_children=True)
    age(connections, order, status=OrderStatus.FAILED)
    assert order.id in (await sweep()).orders
    (task,) = tasks_of(connections, order)
    assert "parcel 1 and the payment" in task.text
    await adopt(order)
    await until(lambda: "parcel.cancelled" in order.event_types())
    await order.carrier_event(ParcelStatus.DELIVERED, 1)
    await order.handle.result()
    check_money_and_stock(order, connections, 1)


async def test_the_sweep_lists_a_workflow_whose_order_has_ended(
    *, two_parcels: Order, sweep: Sweep, connections: Connections, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = two_parcels
    age(connections, order, status=OrderStatus.FAILED)
    pages, soon = RunningOrders.order_pages, datetime.now(UTC) + timedelta(minutes=1)
    monkeypatch.setattr(RunningOrders, "order_pages", lambda self, _, size: pages(self, soon, size))
    await until_swept(sweep, order)
    (task,) = tasks_of(connections, order)
    assert (task.code, task.route) == (OperatorTaskCode.WORKFLOW_OF_ENDED_ORDER, None)
