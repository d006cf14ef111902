"""Cancelling some lines of an order: units are taken out of parcels that were not dispatched."""

from collections import Counter
from collections.abc import Callable, Iterable

from temporalio import workflow
from temporalio.exceptions import ApplicationError

from domain.events import EventType
from domain.orders import OrderStatus
from schemas.base import Money
from schemas.checkout import CancelledLine, CheckoutResult, units_of
from schemas.fulfilment import ReduceParcel
from schemas.order_requests import CancelOrder
from schemas.picking import PickParcel
from workflows.orders.compensation import show_unknown
from workflows.orders.parcels import OrderParcels
from workflows.orders.records import OrderRecorder
from workflows.parcels.allocations import signal_allocations
from workflows.waiting import run_all


class LineCancellation:
    """A parcel of which nothing is left is stopped; another is booked again without the cancelled units.

    What is cancelled is not charged: its part of its parcel's share of the total, see docs/decisions/0027.
    """

    def __init__(self, parcels: OrderParcels, recorder: OrderRecorder, currency: str) -> None:
        self._parcels = parcels
        self._recorder = recorder
        self._currency = currency
        self._requests = 0

    def check_may(self, lines: Iterable[CancelledLine]) -> None:
        """Raise ApplicationError unless these units are in parcels that may still be stopped."""
        if not self._parcels.started:
            message = "The order is not confirmed yet: cancel all of it, or wait until it is."
            raise ApplicationError(message, type="not_confirmed")
        left = self._cancellable()
        if missing := {sku: left[sku] for sku, units in units_of(lines).items() if units > left[sku]}:
            message = "So many units are not in parcels that can still be stopped."
            raise ApplicationError(message, {"cancellable": missing}, type="too_late")

    def are_everything(self, lines: Iterable[CancelledLine]) -> bool:
        """Whether nothing would be left to dispatch: that is a cancellation of the order."""
        return units_of(lines) == self._cancellable()

    async def cancel(self, request: CancelOrder) -> CheckoutResult:
        """Cancel them; answers what really was. Raises ApplicationError when everything was dispatched meanwhile."""
        async with self._parcels.one_change_at_a_time:
            result = await self._cancel(request, self._by_parcel(units_of(request.lines)))
        if result is None:
            raise ApplicationError("All of this had been dispatched already.", type="too_late")
        return result

    async def cancel_missing(
        self, number: int, pick: PickParcel, request: CancelOrder, cancel_rest: Callable[[CancelOrder], None]
    ) -> None:
        """Cancel what is in the parcel and was not picked, as if its customer had; a repeat finds nothing of it."""
        async with self._parcels.one_change_at_a_time:
            missing = self._parcels.undecided().get(number, Counter()) - pick.units
            if missing and missing == self._cancellable():
                cancel_rest(request)
            elif missing:
                await self._cancel(request, [(number, missing)])

    async def _cancel(self, request: CancelOrder, units: list[tuple[int, Counter[str]]]) -> CheckoutResult | None:
        """Cancel units of parcels; None when all of these were dispatched meanwhile."""
        self._requests += 1
        step = f"lines-{self._requests}"
        cancelled, amounts = Counter[str](), list[int]()

        async def take_out(number: int, units: Counter[str]) -> None:
            amount = await self._take_out(number, units, step, request)
            if amount is not None:
                cancelled.update(units)
                amounts.append(amount)

        await run_all(*(take_out(*one) for one in units))
        return await self._record(step, request, _lines(cancelled), sum(amounts)) if cancelled else None

    async def _take_out(self, number: int, units: Counter[str], step: str, request: CancelOrder) -> int | None:
        """What the units would have cost; None when their parcel was dispatched."""
        before = self._parcels.amount(number)
        if units == self._parcels.undecided().get(number):
            await self._stop(number)
        else:
            command = ReduceParcel(
                order_id=self._recorder.order_id,
                number=number,
                step=step,
                lines=_lines(units),
                actor=request.actor,
                reason=request.reason,
            )
            reduction = await self._parcels.reduce(command)
            if reduction is not None and reduction.reduced is not None:
                await signal_allocations(reduction.reduced.allocated)
                return before - self._parcels.amount(number)
        return before if number in self._parcels.stopped else None

    async def _stop(self, number: int) -> None:
        """Stop the parcel; while nobody knows whether it could be stopped, an operator may say."""
        order_id, timeline = self._recorder.order_id, self._recorder.timeline
        await self._parcels.request_stop_of(number)
        await workflow.wait_condition(lambda: self._parcels.is_decided(number) or number in self._parcels.unknown)
        if not self._parcels.is_decided(number):
            show_unknown(timeline, order_id, number, self._parcels.unknown[number])
            await workflow.wait_condition(lambda: self._parcels.is_decided(number))
            show_unknown(timeline, order_id, number, "")

    def _cancellable(self) -> Counter[str]:
        return sum(self._parcels.undecided().values(), Counter[str]())

    def _by_parcel(self, wanted: Counter[str]) -> list[tuple[int, Counter[str]]]:
        """From which parcels the units are taken: those that leave last come first."""
        taken = []
        for number, contents in self._parcels.undecided().items():
            units = wanted & contents
            wanted = wanted - units
            if units:
                taken.append((number, units))
        return taken

    async def _record(
        self, step: str, request: CancelOrder, lines: list[CancelledLine], not_charged: int
    ) -> CheckoutResult:
        data: dict[str, object] = {
            "lines": [line.model_dump() for line in lines],
            "not_charged": Money(amount=not_charged, currency=self._currency).model_dump(),
            "reason": request.reason,
        }
        await self._recorder.record(step, None, EventType.ORDER_LINES_CANCELLED, actor=request.actor, data=data)
        return CheckoutResult(
            order_id=self._recorder.order_id,
            status=OrderStatus.PROCESSING,
            reason="lines_cancelled",
            dispatched=self._parcels.dispatched,
            cancelled=self._parcels.stopped,
            cancelled_lines=lines,
            not_charged=not_charged,
        )


def _lines(units: Counter[str]) -> list[CancelledLine]:
    return [CancelledLine(sku=sku, quantity=quantity) for sku, quantity in sorted(units.items())]
