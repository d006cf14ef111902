"""The order's parcels: starts one FulfilmentWorkflow each, signals them, and knows their state."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress

from temporalio import workflow
from temporalio.exceptions import ApplicationError, FailureError
from temporalio.workflow import ChildWorkflowCancellationType, ChildWorkflowHandle, ParentClosePolicy

from domain.fulfilment import ParcelStatus
from schemas.checkout import CheckoutInput
from schemas.fulfilment import FulfilmentInput, HoldParcel, ParcelResult, ParcelUpdated
from schemas.orders import OrderPlaced, ParcelPlan
from schemas.stock import StockAllocated
from workflows.names import FULFILMENT_QUEUE, fulfilment_workflow_id
from workflows.orders.fulfilment import FulfilmentWorkflow
from workflows.waiting import shielded


class OrderParcels:
    """Starts a FulfilmentWorkflow per parcel and keeps the last update of each."""

    def __init__(self, order: CheckoutInput) -> None:
        self._order = order
        self._updates: dict[int, ParcelUpdated] = {}
        self._starting: dict[int, asyncio.Task[ChildWorkflowHandle[FulfilmentWorkflow, ParcelResult]]] = {}
        self._children: dict[int, ChildWorkflowHandle[FulfilmentWorkflow, ParcelResult]] = {}
        self._count = 0
        self._dispatched = 0
        self._backordered: set[int] = set()
        self._started = False
        self.on_hold = False

    def apply(self, update: ParcelUpdated) -> None:
        """A parcel was booked, dispatched, delivered, or will never be dispatched."""
        self._backordered.discard(update.number)
        if update.status is not ParcelStatus.BOOKED:
            self._updates[update.number] = update

    @property
    def past_cancellation(self) -> bool:
        """Whether the order can no longer be cancelled: its parcels are with the warehouse and none is backordered."""
        return self._started and (
            not self._backordered
            or any(ParcelStatus(update.status).was_dispatched for update in self._updates.values())
        )

    @property
    def started(self) -> bool:
        """Whether the parcels have been handed to their warehouses."""
        return self._started

    def any_is_final(self) -> bool:
        """Whether one can no longer be stopped: it was dispatched, or has ended."""
        return any(number in self._updates for number in self._starting)

    def all_are_final(self) -> bool:
        """Whether none can be stopped any more."""
        return self._started and all(number in self._updates for number in self._starting)

    async def hold(self, *, on: bool) -> None:
        """Put every parcel that was not dispatched on hold, or release it."""
        for number, starting in self._starting.items():
            child = await asyncio.shield(starting)
            if number not in self._updates and not child.done():
                with suppress(FailureError):  # it has ended this very moment
                    await shielded(child.signal(FulfilmentWorkflow.hold, HoldParcel(on=on)))

    async def start(self, placed: OrderPlaced) -> None:
        """Hand every parcel to its warehouse."""
        self._started = True
        self._count = len(placed.parcels)
        self._backordered = {parcel.number for parcel in placed.parcels if parcel.backordered}
        for parcel in placed.parcels:
            self._starting[parcel.number] = asyncio.create_task(self._start(parcel))
        for number, starting in self._starting.items():
            # Shielded: a cancellation that arrives while a child starts must not leave us without its handle.
            self._children[number] = await asyncio.shield(starting)

    async def dispatched(self, number: int) -> None:
        """Wait until the parcel is dispatched; raises ApplicationError when the carrier refuses it."""
        await workflow.wait_condition(lambda: number in self._updates or self._ended(number))
        if number not in self._updates:
            await self._children[number]  # raises the reason when the child failed
        update = self._updates[number]
        if ParcelStatus(update.status).is_stopped:
            raise ApplicationError(
                update.message or f"Parcel {number} was {update.status}.",
                {"parcel": number, "carrier_code": update.code},
                type="shipment_refused",
                non_retryable=True,
            )
        self._dispatched += 1

    def all_dispatched(self) -> bool:
        """Whether every parcel's dispatch has been waited for: true once, for the last."""
        return self._dispatched == self._count

    async def delivered(self, number: int) -> None:
        """Wait until the parcel is delivered and its workflow has ended."""
        await workflow.wait_condition(
            lambda: self._updates[number].status is ParcelStatus.DELIVERED or self._ended(number)
        )
        await self._children[number]

    async def cancel_all(self) -> list[int]:
        """Cancel every parcel; answers those that were dispatched all the same. The compensation of `start`."""
        for number, starting in self._starting.items():
            self._children[number] = await starting
        return [number for number in self._children if not await self._stop(number)]

    async def hold_for_payment(self) -> None:
        """Have backordered parcels wait for the payment as well; what is booked already is paid for."""
        await self._signal_backordered(FulfilmentWorkflow.hold_for_payment)

    async def release_for_payment(self) -> None:
        """The payment is authorized again."""
        await self._signal_backordered(FulfilmentWorkflow.release_for_payment)

    async def _signal_backordered(self, signal: Callable[[FulfilmentWorkflow], None]) -> None:
        for number in sorted(self._backordered & self._children.keys()):
            if not self._ended(number):
                with suppress(FailureError):  # it has ended this very moment
                    await shielded(self._children[number].signal(signal))

    async def _start(self, parcel: ParcelPlan) -> ChildWorkflowHandle[FulfilmentWorkflow, ParcelResult]:
        return await workflow.start_child_workflow(
            FulfilmentWorkflow.run,
            FulfilmentInput(
                order_id=self._order.order_id,
                parcel=parcel,
                parcels_in_order=self._count,
                address=self._order.shipping_address,
                shipping_method=self._order.shipping_method,
                on_hold=self.on_hold,
            ),
            id=fulfilment_workflow_id(self._order.order_id, parcel.number),
            task_queue=FULFILMENT_QUEUE,
            # A parcel is cancelled by signal, so that its shipment is cancelled at the carrier; see `cancel_all`.
            parent_close_policy=ParentClosePolicy.ABANDON,
            cancellation_type=ChildWorkflowCancellationType.ABANDON,
            static_summary=f"parcel {parcel.number} of {self._count} from {parcel.warehouse}",
        )

    async def _stop(self, number: int) -> bool:
        if number not in self._updates and not self._ended(number):
            await shielded(self._children[number].signal(FulfilmentWorkflow.cancel))
            await workflow.wait_condition(lambda: number in self._updates or self._ended(number))
        update = self._updates.get(number)
        if update is not None and not ParcelStatus(update.status).is_stopped:
            return False
        await self._children[number]
        return True

    def _ended(self, number: int) -> bool:
        return self._children[number].done()


async def signal_allocations(allocations: Sequence[StockAllocated]) -> None:
    """Wake the parcels, of any order, whose backorder is allocated; one that cannot be signalled checks by itself."""
    for allocated in allocations:
        parcel = workflow.get_external_workflow_handle(fulfilment_workflow_id(allocated.order_id, allocated.parcel))
        with suppress(FailureError):
            await shielded(parcel.signal(FulfilmentWorkflow.stock_allocated))
