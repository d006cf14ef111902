"""A customer cancels an order, or one unit of it, at every stage, after any number of its one, two or three parcels was
handed over: both sides agree, to the cent.

The orders of a stage are played side by side.
"""

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

import pytest
from temporalio.client import WorkflowUpdateFailedError, WorkflowUpdateStage
from temporalio.service import RPCError, RPCStatusCode

from adapters.connections import Connections
from adapters.mysql.orders.stock import Stock
from adapters.mysql.payments.ledger import Ledger
from domain.fulfilment import ParcelStatus
from domain.orders import FulfilmentStatus, OrderStatus, PaymentStatus
from schemas.checkout import CancelledLine, CheckoutResult
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
ACCEPTED = WorkflowUpdateStage.ACCEPTED
IN_STOCK, UNITS = 5, 2
# Each parcel's warehouse, and the price of the two units in it.
GOODS = {"BER": 1000, "AMS": 3001, "ROT": 2345}
# What each parcel is worth in an order of so many, with its share of shipping and tax: of 29.04, 101.05 and 157.46.
SHARES = {1: (2904,), 2: (2526, 7579), 3: (2481, 7446, 5819)}
# What is left of the last one's share without one of its units.
WITHOUT_ONE = {1: 1452, 2: 3790, 3: 2910}


class Stage(StrEnum):
    PENDING = "pending"
    AWAITING_PAYMENT = "awaiting payment"
    CONFIRMED = "confirmed"
    BOOKED = "booked"
    DISPATCHED = "dispatched"
    DELIVERED = "delivered"

    @property
    def is_before_the_parcels(self) -> bool:
        return self in (Stage.PENDING, Stage.AWAITING_PAYMENT)


class What(StrEnum):
    ORDER = "the order"
    UNIT = "a unit of its last parcel"


@dataclass(frozen=True)
class Cell:
    """How far an order of so many parcels has come when its customer cancels, and what they cancel."""

    stage: Stage
    parcels: int
    handed_over: int
    what: What

    @property
    def refusal(self) -> str | None:
        """Why it cannot be cancelled."""
        if self.handed_over == self.parcels:
            return "too_late"
        return "not_confirmed" if self.what is What.UNIT and self.stage.is_before_the_parcels else None

    @property
    def units(self) -> list[int]:
        """What the customer gets in each parcel; who may not cancel a unit yet cancels the order."""
        rest = [0] * (self.parcels - self.handed_over)
        if rest and self.what is What.UNIT and not self.refusal:
            rest = [*[UNITS] * (len(rest) - 1), UNITS - 1]
        return [*[UNITS] * self.handed_over, *rest]

    @property
    def captures(self) -> list[int]:
        """What is captured for each of them."""
        worth = {0: 0, UNITS - 1: WITHOUT_ONE[self.parcels]}
        shares = zip(self.units, SHARES[self.parcels], strict=True)
        return [worth.get(units, share) for units, share in shares]


def cells(stage: Stage) -> Iterator[Cell]:
    for parcels in SHARES:
        for handed_over in range(1, parcels + 1) if stage in (Stage.DISPATCHED, Stage.DELIVERED) else [0]:
            yield from (Cell(stage, parcels, handed_over, what) for what in What)


@dataclass
class Play:
    """One order of the grid."""

    cell: Cell
    order: Order
    carrier: CarrierControl

    async def reach(self) -> None:
        """Nothing of it goes on by itself after that."""
        cell, order = self.cell, self.order
        await until(order.recorded)
        if cell.stage is Stage.AWAITING_PAYMENT:
            await order.until(OrderStatus.AWAITING_PAYMENT)
        if cell.stage in (Stage.PENDING, Stage.AWAITING_PAYMENT, Stage.CONFIRMED):
            return
        await self._booked(cell.parcels)
        await self._move(P.DISPATCHED, range(1, cell.handed_over + 1))
        if cell.stage is Stage.DELIVERED:
            await self._move(P.DELIVERED, range(1, cell.handed_over + 1))
            if cell.refusal:
                await order.handle.result()

    async def refuse(self) -> None:
        """What cannot be done is answered at once, and changes nothing."""
        if self.cell.stage is Stage.DELIVERED and self.cell.refusal:
            with pytest.raises(RPCError) as ended:
                await self.order.handle.execute_update(CheckoutWorkflow.cancel, self._request())
            assert ended.value.status is RPCStatusCode.NOT_FOUND
        elif self.cell.refusal:
            with pytest.raises(WorkflowUpdateFailedError) as refused:
                await self.order.handle.execute_update(CheckoutWorkflow.cancel, self._request())
            assert refusal(refused.value) == self.cell.refusal

    async def cancel(self) -> asyncio.Task[CheckoutResult] | None:
        """Accepted; the answer comes once it is done."""
        if self.cell.refusal == "too_late":
            return None
        request = CANCEL if self.cell.refusal else self._request()
        update = await self.order.handle.start_update(CheckoutWorkflow.cancel, request, wait_for_stage=ACCEPTED)
        return asyncio.create_task(update.result())

    async def deliver_rest(self) -> None:
        """Whatever is left of it comes to its end."""
        cell = self.cell
        rest = [number for number, units in enumerate(cell.units, start=1) if units and number > cell.handed_over]
        if rest:
            await self._booked(cell.parcels + 1)  # the last one again, without the unit
            await self._move(P.DISPATCHED, rest)
        if any(cell.units):
            await self._move(P.DELIVERED, range(1, cell.parcels + 1) if rest else range(1, cell.handed_over + 1))
        await self.order.handle.result()

    async def _booked(self, times: int) -> None:
        await until(lambda: self.order.event_types().count("parcel.booked") == times)

    async def _move(self, status: ParcelStatus, numbers: Sequence[int]) -> None:
        """The carrier moves these parcels on, and says so; one that it has moved so far already stays where it is."""
        for number in numbers:
            if self.carrier.statuses(self.order.id, number)[-1] != status:
                self.carrier.advance(self.order.id, status, number)
                await self.order.carrier_event(status, number)
        last = max(numbers, default=0)
        await until(lambda: self.order.event_types().count(f"parcel.{status}") == last)
        if status is P.DISPATCHED:
            await until(lambda: self.order.event_types().count("payment.captured") == last)

    def _request(self) -> CancelOrder:
        if self.cell.what is What.ORDER:
            return CANCEL
        unit = CancelledLine(sku=self.order.input.lines[-1].sku, quantity=1)
        return CANCEL.model_copy(update={"lines": [unit]})


@pytest.mark.parametrize("stage", Stage)
async def test_cancelled_when(
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
    grid = list(cells(stage))
    paying = provider_fault("latency", "create", times=len(grid), seconds=60) if stage is Stage.PENDING else None
    if stage is Stage.CONFIRMED:
        arm("latency", "book", seconds=60)
    plays = [Play(cell, await begin(cell, place, make_product), carrier) for cell in grid]
    await asyncio.gather(*(play.reach() for play in plays))
    if paying is not None:
        await until(paying.struck)
    if stage is Stage.CONFIRMED:
        await carrier.struck(sum(cell.parcels for cell in grid))
    await asyncio.gather(*(play.refuse() for play in plays))
    answers = await asyncio.gather(*(play.cancel() for play in plays))
    carrier.end_faults()
    if paying is not None:
        paying.end()
    for play, answer in zip(plays, answers, strict=True):
        if answer is not None:
            check_answer(play, await answer)
    await asyncio.gather(*(play.deliver_rest() for play in plays))
    for play in plays:
        check_order(play)
        check_money(play, provider_journal, connections)
        check_goods(play, connections)


async def begin(cell: Cell, place: Place, make_product: MakeProduct) -> Order:
    goods = list(GOODS.items())[: cell.parcels]
    method = "pm_card_threeDSecure2Required" if cell.stage is Stage.AWAITING_PAYMENT else "pm_card_visa"
    lines = {make_product(stock={warehouse: IN_STOCK}, price=price): UNITS for warehouse, price in goods}
    return await place(lines, payment_method=method)


def check_answer(play: Play, answer: CheckoutResult) -> None:
    """What became of each parcel, or of the lines."""
    cell = play.cell
    if cell.what is What.UNIT and not cell.refusal:
        assert answer.cancelled_lines == [CancelledLine(sku=play.order.input.lines[-1].sku, quantity=1)], cell
        assert answer.not_charged == SHARES[cell.parcels][-1] - WITHOUT_ONE[cell.parcels], cell
    elif cell.handed_over:
        numbers = list(range(1, cell.parcels + 1))
        assert answer.status is OrderStatus.SHIPPED, cell
        split = numbers[: cell.handed_over], numbers[cell.handed_over :]
        assert (answer.dispatched, answer.cancelled) == split, cell
    else:
        assert answer.status is OrderStatus.CANCELLED, cell


def check_order(play: Play) -> None:
    cell, view = play.cell, play.order.view()
    assert view.total.amount == sum(SHARES[cell.parcels]), cell
    if any(cell.units):
        expected = (OrderStatus.DELIVERED, PaymentStatus.CAPTURED, FulfilmentStatus.DELIVERED)
    else:
        paid = PaymentStatus.NOT_PAID if cell.stage is Stage.AWAITING_PAYMENT else PaymentStatus.VOIDED
        expected = (OrderStatus.CANCELLED, paid, FulfilmentStatus.UNFULFILLED)
    assert (view.status, view.payment_status, view.fulfilment_status) == expected, cell
    if not cell.stage.is_before_the_parcels:  # where none was begun
        statuses = [P.DELIVERED if units else P.CANCELLED for units in cell.units]
        assert [parcel.status for parcel in view.parcels] == statuses, cell
    if any(cell.units):
        assert [line.quantity - line.cancelled for line in view.lines] == cell.units, cell


def check_money(play: Play, journal: Journal, connections: Connections) -> None:
    """Each dispatched parcel is captured by itself, the rest is voided; the provider has done what our ledger says."""
    cell, order = play.cell, play.order
    total, captured = sum(SHARES[cell.parcels]), sum(cell.captures)
    effects = [("capture", amount) for amount in cell.captures if amount]
    if cell.stage is not Stage.AWAITING_PAYMENT:
        effects += [("authorization", total)] + [("void", total - captured)] * (captured < total)
    at_provider = journal(order.id)
    assert sorted((entry["effect"], entry["amount"]) for entry in at_provider) == sorted(effects), cell
    fees = [("fee", entry["fee"]) for entry in at_provider if entry["fee"]]
    assert order.ledger() == Counter([*effects, *fees]), cell
    assert sum(Ledger(connections.engine).balances(order.id).values()) == 0, cell
    payment = order.view().payment
    assert (payment.held.amount, payment.captured.amount, payment.refunded.amount) == (0, captured, 0), cell


def check_goods(play: Play, connections: Connections) -> None:
    """What was dispatched is out of stock, all the rest is on sale again, and the carrier has no other booking."""
    cell, order, stock = play.cell, play.order, Stock(connections.engine)
    for number, (line, units) in enumerate(zip(order.input.lines, cell.units, strict=True), start=1):
        (level,) = stock.levels(line.sku)
        left = IN_STOCK - units
        assert (level.on_hand, level.reserved, level.available) == (left, 0, left), cell
        bookings = ["cancelled"] * (0 < units < UNITS) + ["delivered"] if units else ["cancelled"]
        expected = [] if cell.stage.is_before_the_parcels else bookings
        assert play.carrier.statuses(order.id, number) == expected, cell
