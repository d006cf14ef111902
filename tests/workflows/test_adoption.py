"""Orders whose workflow is gone: adopting one ends it rightly, to the cent.

On the real server: the time-skipping one may stand still once a workflow was terminated.
"""

import pytest
import sqlalchemy as sa
from temporalio.client import WorkflowHandle

from adapters.connections import Connections
from adapters.mysql.orders.orders import OrderStore
from adapters.mysql.payments.credit import StoreCredit
from adapters.mysql.tables.orders import parcels
from domain.errors import NothingToAdopt
from domain.fulfilment import ParcelStatus
from domain.ledger import EntryKind
from domain.orders import FulfilmentStatus, OrderStatus, PaymentStatus
from schemas.checkout import CheckoutResult
from schemas.fulfilment import FulfilmentInput
from schemas.order_requests import SettleCompensation
from temporal_clients.checkouts import CheckoutClient
from temporal_clients.errors import UpdateRefused
from tests.adapters.test_stock import order_of
from tests.fixture_types import MakeProduct
from tests.workflows.carrier import CarrierControl
from tests.workflows.lost_orders import STAFF, Adopt, age, check_money_and_stock, lose
from tests.workflows.orders import Order, Place
from tests.workflows.provider import Journal, effects
from tests.workflows.test_store_credit import Wallet
from tests.workflows.waiting import Handle, current_details, until
from workflows.names import order_workflow_id
from workflows.orders.checkout import CheckoutWorkflow


@pytest.mark.parametrize("with_children", [False, True], ids=["children run on", "children gone as well"])
async def test_booked(
    *,
    two_in_real_time: Order,
    adopt: Adopt,
    connections: Connections,
    carrier: CarrierControl,
    provider_journal: Journal,
    with_children: bool,
) -> None:
    order = two_in_real_time
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
    *, two_in_real_time: Order, adopt: Adopt, connections: Connections, carrier: CarrierControl, with_children: bool
) -> None:
    order = two_in_real_time
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
    two_in_real_time: Order, adopt: Adopt, connections: Connections
) -> None:
    order = two_in_real_time
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


@pytest.mark.parametrize(
    ("method", "status"),
    [
        ("pm_card_authenticationRequired", OrderStatus.AWAITING_PAYMENT),
        ("pm_card_riskLevelElevated", OrderStatus.ON_HOLD),
    ],
)
async def test_an_order_without_a_parcel_yet(
    *,
    place_in_real_time: Place,
    make_product: MakeProduct,
    adopt: Adopt,
    connections: Connections,
    method: str,
    status: OrderStatus,
) -> None:
    order = await place_in_real_time({make_product(stock=5): 2}, payment_method=method, payment_retry_seconds=3600)
    await order.first_answer()
    await order.until(status)
    await order.handle.terminate("by mistake")
    await adopt(order)
    assert (await order.handle.result()).status is OrderStatus.FAILED
    assert order.view().status is OrderStatus.FAILED
    check_money_and_stock(order, connections)
    assert order.available() == 5


async def test_an_order_that_was_only_placed(
    *,
    place_in_real_time: Place,
    make_product: MakeProduct,
    checkouts: CheckoutClient,
    adopt: Adopt,
    connections: Connections,
) -> None:
    command = order_of({make_product(stock=5): 2})
    placed = OrderStore(connections.engine).place(command)
    handle: WorkflowHandle[CheckoutWorkflow, CheckoutResult] = checkouts.client.get_workflow_handle(
        order_workflow_id(placed.order_id), result_type=CheckoutResult
    )
    order = Order(command.order, handle, checkouts.client, connections)
    assert order.reserved() == 2
    await adopt(order)
    assert (await order.handle.result()).status is OrderStatus.FAILED
    assert (order.reserved(), order.available()) == (0, 5)
    assert order.event_types()[-1] == "order.failed"
    assert (await input_of(order.parcel())).stop


async def input_of(parcel: Handle) -> FulfilmentInput:
    """What its workflow was started with."""
    started = (await parcel.fetch_history()).events[0].workflow_execution_started_event_attributes
    (job,) = await parcel._client.data_converter.decode(started.input.payloads, [FulfilmentInput])
    assert isinstance(job, FulfilmentInput)
    return job


async def test_an_order_that_was_being_cancelled_ends_as_cancelled(
    two_in_real_time: Order, adopt: Adopt, connections: Connections
) -> None:
    order = two_in_real_time
    await lose(order, with_children=False)
    age(connections, order, status=OrderStatus.CANCELLING)
    await adopt(order)
    assert (await order.handle.result()).status is OrderStatus.CANCELLED
    assert order.view().status is OrderStatus.CANCELLED
    check_money_and_stock(order, connections)


async def test_a_running_order_is_not_adopted(
    two_in_real_time: Order, adopt: Adopt, checkouts: CheckoutClient, connections: Connections
) -> None:
    order = two_in_real_time
    with pytest.raises(UpdateRefused) as refused:
        await adopt(order)
    assert refused.value.code == "order_running"
    await order.delivered_all()
    assert "order.adopted" not in order.event_types()


async def test_an_ended_order_with_nothing_left_is_not_adopted(
    two_in_real_time: Order, adopt: Adopt, checkouts: CheckoutClient, connections: Connections
) -> None:
    order = two_in_real_time
    await lose(order, with_children=False)
    await adopt(order, "one")
    await order.handle.result()
    before = order.event_types()
    assert before.count("order.adopted") == 1
    with pytest.raises(NothingToAdopt):
        await adopt(order, "another")
    assert [await checkouts.was_adopted_by(order.id, request) for request in ("one", "another")] == [True, False]
    assert order.event_types() == before
    assert order.view().status is OrderStatus.FAILED
    check_money_and_stock(order, connections)


async def test_a_repeat_of_the_request_is_no_other(
    two_in_real_time: Order, adopt: Adopt, connections: Connections, carrier: CarrierControl
) -> None:
    order = two_in_real_time
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
