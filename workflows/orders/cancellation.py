"""Cancellation of an order: at once until its parcels are handed to the warehouse, after that parcel by parcel."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ApplicationError

from domain.actors import SYSTEM_ACTOR
from domain.orders import OrderStatus
from domain.parcels import SHORT_PICK
from schemas.checkout import CheckoutResult
from schemas.order_requests import CancelOrder
from schemas.picking import PickParcel
from workflows.orders.line_cancellation import LineCancellation
from workflows.orders.parcels import OrderParcels
from workflows.orders.records import OrderRecorder


class Cancellation:
    """Runs the order's steps, and stops what has not been dispatched when somebody cancels.

    `by` is who cancels, for as long as it may come to that: an order of which something was dispatched goes on.
    """

    def __init__(self, parcels: OrderParcels, recorder: OrderRecorder, currency: str) -> None:
        self._order_id = recorder.order_id
        self._parcels = parcels
        self._timeline = recorder.timeline
        self._lines = LineCancellation(parcels, recorder, currency)
        self._steps: asyncio.Task[None] | None = None
        self._stopping: asyncio.Task[None] | None = None
        self.by: CancelOrder | None = None

    async def run(self, steps: Coroutine[Any, Any, None]) -> None:
        """Run the steps to their end. A cancellation in the Web UI is one by staff, within the same limits."""
        self._steps = asyncio.create_task(steps)
        if self.by is not None:  # a handler may run before `run` does
            self._steps.cancel()
        while True:
            try:
                return await asyncio.shield(self._steps)
            except asyncio.CancelledError:
                if self._steps.done():
                    return await self._steps
                if self._parcels.all_are_decided:
                    self._timeline.add("cancellation ignored: everything was dispatched")
                elif self.by is None:
                    self.begin(CancelOrder(actor=SYSTEM_ACTOR, reason="cancelled by an operator"))

    def begin(self, request: CancelOrder) -> None:
        """Stop everything that can be stopped."""
        self.by = request
        if self._parcels.started:
            self._stopping = asyncio.create_task(self._stop_parcels(request))
        elif self._steps is not None:
            self._steps.cancel()

    async def cancel(self, request: CancelOrder, result: Callable[[], CheckoutResult | None]) -> CheckoutResult:
        """Cancel, and wait until the order is compensated, or every parcel is decided and one of them goes on."""
        if request.lines and not self._lines.are_everything(request.lines):
            return await self._lines.cancel(request)
        self.begin(request)
        await workflow.wait_condition(lambda: result() is not None or self._goes_on())
        return result() or self._partly()

    async def cancel_missing(self, number: int, pick: PickParcel) -> None:
        """Cancel what was missing when the parcel was picked; the order, when nothing else is left to dispatch."""
        if self.by is None:
            request = CancelOrder(actor=pick.actor, reason=SHORT_PICK)
            await self._lines.cancel_missing(number, pick, request, self._cancel_rest)

    def _cancel_rest(self, request: CancelOrder) -> None:
        if self.by is None:
            self.begin(request)

    def _partly(self) -> CheckoutResult:
        """The answer about an order of which something goes on; raises ApplicationError when all of it does."""
        if not self._parcels.stopped:
            raise ApplicationError("Everything had been dispatched already.", type="too_late")
        return CheckoutResult(
            order_id=self._order_id,
            status=OrderStatus.SHIPPED,
            reason="dispatched",
            dispatched=self._parcels.dispatched,
            cancelled=self._parcels.stopped,
        )

    def check_may(self, request: CancelOrder) -> None:
        """Raise ApplicationError when everything was handed over, or is being cancelled already, or when the lines are
        not those of parcels that can still be stopped.
        """
        if self._parcels.all_are_decided:
            raise ApplicationError("The order is past the point where it can be cancelled.", type="too_late")
        if self.by is not None:
            raise ApplicationError("The order is being cancelled already.", type="already_cancelling")
        if request.lines:
            self._lines.check_may(request.lines)

    async def _stop_parcels(self, request: CancelOrder) -> None:
        await self._parcels.request_stop()
        await workflow.wait_condition(lambda: self._parcels.all_are_decided or bool(self._parcels.unknown))
        if not self._parcels.all_are_decided:
            assert self._steps is not None
            self._steps.cancel()  # its compensation waits, visible, for what became of the unknown ones
        elif self._goes_on():
            self._timeline.add(f"{request.actor} cancelled what had not been dispatched: {request.reason}")
            self.by = None

    def _goes_on(self) -> bool:
        return self._parcels.all_are_decided and bool(self._parcels.dispatched)
