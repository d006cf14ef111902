"""The order's side of the talk with its parcels: one FulfilmentWorkflow each, side by side."""

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
    """Starts a FulfilmentWorkflow per parcel and knows what each has told so far."""

    def __init__(self, order: CheckoutInput) -> None:
        self._order = order
        self._told: dict[int, ParcelUpdated] = {}
        self._starting: dict[int, asyncio.Task[ChildWorkflowHandle[FulfilmentWorkflow, ParcelResult]]] = {}
        self._children: dict[int, ChildWorkflowHandle[FulfilmentWorkflow, ParcelResult]] = {}
        self._count = 0
        self._departed = 0
        self._waiting: set[int] = set()
        self._begun = False
        self.on_hold = False

    def hear(self, told: ParcelUpdated) -> None:
        """A parcel has its goods, has left, arrived, or will never leave."""
        self._waiting.discard(told.number)
        if told.status is not ParcelStatus.BOOKED:
            self._told[told.number] = told

    @property
    def past_cancellation(self) -> bool:
        """Whether a customer can no longer stop the order: its parcels are with the warehouse, none waits for goods."""
        return self._begun and (
            not self._waiting or any(ParcelStatus(told.status).has_left for told in self._told.values())
        )

    @property
    def begun(self) -> bool:
        """Whether the parcels have been handed to their warehouses."""
        return self._begun

    def any_is_gone(self) -> bool:
        """Whether one is past being stopped: it has left, or has come to its end."""
        return any(number in self._told for number in self._starting)

    def all_are_gone(self) -> bool:
        """Whether that is so of every parcel."""
        return self._begun and all(number in self._told for number in self._starting)

    async def hold(self, *, on: bool) -> None:
        """Have every parcel that has not left stay where it is, or go on."""
        for number, starting in self._starting.items():
            child = await asyncio.shield(starting)
            if number not in self._told and not child.done():
                with suppress(FailureError):  # it has ended this very moment
                    await shielded(child.signal(FulfilmentWorkflow.hold, HoldParcel(on=on)))

    async def start(self, placed: OrderPlaced) -> None:
        """Hand every parcel to its warehouse."""
        self._begun = True
        self._count = len(placed.parcels)
        self._waiting = {parcel.number for parcel in placed.parcels if parcel.backordered}
        for parcel in placed.parcels:
            self._starting[parcel.number] = asyncio.create_task(self._start(parcel))
        for number, starting in self._starting.items():
            # Shielded: a cancellation that arrives while a child starts must not leave us without its handle.
            self._children[number] = await asyncio.shield(starting)

    async def left(self, number: int) -> None:
        """Wait until the parcel is out of the warehouse; raises ApplicationError when the carrier refuses it."""
        await workflow.wait_condition(lambda: number in self._told or self._ended(number))
        if number not in self._told:
            await self._children[number]  # raises the reason when the child failed
        told = self._told[number]
        if ParcelStatus(told.status).is_stopped:
            raise ApplicationError(
                told.message or f"Parcel {number} was {told.status}.",
                {"parcel": number, "carrier_code": told.code},
                type="shipment_refused",
                non_retryable=True,
            )
        self._departed += 1

    def all_have_left(self) -> bool:
        """Whether every parcel's departure has been waited for: true once, for the last."""
        return self._departed == self._count

    async def delivered(self, number: int) -> None:
        """Wait until the parcel has arrived and its workflow has ended."""
        await workflow.wait_condition(
            lambda: self._told[number].status is ParcelStatus.DELIVERED or self._ended(number)
        )
        await self._children[number]

    async def call_back(self) -> list[int]:
        """Stop every parcel; answers those that are on their way all the same. The undo of `start`."""
        for number, starting in self._starting.items():
            self._children[number] = await starting
        return [number for number in self._children if not await self._stop(number)]

    async def hold_for_payment(self) -> None:
        """Have parcels that wait for their goods wait for the money as well; what is booked already is paid for."""
        await self._tell_waiting(FulfilmentWorkflow.hold_for_payment)

    async def go_on(self) -> None:
        """The money is there again."""
        await self._tell_waiting(FulfilmentWorkflow.go_on)

    async def _tell_waiting(self, signal: Callable[[FulfilmentWorkflow], None]) -> None:
        for number in sorted(self._waiting & self._children.keys()):
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
            # A parcel is called back by asking, so that the carrier hears of it; see `call_back`.
            parent_close_policy=ParentClosePolicy.ABANDON,
            cancellation_type=ChildWorkflowCancellationType.ABANDON,
            static_summary=f"parcel {parcel.number} of {self._count} from {parcel.warehouse}",
        )

    async def _stop(self, number: int) -> bool:
        if number not in self._told and not self._ended(number):
            await shielded(self._children[number].signal(FulfilmentWorkflow.call_back))
            await workflow.wait_condition(lambda: number in self._told or self._ended(number))
        told = self._told.get(number)
        if told is not None and not ParcelStatus(told.status).is_stopped:
            return False
        await self._children[number]
        return True

    def _ended(self, number: int) -> bool:
        return self._children[number].done()


async def signal_allocations(arrived: Sequence[StockAllocated]) -> None:
    """Wake the parcels, of whatever order, that have what they waited for; one that cannot be told looks by itself."""
    for goods in arrived:
        waiting = workflow.get_external_workflow_handle(fulfilment_workflow_id(goods.order_id, goods.parcel))
        with suppress(FailureError):
            await shielded(waiting.signal(FulfilmentWorkflow.stock_allocated))
