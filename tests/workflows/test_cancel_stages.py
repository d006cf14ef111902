"""A customer cancels at every stage of an order of one, two or three parcels: both sides agree, to the cent."""

from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import pytest
from temporalio.client import WorkflowUpdateFailedError, WorkflowUpdateStage
from temporalio.service import RPCError, RPCStatusCode

from adapters.connections import Connections
from adapters.mysql.orders.stock import Stock
from adapters.mysql.payments.ledger import Ledger
from domain.fulfilment import ParcelStatus
from domain.orders import FulfilmentStatus, OrderStatus, PaymentStatus
from schemas.checkout import CheckoutResult
from schemas.order_requests import CancelOrder
from tests.fixture_types import MakeProduct
from tests.workflows.carrier import CarrierControl
from tests.workflows.orders import Order, Place, refusal
from tests.workflows.parcels import Arm
from tests.workflows.provider import Journal, MakeFault
from tests.workflows.waiting import until
from workflows.orders.checkout import CheckoutWorkflow

P = ParcelStatus
CANCEL = CancelOrder(actor="customer:test", reason="changed my mind")
IN_STOCK = 5
# Each parcel's warehouse, and the price of what it holds.
GOODS = {"BER": 1000, "AMS": 3001, "ROT": 2345}
# What each parcel is worth in an order of so many, with its share of shipping and tax: of 17.14, 52.85 and 81.35.
SHARES = {1: (1714,), 2: (1321, 3964), 3: (1282, 3847, 3006)}


@dataclass
class Scene:
    """An order of so many parcels, and what brings it to a stage."""

    order: Order
    parcels: int
    carrier: CarrierControl
    end_faults: Callable[[], None]

    async def report(self, status: ParcelStatus, number: int) -> None:
        """The carrier moves the parcel on, and says so."""
        self.carrier.advance(self.order.id, status, number)
        await self.order.carrier_event(status, number)

    async def dispatch(self, first: int) -> None:
        """The first parcels are handed over, and paid for."""
        for number in range(1, first + 1):
            await self.report(P.DISPATCHED, number)
        await until(lambda: self.order.event_types().count("payment.captured") == first)

    async def deliver(self, first: int) -> None:
        for number in range(1, first + 1):
            await self.report(P.DELIVERED, number)
        assert (await self.order.handle.result()).status is OrderStatus.DELIVERED


@dataclass(frozen=True)
class Stage:
    """How far an order has come when its customer cancels."""

    name: str
    parcels: int
    dispatched: int = 0
    delivered: bool = False
    authorized: bool = True
    method: str = "pm_card_visa"

    @property
    def id(self) -> str:
        return f"{self.name} of {self.parcels}".replace(" ", "_")


def stages(parcels: int) -> list[Stage]:
    dispatched = [Stage(f"{count} dispatched", parcels, count) for count in range(1, parcels + 1)]
    return [
        Stage("pending", parcels),
        Stage("awaiting payment", parcels, authorized=False, method="pm_card_threeDSecure2Required"),
        Stage("confirmed", parcels),
        Stage("booked", parcels),
        *dispatched,
        Stage("delivered", parcels, parcels, delivered=True),
    ]


async def until_pending(scene: Scene) -> None:
    await scene.order.until(OrderStatus.PENDING)


async def until_awaiting_payment(scene: Scene) -> None:
    await until(scene.order.recorded)
    await scene.order.until(OrderStatus.AWAITING_PAYMENT)


async def until_confirmed(scene: Scene) -> None:
    await scene.carrier.struck(scene.parcels)


async def until_booked(scene: Scene) -> None:
    await until(lambda: scene.order.event_types().count("parcel.booked") == scene.parcels)


REACH: dict[str, Callable[[Scene], Awaitable[None]]] = {
    "pending": until_pending,
    "awaiting payment": until_awaiting_payment,
    "confirmed": until_confirmed,
}


@pytest.mark.parametrize("stage", [stage for parcels in SHARES for stage in stages(parcels)], ids=lambda one: one.id)
async def test_cancelled_at(
    *,
    stage: Stage,
    place: Place,
    make_product: MakeProduct,
    carrier: CarrierControl,
    arm: Arm,
    provider_fault: MakeFault,
    provider_journal: Journal,
    connections: Connections,
) -> None:
    answering = provider_fault("latency", "create", seconds=60) if stage.name == "pending" else None
    if stage.name == "confirmed":
        arm("latency", "book", seconds=60)

    def end_faults() -> None:
        carrier.end_faults()
        if answering is not None:
            answering.end()

    goods = list(GOODS.items())[: stage.parcels]
    order = await place(
        {make_product(stock={warehouse: IN_STOCK}, price=price): 1 for warehouse, price in goods},
        payment_method=stage.method,
    )
    scene = Scene(order, stage.parcels, carrier, end_faults)
    if answering is not None:
        await until(answering.struck)
    await REACH.get(stage.name, until_booked)(scene)
    await scene.dispatch(stage.dispatched)
    if stage.delivered:
        await scene.deliver(stage.dispatched)

    await cancel(scene, stage)
    if stage.dispatched and not stage.delivered:
        await scene.deliver(stage.dispatched)
    check_order(order, stage)
    check_money(order, stage, provider_journal, connections)
    check_goods(order, stage, carrier, connections)


async def cancel(scene: Scene, stage: Stage) -> None:
    """The customer learns at once when it is too late, and otherwise what became of each parcel."""
    handle = scene.order.handle
    if stage.delivered:
        with pytest.raises(RPCError) as ended:
            await handle.execute_update(CheckoutWorkflow.cancel, CANCEL)
        assert ended.value.status is RPCStatusCode.NOT_FOUND
        return
    if stage.dispatched == stage.parcels:
        with pytest.raises(WorkflowUpdateFailedError) as refused:
            await handle.execute_update(CheckoutWorkflow.cancel, CANCEL)
        assert refusal(refused.value) == "too_late"
        return
    accepted = WorkflowUpdateStage.ACCEPTED
    cancelling = await handle.start_update(CheckoutWorkflow.cancel, CANCEL, wait_for_stage=accepted)
    scene.end_faults()
    answer: CheckoutResult = await cancelling.result()
    if stage.dispatched:
        numbers = list(range(1, stage.parcels + 1))
        assert answer.status is OrderStatus.SHIPPED
        assert (answer.dispatched, answer.cancelled) == (numbers[: stage.dispatched], numbers[stage.dispatched :])
    else:
        assert answer.status is OrderStatus.CANCELLED
        assert (await handle.result()).status is OrderStatus.CANCELLED


def check_order(order: Order, stage: Stage) -> None:
    view, shares = order.view(), SHARES[stage.parcels]
    assert view.total.amount == sum(shares)
    if stage.dispatched:
        expected = (OrderStatus.DELIVERED, PaymentStatus.CAPTURED, FulfilmentStatus.DELIVERED)
    else:
        paid = PaymentStatus.VOIDED if stage.authorized else PaymentStatus.NOT_PAID
        expected = (OrderStatus.CANCELLED, paid, FulfilmentStatus.UNFULFILLED)
    assert (view.status, view.payment_status, view.fulfilment_status) == expected
    statuses = [P.DELIVERED if number <= stage.dispatched else P.CANCELLED for number in range(1, stage.parcels + 1)]
    if stage.name not in ("pending", "awaiting payment"):  # where no parcel was begun
        assert [parcel.status for parcel in view.parcels] == statuses


def check_money(order: Order, stage: Stage, journal: Journal, connections: Connections) -> None:
    """Each dispatched parcel is captured by itself, the rest is voided; the provider has done what our ledger says."""
    shares = SHARES[stage.parcels]
    captured, voided = shares[: stage.dispatched], sum(shares[stage.dispatched :])
    expected = [("capture", share) for share in captured]
    if stage.authorized:
        expected += [("authorization", sum(shares))] + [("void", voided)] * bool(voided)
    at_provider = journal(order.id)
    assert sorted((entry["effect"], entry["amount"]) for entry in at_provider) == sorted(expected)
    fees = [("fee", entry["fee"]) for entry in at_provider if entry["fee"]]
    assert order.ledger() == Counter([*expected, *fees])
    assert sum(Ledger(connections.engine).balances(order.id).values()) == 0
    payment = order.view().payment
    assert (payment.held.amount, payment.captured.amount, payment.refunded.amount) == (0, sum(captured), 0)


def check_goods(order: Order, stage: Stage, carrier: CarrierControl, connections: Connections) -> None:
    """What was dispatched is out of stock, all the rest is on sale again, and the carrier has no other booking."""
    stock = Stock(connections.engine)
    for number, line in enumerate(order.input.lines, start=1):
        (level,) = stock.levels(line.sku)
        left = IN_STOCK - (number <= stage.dispatched)
        assert (level.on_hand, level.reserved, level.available) == (left, 0, left)
        booked = [] if stage.name in ("pending", "awaiting payment") else ["cancelled"]
        assert carrier.statuses(order.id, number) == (["delivered"] if number <= stage.dispatched else booked)
