"""An operator removes the cause and has it retried: money that could not be captured, or voided, now is."""

import asyncio

from temporalio.client import Client

from adapters.connections import Connections
from adapters.mysql.orders.stock import Stock
from adapters.mysql.payments.ledger import Ledger
from domain.fulfilment import ParcelStatus
from domain.ledger import EntryKind
from domain.orders import OrderStatus, PaymentStatus
from schemas.order_requests import SettleCompensation
from schemas.orders import OrderEvent
from schemas.stock import SetStockRules
from temporal_clients.orders import RunningOrders
from tests.fixture_types import MakeProduct
from tests.workflows.orders import UNDELIVERABLE, Order, Place
from tests.workflows.provider import BankActs, Journal, MakeFault, effects
from tests.workflows.waiting import until
from workflows.orders.checkout import CheckoutWorkflow

AGAIN = SettleCompensation(actor="staff:test", reason="the provider works again", retry=True)
BY_HAND = SettleCompensation(actor="staff:test", reason="the customer keeps it", retry=False)
HELD_FOR_A_WEEK = {"authorization_seconds": 7 * 86_400, "payment_retry_seconds": 86_400}
UNPAID = "Parcel 1 was dispatched and its capture was declined"


async def decide(order: Order, decision: SettleCompensation) -> None:
    await order.handle.execute_update(CheckoutWorkflow.settle_compensation, decision)


async def needs_operator(order: Order, times: int) -> list[str]:
    """What needs an operator, when the order has recorded it for the nth time."""

    def blocked() -> list[OrderEvent]:
        return [event for event in order.events() if event.type == "order.compensation_blocked"]

    await until(lambda: len(blocked()) >= times)
    texts = blocked()[-1].data["needs_operator"]
    assert isinstance(texts, list)
    return texts


async def check_paid_for(order: Order, connections: Connections) -> None:
    """It goes on without its operator, to its delivery."""
    await order.until(OrderStatus.SHIPPED)
    await order.carrier_event(ParcelStatus.DELIVERED)
    assert (await order.handle.result()).status is OrderStatus.DELIVERED
    view = order.view()
    assert (view.status, view.payment_status) == (OrderStatus.DELIVERED, PaymentStatus.CAPTURED)
    assert order.money()[EntryKind.CAPTURE] == view.total.amount
    assert order.reserved() == 0
    await order.payment.result()  # nobody has to look after it
    assert sum(Ledger(connections.engine).balances(order.id).values()) == 0


async def test_a_capture_that_was_refused_is_made(
    place: Place,
    make_product: MakeProduct,
    provider_fault: MakeFault,
    provider_journal: Journal,
    connections: Connections,
) -> None:
    order = await place({make_product(stock=5): 1})
    await order.first_answer()
    fault = provider_fault("400", "capture", times=1_000)
    await order.carrier_event(ParcelStatus.DISPATCHED)
    for times in (1, 2):
        unpaid, kept = await needs_operator(order, times)
        assert UNPAID in unpaid
        assert kept == "void the payment: Parcel 1 was dispatched and is not captured: the authorization is kept."
        if times == 1:
            await decide(order, AGAIN)  # although the provider still refuses
    assert effects(provider_journal, order.id) == ["authorization"]
    fault.end()
    await decide(order, AGAIN)
    await check_paid_for(order, connections)
    assert effects(provider_journal, order.id) == ["authorization", "capture"]


async def test_an_expired_authorization_that_was_refused_is_made_and_captured(
    *,
    place: Place,
    make_product: MakeProduct,
    skipping: Client,
    connections: Connections,
    provider_fault: MakeFault,
    provider_journal: Journal,
    bank_acts: BankActs,
) -> None:
    sku = make_product(stock=0)
    Stock(connections.engine).set_rules(sku, SetStockRules(backorderable=True))
    order = await place({sku: 1}, **HELD_FOR_A_WEEK)
    await order.first_answer()
    arrived = await asyncio.to_thread(Stock(connections.engine).receive, [(sku, "BER", 1)], "staff:test", "delivery")
    await RunningOrders(skipping).signal_allocations(arrived)
    await order.until(OrderStatus.PROCESSING)
    bank_acts(provider_journal(order.id)[0]["intent"])
    fault = provider_fault("400", "create", times=1_000)
    await order.carrier_event(ParcelStatus.DISPATCHED)
    assert UNPAID in (await needs_operator(order, 1))[0]

    fault.end()
    await decide(order, AGAIN)
    await check_paid_for(order, connections)
    assert effects(provider_journal, order.id) == ["authorization", "void", "authorization", "capture"]


async def test_a_capture_that_is_settled_by_hand_leaves_nothing_authorized(
    place: Place,
    make_product: MakeProduct,
    provider_fault: MakeFault,
    provider_journal: Journal,
    connections: Connections,
) -> None:
    order = await place({make_product(stock=5): 1})
    await order.first_answer()
    provider_fault("400", "capture", times=1_000)
    await order.carrier_event(ParcelStatus.DISPATCHED)
    await needs_operator(order, 1)
    await decide(order, BY_HAND)
    await order.handle.result()
    assert effects(provider_journal, order.id) == ["authorization", "void"]
    assert set(Ledger(connections.engine).balances(order.id).values()) == {0}


async def test_an_authorization_whose_void_was_refused_is_voided(
    place: Place,
    make_product: MakeProduct,
    provider_fault: MakeFault,
    provider_journal: Journal,
    connections: Connections,
) -> None:
    fault = provider_fault("400", "cancel", times=1_000)
    order = await place({make_product(stock=5): 1}, postal_code=UNDELIVERABLE)
    (stopped,) = await needs_operator(order, 1)
    assert stopped.startswith("void the payment: ")
    assert effects(provider_journal, order.id) == ["authorization"]

    fault.end()
    await decide(order, AGAIN)
    result = await order.handle.result()
    assert (result.status, result.reason) == (OrderStatus.FAILED, "shipment_refused")
    assert effects(provider_journal, order.id) == ["authorization", "void"]
    assert order.view().payment_status is PaymentStatus.VOIDED
    assert (order.reserved(), order.available()) == (0, 5)
    assert set(Ledger(connections.engine).balances(order.id).values()) == {0}
