"""An order of three parcels: one is delivered, one is lost and refunded, one is cancelled; to the cent, everywhere."""

from collections import Counter

import pytest
from temporalio.client import Client

from adapters.connections import Connections
from adapters.mail.order_texts import write
from adapters.mysql.orders.stock import Stock
from adapters.mysql.payments.ledger import Ledger
from domain.fulfilment import ParcelStatus
from domain.ledger import Account
from domain.orders import FulfilmentStatus, OrderStatus, PaymentStatus
from schemas.checkout import CancelledLine
from schemas.notifications import NotificationInput
from schemas.order_requests import CancelOrder
from tests.fixture_types import MakeProduct
from tests.workflows.carrier import CarrierControl
from tests.workflows.orders import Order, Place
from tests.workflows.parcels import ALERT
from tests.workflows.provider import Journal
from tests.workflows.refunds import made, refund
from tests.workflows.waiting import current_details, until
from workflows.orders.checkout import CheckoutWorkflow

P = ParcelStatus
CANCEL = CancelOrder(actor="customer:test", reason="changed my mind")
IN_STOCK = 5
GOODS = {"BER": 1000, "AMS": 3001, "ROT": 2345}
# Of 63.46 for the goods, 4.90 for shipping and 12.99 tax, by the value of the goods.
TOTAL, KEPT, LOST, CANCELLED = 8135, 1282, 3847, 3006


@pytest.mark.parametrize("by_line", [False, True], ids=["order", "line"])
async def test_one_delivered_one_lost_one_cancelled(
    *,
    by_line: bool,
    place: Place,
    make_product: MakeProduct,
    carrier: CarrierControl,
    skipping: Client,
    provider_journal: Journal,
    connections: Connections,
) -> None:
    order = await place({make_product(stock={at: IN_STOCK}, price=price): 1 for at, price in GOODS.items()})
    await until(order.recorded)
    await until(lambda: order.event_types().count("parcel.booked") == 3)
    if by_line:  # while the others could be cancelled as well
        lines = [CancelledLine(sku=order.input.lines[2].sku, quantity=1)]
        answer = await order.handle.execute_update(CheckoutWorkflow.cancel, CANCEL.model_copy(update={"lines": lines}))
        assert (answer.cancelled_lines, answer.cancelled, answer.not_charged) == (lines, [3], CANCELLED)
    for parcel in (1, 2):
        await order.carrier_event(P.DISPATCHED, parcel)
        carrier.advance(order.id, P.DISPATCHED, parcel)
    await until(lambda: order.event_types().count("payment.captured") == 2)
    if not by_line:
        answer = await order.handle.execute_update(CheckoutWorkflow.cancel, CANCEL)
        assert (answer.dispatched, answer.cancelled) == ([1, 2], [3])
    await order.carrier_event(P.LOST, 2)
    await order.carrier_event(P.DELIVERED, 1)
    await order.handle.result()
    assert ALERT in await current_details(order.parcel(2))
    assert made(await refund(skipping, order.id, LOST)).amount.amount == LOST

    check_money(order, provider_journal, connections)
    check_view(order)
    check_mails(order)
    assert [carrier.statuses(order.id, parcel) for parcel in (1, 2, 3)] == [
        ["dispatched"],
        ["dispatched"],
        ["cancelled"],
    ]
    levels = [Stock(connections.engine).levels(line.sku)[0] for line in order.input.lines]
    assert [(level.on_hand, level.reserved) for level in levels] == [(4, 0), (4, 0), (5, 0)]


def check_money(order: Order, journal: Journal, connections: Connections) -> None:
    """The provider has done what our ledger says, and keeps what the one parcel is worth, less its own fees."""
    at_provider = journal(order.id)
    done = Counter((entry["effect"], entry["amount"]) for entry in at_provider)
    expected = [("authorization", TOTAL), ("capture", KEPT), ("capture", LOST), ("void", CANCELLED), ("refund", LOST)]
    assert done == Counter(expected)
    fees = [entry["fee"] for entry in at_provider if entry["fee"]]
    assert order.ledger() == done + Counter(("fee", fee) for fee in fees)
    balances = Ledger(connections.engine).balances(order.id)
    assert balances[Account.HELD] == 0
    assert balances[Account.PROVIDER] + balances[Account.FEES] == KEPT
    assert balances[Account.FEES] == sum(fees)
    assert sum(balances.values()) == 0


def check_view(order: Order) -> None:
    view = order.view()
    assert [parcel.status for parcel in view.parcels] == [P.DELIVERED, P.LOST, P.CANCELLED]
    assert [line.cancelled for line in view.lines] == [0, 0, 1]
    statuses = (view.status, view.payment_status, view.fulfilment_status)
    assert statuses == (
        OrderStatus.DELIVERED,
        PaymentStatus.PARTIALLY_REFUNDED,
        FulfilmentStatus.PARTIALLY_DELIVERED,
    )
    payment = view.payment
    assert (payment.held.amount, payment.captured.amount, payment.refunded.amount) == (0, KEPT + LOST, LOST)


def check_mails(order: Order) -> None:
    """What each event's mail says of money, and of which parcel."""
    view, mails = order.view(), set()
    for event in order.events():
        same = event.model_dump(include={"seq", "type", "data"})
        text = write(view, NotificationInput(event_id=event.id, order_id=order.id, **same)).text
        said = [line for line in text.splitlines() if line.startswith(("Amount: ", "Parcel: "))]
        mails.add((event.type, *said))
    assert {mail for mail in mails if mail[0].startswith("payment.")} == {
        ("payment.authorized", "Amount: €81.35"),
        ("payment.captured", "Amount: €12.82", "Parcel: 1 of 3"),
        ("payment.captured", "Amount: €38.47", "Parcel: 2 of 3"),
        ("payment.voided", "Amount: €30.06"),
        ("payment.refunded", "Amount: €38.47"),
    }
    assert {
        ("parcel.delivered", "Parcel: 1 of 3"),
        ("parcel.lost", "Parcel: 2 of 3"),
        ("parcel.cancelled", "Parcel: 3 of 3"),
    } <= mails
