"""An order that is partly out of stock: the rest is reserved, and its customer decides in time or not."""

from datetime import timedelta

import pytest
from temporalio.client import Client, WorkflowUpdateFailedError

from adapters.connections import Connections
from adapters.mysql.orders.stock import Stock
from adapters.mysql.orders.vouchers import Vouchers
from domain.ledger import EntryKind
from domain.orders import OrderStatus, PaymentStatus
from schemas.checkout import CheckoutAnswer, CheckoutOutcome, OnShortage
from schemas.order_requests import CancelOrder, Choice, Decision
from schemas.orders import OrderView
from tests.fixture_types import MakeProduct
from tests.workflows.orders import Order, Place, refusal
from tests.workflows.provider import Journal, MakeVoucher
from tests.workflows.time_skipping import skip
from workflows.orders.checkout import CheckoutWorkflow

ASK = {"on_shortage": OnShortage.ASK}
HOUR = {"decision_seconds": 3600}
GOING_ON = (OrderStatus.CONFIRMED, OrderStatus.PROCESSING)
ACTOR = "customer:test"


async def decide(order: Order, choice: Choice) -> CheckoutAnswer:
    return await order.handle.execute_update(CheckoutWorkflow.decide, Decision(choice=choice, actor=ACTOR))


async def awaiting_customer(order: Order) -> OrderView:
    """The order once its customer has to decide."""
    assert (await order.first_answer()).outcome is CheckoutOutcome.DECISION_REQUIRED
    view = order.view()
    assert view.status is OrderStatus.AWAITING_CUSTOMER
    return view


async def test_the_customer_takes_what_there_is(
    place: Place, make_product: MakeProduct, provider_journal: Journal
) -> None:
    some, plenty = make_product(stock=2, price=1000), make_product(stock=9, price=500)
    order = await place({some: 5, plenty: 3}, **ASK)
    view = await awaiting_customer(order)
    assert view.shortage is not None
    assert [line.model_dump() for line in view.shortage.lines] == [{"sku": some, "wanted": 5, "available": 2}]
    assert order.reserved() == 2 + 3, "what is in stock is reserved meanwhile"
    assert provider_journal(order.id) == [], "and nothing is charged"
    smaller = view.shortage.take_available_total
    assert smaller is not None
    assert smaller.amount < view.total.amount

    answer = await decide(order, Choice.TAKE_AVAILABLE)
    assert answer.outcome is CheckoutOutcome.AUTHORIZED
    view = order.view()
    assert (view.status in GOING_ON, view.total, view.shortage) == (True, smaller, None)
    assert {line.sku: (line.quantity, line.backordered) for line in view.lines} == {some: (2, 0), plenty: (3, 0)}
    assert view.total.amount == view.subtotal.amount - view.discount.amount + view.shipping.amount + view.tax.amount
    view = await order.delivered()
    assert (view.status, view.payment_status) == (OrderStatus.DELIVERED, PaymentStatus.CAPTURED)
    money = order.money()
    assert money[EntryKind.AUTHORIZATION] == money[EntryKind.CAPTURE] == smaller.amount
    assert order.reserved() == 0
    assert order.available() == 6
    types = order.event_types()
    assert types.index("order.awaiting_customer") < types.index("order.decided") < types.index("order.confirmed")


async def test_the_customer_waits_for_the_rest(
    place: Place, make_product: MakeProduct, connections: Connections
) -> None:
    sku = make_product(stock=1, price=1000)
    order = await place({sku: 3}, **ASK)
    total = (await awaiting_customer(order)).total
    assert (await decide(order, Choice.WAIT)).outcome is CheckoutOutcome.AUTHORIZED
    view = order.view()
    assert (view.total, [parcel.number for parcel in view.parcels]) == (total, [1, 2])
    assert [(line.quantity, line.backordered) for line in view.lines] == [(3, 2)]
    warehouse = view.parcels[1].warehouse
    Stock(connections.engine).receive([(sku, warehouse, 2)], "test", "the rest arrives")
    await order.delivered_all()
    assert order.view().status is OrderStatus.DELIVERED
    assert order.money()[EntryKind.CAPTURE] == total.amount


async def test_the_customer_wants_nothing_instead(place: Place, make_product: MakeProduct) -> None:
    order = await place({make_product(stock=1): 3}, **ASK)
    await awaiting_customer(order)
    assert (await decide(order, Choice.CANCEL)).outcome is CheckoutOutcome.CANCELLED
    assert (await order.handle.result()).status is OrderStatus.CANCELLED
    assert (order.view().status, order.reserved(), order.available()) == (OrderStatus.CANCELLED, 0, 1)
    assert order.events()[-1].actor == ACTOR


async def test_without_a_decision_comes_one_reminder_and_then_everything_is_released(
    place: Place, make_product: MakeProduct, make_voucher: MakeVoucher, connections: Connections, skipping: Client
) -> None:
    code = make_voucher(kind="percent", basis_points=1000, max_uses=1)
    order = await place({make_product(stock=1, price=5000): 3}, discount_code=code, **ASK, **HOUR)
    await awaiting_customer(order)
    assert Vouchers(connections.engine).get(code).uses == 1
    await skip(skipping, timedelta(minutes=31))
    assert order.event_types().count("order.decision_reminder") == 1
    assert order.view().shortage is not None, "what to decide about is still shown"
    await skip(skipping, timedelta(minutes=30))
    result = await order.handle.result()
    assert (result.status, result.reason) == (OrderStatus.FAILED, "decision_expired")
    assert (order.reserved(), Vouchers(connections.engine).get(code).uses) == (0, 0)
    assert order.event_types().count("order.decision_reminder") == 1
    assert order.money()[EntryKind.AUTHORIZATION] == 0


async def test_a_voucher_that_needs_a_larger_order_is_released(
    place: Place, make_product: MakeProduct, make_voucher: MakeVoucher, connections: Connections
) -> None:
    code = make_voucher(kind="percent", basis_points=1000, minimum=2500, currency="EUR")
    order = await place({make_product(stock=1, price=1000): 3}, discount_code=code, **ASK)
    view = await awaiting_customer(order)
    assert (view.voucher_code, view.discount.amount) == (code, 300)
    await decide(order, Choice.TAKE_AVAILABLE)
    view = order.view()
    assert (view.voucher_code, view.discount.amount, view.subtotal.amount) == (None, 0, 1000)
    assert Vouchers(connections.engine).get(code).uses == 0
    await order.delivered()


async def test_what_has_arrived_meanwhile_is_released_for_others(
    place: Place, make_product: MakeProduct, connections: Connections
) -> None:
    sku = make_product(stock={"BER": 1}, price=1000)
    order = await place({sku: 3}, **ASK)
    view = await awaiting_customer(order)
    Stock(connections.engine).receive([(sku, view.parcels[1].warehouse, 2)], "test", "sooner than thought")
    assert order.reserved() == 3
    await decide(order, Choice.TAKE_AVAILABLE)
    assert (order.reserved(), order.available()) == (1, 2)
    view = await order.delivered()
    assert [line.quantity for line in view.lines] == [1]


async def test_a_card_that_is_refused_after_the_decision_gets_its_second_try(
    place: Place, make_product: MakeProduct
) -> None:
    order = await place(
        {make_product(stock=1): 2}, payment_method="pm_card_chargeDeclined", payment_retry_seconds=1800, **ASK
    )
    await awaiting_customer(order)
    assert (await decide(order, Choice.TAKE_AVAILABLE)).outcome is CheckoutOutcome.DECLINED
    assert order.view().status is OrderStatus.AWAITING_PAYMENT
    await order.pay()
    assert (await order.delivered()).status is OrderStatus.DELIVERED


async def test_decisions_at_the_wrong_time_are_refused(place: Place, make_product: MakeProduct) -> None:
    whole = await place({make_product(stock=5): 2}, **ASK)
    assert (await whole.first_answer()).outcome is CheckoutOutcome.AUTHORIZED, (
        "nobody has to decide when all is in stock"
    )
    with pytest.raises(WorkflowUpdateFailedError) as error:
        await decide(whole, Choice.WAIT)
    assert refusal(error.value) == "not_awaiting_decision"
    await whole.delivered()

    twice = await place({make_product(stock=1): 2}, **ASK)
    await awaiting_customer(twice)
    await decide(twice, Choice.TAKE_AVAILABLE)
    with pytest.raises(WorkflowUpdateFailedError) as error:
        await decide(twice, Choice.CANCEL)
    assert refusal(error.value) == "not_awaiting_decision"
    await twice.delivered()


async def test_what_is_too_little_to_be_charged_cannot_be_taken(
    place: Place, make_product: MakeProduct, make_voucher: MakeVoucher
) -> None:
    order = await place({make_product(stock=1, price=20): 5}, discount_code=make_voucher(kind="free_shipping"), **ASK)
    view = await awaiting_customer(order)
    assert view.shortage is not None
    assert view.shortage.take_available_total is None
    with pytest.raises(WorkflowUpdateFailedError) as error:
        await decide(order, Choice.TAKE_AVAILABLE)
    assert refusal(error.value) == "choice_not_available"
    await decide(order, Choice.CANCEL)


async def test_an_order_of_which_there_is_nothing_is_refused_even_so(place: Place, make_product: MakeProduct) -> None:
    order = await place({make_product(stock=0): 1}, **ASK)
    answer = await order.first_answer()
    assert (answer.outcome, order.recorded()) == (CheckoutOutcome.OUT_OF_STOCK, False)
    assert await order.handle.result()


async def test_the_customer_cancels_instead_of_deciding(place: Place, make_product: MakeProduct) -> None:
    order = await place({make_product(stock=1): 2}, **ASK)
    await awaiting_customer(order)
    superseding = CancelOrder(actor=ACTOR, reason="superseded", only_waiting=True)
    status = await order.cancel(superseding)
    assert (status, order.reserved()) == (OrderStatus.CANCELLED, 0)
