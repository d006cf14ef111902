"""An address where the order costs more: its customer authorizes all of it first, or everything stays."""

import asyncio
from datetime import timedelta

import pytest
import uuid_utils
from temporalio.client import Client

from adapters.connections import Connections
from adapters.mysql.payments.credit import Granter, StoreCredit
from adapters.mysql.payments.ledger import Ledger
from domain.fulfilment import ParcelStatus
from domain.orders import OrderStatus, PaymentStatus
from schemas.address_changes import AddressAnswer
from schemas.checkout import CancelledLine
from schemas.credit import CreditAmount, GrantCredit
from schemas.risk import ReviewRules
from tests.fixture_types import MakeProduct
from tests.workflows.addresses import (
    AMERICA,
    CANCEL,
    CUSTOMER,
    DENMARK,
    PICKED_IN_AMERICA,
    Basket,
    address,
    begin_to_move,
    move,
    order_from_denmark,
)
from tests.workflows.carrier import CarrierControl
from tests.workflows.orders import Order, Place
from tests.workflows.provider import Authenticate, Journal, MakeFault
from tests.workflows.time_skipping import skip
from tests.workflows.waiting import current_details, until, until_idle
from workflows.orders.checkout import CheckoutWorkflow

OTHER_CARD, DECLINED_CARD, SECURE_CARD = "pm_card_mastercard", "pm_card_chargeDeclined", "pm_card_threeDSecure2Required"
RISKY_CARD = "pm_card_riskLevelElevated"
REPLACED = [("authorization", DENMARK), ("authorization", AMERICA), ("void", DENMARK)]


pytestmark = pytest.mark.usefixtures("rotterdam_asks")


@pytest.fixture
async def basket(place: Place, make_product: MakeProduct, connections: Connections, skipping: Client) -> Basket:
    return await order_from_denmark(place, make_product, connections, skipping)


def effects(journal: Journal, order: Order) -> list[tuple[str, int]]:
    return [(entry["effect"], entry["amount"]) for entry in journal(order.id)]


def check_paid(order: Order, connections: Connections, total: int) -> None:
    view = order.view()
    assert (view.status, view.payment_status) == (OrderStatus.DELIVERED, PaymentStatus.CAPTURED)
    assert (view.total.amount, view.payment.captured.amount, view.payment.held.amount) == (total, total, 0)
    assert order.dispatched_amount() == total
    assert sum(Ledger(connections.engine).balances(order.id).values()) == 0


async def test_it_is_authorized_before_the_first_is_voided(
    basket: Basket, carrier: CarrierControl, provider_journal: Journal, connections: Connections
) -> None:
    order = basket.order
    assert await move(order, "US", method=OTHER_CARD) == AddressAnswer()
    view = order.view()
    assert (view.shipping_address, view.total.amount) == (address("US"), AMERICA)
    assert (view.payment.held.amount, view.payment_status) == (AMERICA, PaymentStatus.AUTHORIZED)
    assert effects(provider_journal, order) == REPLACED
    requested = order.last_event("order.address_requested")
    assert (requested.actor, requested.data["new_total"]) == (CUSTOMER, {"amount": AMERICA, "currency": "EUR"})
    await basket.deliver()
    assert [one["country"] for parcel in (1, 2) for one in carrier.destinations(order.id, parcel)] == ["US", "US"]
    captures = [("capture", PICKED_IN_AMERICA), ("capture", AMERICA - PICKED_IN_AMERICA)]
    assert effects(provider_journal, order) == [*REPLACED, *captures]
    check_paid(order, connections, AMERICA)


async def test_a_declined_card_and_then_another(
    basket: Basket, provider_journal: Journal, connections: Connections
) -> None:
    order = basket.order
    answer = await move(order, "US", method=DECLINED_CARD)
    assert (answer.code, answer.details) == ("payment_declined", {"decline_code": "generic_decline"})
    view = order.view()
    assert (view.shipping_address.country, view.total.amount, view.status) == ("DK", DENMARK, OrderStatus.CONFIRMED)
    assert effects(provider_journal, order) == [("authorization", DENMARK)]
    assert order.last_event("order.address_kept").data["code"] == "generic_decline"
    assert await move(order, "US", method=OTHER_CARD) == AddressAnswer()
    assert effects(provider_journal, order) == REPLACED
    await basket.deliver()
    check_paid(order, connections, AMERICA)


async def test_a_declined_card_and_no_other(
    basket: Basket, carrier: CarrierControl, provider_journal: Journal, connections: Connections
) -> None:
    order = basket.order
    assert (await move(order, "US", method=DECLINED_CARD)).code == "payment_declined"
    await basket.deliver()
    assert [one["country"] for one in carrier.destinations(order.id)] == ["DK"]
    assert [effect for effect, _ in effects(provider_journal, order)] == ["authorization", "capture", "capture"]
    check_paid(order, connections, DENMARK)


async def test_a_payment_that_the_provider_doubts(
    basket: Basket, provider_journal: Journal, connections: Connections
) -> None:
    """Nobody can review it while the parcels are held: it is voided, and the address stays."""
    order = basket.order
    answer = await move(order, "US", method=RISKY_CARD)
    assert (answer.code, answer.details) == ("payment_declined", {"decline_code": "risk_declined"})
    view = order.view()
    assert (view.shipping_address.country, view.total.amount, view.status) == ("DK", DENMARK, OrderStatus.CONFIRMED)
    assert view.payment.held.amount == DENMARK
    refused = [("authorization", DENMARK), ("authorization", AMERICA), ("void", AMERICA)]
    assert effects(provider_journal, order) == refused
    assert order.last_event("order.address_kept").data["code"] == "risk_declined"
    assert "calls the risk of the new payment elevated" in await current_details(order.handle)
    assert await move(order, "US", method=OTHER_CARD) == AddressAnswer()
    await basket.deliver()
    check_paid(order, connections, AMERICA)


@pytest.mark.parametrize(("review_from", "accepted"), [(AMERICA, False), (AMERICA + 1, True)])
async def test_a_total_that_would_be_reviewed(
    *,
    review_from: int,
    accepted: bool,
    place: Place,
    make_product: MakeProduct,
    connections: Connections,
    skipping: Client,
    provider_journal: Journal,
) -> None:
    rules = ReviewRules(total_from=review_from)
    basket = await order_from_denmark(place, make_product, connections, skipping, review=rules)
    order = basket.order
    answer = await move(order, "US", method=OTHER_CARD)
    assert answer.code == (None if accepted else "payment_declined")
    assert effects(provider_journal, order) == (REPLACED if accepted else REPLACED[:1])
    assert order.view().shipping_address.country == ("US" if accepted else "DK")


async def test_the_bank_asks_its_customer(
    basket: Basket,
    carrier: CarrierControl,
    authenticate: Authenticate,
    provider_journal: Journal,
    connections: Connections,
) -> None:
    """Nothing is booked until they have answered, to either address."""
    order = basket.order
    moving = await begin_to_move(order, "US", SECURE_CARD)
    await order.until(OrderStatus.AWAITING_PAYMENT)
    view = order.view()
    assert (view.payment.held.amount, view.total.amount, view.shipping_address.country) == (DENMARK, DENMARK, "DK")
    await basket.pick()
    await until_idle(order.parcel(1))
    assert order.view().parcels[0].status is ParcelStatus.PLANNED
    authenticate(order.intent())
    await order.provider_event()
    assert await moving.result() == AddressAnswer()
    await until(lambda: "parcel.booked" in order.event_types())
    assert [one["country"] for one in carrier.destinations(order.id)] == ["US"]
    assert order.view().payment_action is None
    await basket.receive()
    await until(lambda: order.event_types().count("parcel.booked") == 2)
    await order.delivered_all()
    assert effects(provider_journal, order)[:3] == REPLACED
    check_paid(order, connections, AMERICA)


@pytest.mark.parametrize("answered", [True, False])
async def test_the_customer_fails_to_authenticate(
    answered: bool,
    basket: Basket,
    skipping: Client,
    authenticate: Authenticate,
    provider_journal: Journal,
    connections: Connections,
) -> None:
    """They say no, or nothing: after a quarter of an hour everything is as it was."""
    order = basket.order
    moving = await begin_to_move(order, "US", SECURE_CARD)
    await order.until(OrderStatus.AWAITING_PAYMENT)
    if answered:
        authenticate(order.intent(), "failed")
        await order.provider_event("payment_intent.payment_failed")
    else:
        await until_idle(order.payment)
        await skip(skipping, timedelta(minutes=16))
    assert (await moving.result()).code == "payment_declined"
    view = order.view()
    assert (view.status, view.shipping_address.country) == (OrderStatus.PROCESSING, "DK")
    assert (view.payment.held.amount, view.payment_action) == (DENMARK, None)
    await basket.deliver()
    assert [effect for effect, _ in effects(provider_journal, order)] == ["authorization", "capture", "capture"]
    check_paid(order, connections, DENMARK)


async def test_it_is_cancelled_while_the_bank_asks(
    basket: Basket, provider_journal: Journal, connections: Connections
) -> None:
    order = basket.order
    moving = await begin_to_move(order, "US", SECURE_CARD)
    await order.until(OrderStatus.AWAITING_PAYMENT)
    assert await order.cancel(CANCEL) is OrderStatus.CANCELLED
    assert (await moving.result()).code == "too_late"
    assert effects(provider_journal, order) == [("authorization", DENMARK), ("void", DENMARK)]
    assert sum(Ledger(connections.engine).balances(order.id).values()) == 0
    assert (order.view().payment_status, order.reserved()) == (PaymentStatus.VOIDED, 0)


async def test_it_is_cancelled_after_that(basket: Basket, provider_journal: Journal, connections: Connections) -> None:
    order = basket.order
    assert await move(order, "US", method=OTHER_CARD) == AddressAnswer()
    assert await order.cancel(CANCEL) is OrderStatus.CANCELLED
    assert effects(provider_journal, order) == [*REPLACED, ("void", AMERICA)]
    assert sum(Ledger(connections.engine).balances(order.id).values()) == 0


async def test_it_is_cancelled_at_the_same_moment(
    basket: Basket, provider_journal: Journal, connections: Connections
) -> None:
    order = basket.order
    moving = asyncio.create_task(move(order, "US", method=OTHER_CARD))
    assert await order.cancel(CANCEL) is OrderStatus.CANCELLED
    await asyncio.gather(moving, return_exceptions=True)
    await order.handle.result()
    sums = {"authorization": 0, "void": 0}
    for effect, amount in effects(provider_journal, order):
        sums[effect] += amount
    assert sums["authorization"] == sums["void"]
    assert sum(Ledger(connections.engine).balances(order.id).values()) == 0
    assert (order.view().payment.held.amount, order.reserved()) == (0, 0)


@pytest.mark.parametrize("kind", ["500", "error_after"])
@pytest.mark.parametrize("operation", ["create", "cancel"])
async def test_an_outcome_that_is_unknown(
    kind: str,
    operation: str,
    basket: Basket,
    provider_fault: MakeFault,
    provider_journal: Journal,
    connections: Connections,
) -> None:
    """It is authorized once and voided once, whatever the provider has answered."""
    order = basket.order
    fault = provider_fault(kind, operation)
    moving = await begin_to_move(order, "US", OTHER_CARD)
    await until(lambda: order.view().payment.held.amount == AMERICA)
    assert fault.struck()
    assert await moving.result() == AddressAnswer()
    assert effects(provider_journal, order) == REPLACED
    await basket.deliver()
    check_paid(order, connections, AMERICA)


async def test_store_credit_pays_its_part(
    place: Place, make_product: MakeProduct, connections: Connections, skipping: Client, provider_journal: Journal
) -> None:
    """It is not authorized again: the card pays all that the order costs more."""
    customer, credit = str(uuid_utils.uuid7()), 3000
    grant = GrantCredit(amount=CreditAmount(amount=credit, currency="EUR"), reason="made by a test")
    StoreCredit(connections.engine).grant(customer, grant, Granter("staff:test", f"test:{customer}"))
    fields: dict[str, object] = {"customer_id": customer, "use_store_credit": True}
    basket = await order_from_denmark(place, make_product, connections, skipping, **fields)
    order = basket.order
    assert await move(order, "US", method=OTHER_CARD) == AddressAnswer()
    assert effects(provider_journal, order) == [
        ("authorization", DENMARK - credit),
        ("authorization", AMERICA - credit),
        ("void", DENMARK - credit),
    ]
    await basket.deliver()
    check_paid(order, connections, AMERICA)
    assert order.view().payment.store_credit.captured.amount == credit


async def test_only_what_was_not_cancelled_is_authorized(
    basket: Basket, provider_journal: Journal, connections: Connections
) -> None:
    """67.62 of 81.14 were left, so 69.10 of 82.91 are."""
    order = basket.order
    request = CANCEL.model_copy(update={"lines": [CancelledLine(sku=basket.shirt, quantity=1)]})
    await order.handle.execute_update(CheckoutWorkflow.cancel, request)
    assert await move(order, "US", method=OTHER_CARD) == AddressAnswer()
    assert effects(provider_journal, order) == [("authorization", DENMARK), ("authorization", 6910), ("void", DENMARK)]
    await basket.deliver()
    assert order.view().payment.captured.amount == 6910
    assert sum(Ledger(connections.engine).balances(order.id).values()) == 0
