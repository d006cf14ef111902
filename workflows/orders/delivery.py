"""How an order's parcels are delivered: each share of the payment is captured once its parcel was dispatched."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ApplicationError

from domain.orders import OrderStatus
from schemas.orders import OrderPlaced
from workflows.orders.parcels import OrderParcels
from workflows.orders.payment import OrderPayment
from workflows.orders.records import OrderRecorder
from workflows.orders.reservation import StockReservation
from workflows.timeline import Timeline
from workflows.waiting import accompanied, run_all

PARCEL_UNKNOWN = "parcel_unknown"


class Delivery:
    """Delivers all parcels of an order, side by side, or stops them. A parcel that is stopped touches no other."""

    def __init__(
        self,
        parcels: OrderParcels,
        payment: OrderPayment,
        reservation: StockReservation,
        recorder: OrderRecorder,
        timeline: Timeline,
    ) -> None:
        self._parcels = parcels
        self._payment = payment
        self._reservation = reservation
        self._recorder = recorder
        self._timeline = timeline
        self._decided = 0
        self._paid: set[int] = set()
        self._one_capture_at_a_time = asyncio.Lock()
        self._captured_finally = False

    async def deliver(self, placed: OrderPlaced, keep_paid: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Hand every parcel to its warehouse; returns when each has been delivered and captured, or was stopped.

        `keep_paid` runs beside as long as something may have to be captured. Raises ApplicationError when none of them
        is dispatched.
        """
        await self._parcels.start(placed)
        self._recorder.show(OrderStatus.PROCESSING, f"{len(placed.parcels)} parcel(s) handed to the warehouse")
        await run_all(
            accompanied(self._dispatch_all(placed), keep_paid()),
            *(self._follow(parcel.number) for parcel in placed.parcels),
        )

    async def stop(self, placed: OrderPlaced) -> None:
        """The compensation of `deliver`: stops each parcel by itself; what was dispatched all the same is captured.

        Raises ApplicationError naming the parcels of which nobody knows whether they were dispatched, and one whose
        capture is declined.
        """
        await self._parcels.stop_all()
        for parcel in placed.parcels:
            if parcel.number in self._parcels.dispatched:
                amount = self._parcels.amount(parcel.number)
                await self._payment.capture(parcel.number, amount, final=False, compensating=True)
        if unknown := self._parcels.unknown:
            texts = [f"parcel {number}: {why}" for number, why in unknown.items()]
            raise ApplicationError("; ".join(texts), type=PARCEL_UNKNOWN, non_retryable=True)

    async def void(self) -> None:
        """Void what is left of the payment, once no parcel is unknown; the compensation of authorizing it."""
        self._check_known("the authorization is kept")
        await self._payment.void()

    async def release_stock(self) -> None:
        """Release the stock of every parcel that is known to be stopped; the compensation of reserving it."""
        if not (self._parcels.dispatched or self._parcels.unknown):
            await self._reservation.release()
            return
        if stopped := self._parcels.stopped:
            await self._reservation.release(stopped)
        self._check_known("its stock stays reserved")

    async def follow_dispatched(self) -> None:
        """Wait for the end of everything that was dispatched."""
        await run_all(*(self._until_ended(number) for number in self._parcels.dispatched))

    async def _dispatch_all(self, placed: OrderPlaced) -> None:
        await run_all(*(self._dispatch(parcel.number, len(placed.parcels)) for parcel in placed.parcels))
        if not self._parcels.dispatched:
            raise self._parcels.refusal()
        self._reservation.stop()
        if not self._captured_finally:
            await self._payment.void()

    async def _dispatch(self, number: int, parcels: int) -> None:
        """Its share of the payment is captured once it was dispatched, and only then."""
        was_dispatched = await self._parcels.until_decided(number)
        self._decided += 1
        if not was_dispatched:
            self._timeline.add(f"parcel {number} is not dispatched")
            if parcels > 1:  # otherwise nothing is left of the order
                await self._reservation.release([number])
            return
        all_are_decided = self._decided == parcels
        status = OrderStatus.SHIPPED if all_are_decided else OrderStatus.PROCESSING
        self._recorder.show(status, f"parcel {number} dispatched")
        await self._capture(number)
        self._timeline.add(f"parcel {number} captured")

    async def _capture(self, number: int) -> None:
        """Capture one share at a time: signals sent together arrive in any sequence, and after the final capture
        nothing is authorized any more.
        """
        async with self._one_capture_at_a_time:
            amount = self._parcels.amount(number)
            others = set(self._parcels.dispatched) - self._paid - {number}
            final = self._parcels.all_are_decided and not others
            self._captured_finally = final and amount > 0
            await self._payment.capture(number, amount, final=final)
            self._paid.add(number)

    async def _follow(self, number: int) -> None:
        if await self._parcels.until_decided(number):
            await workflow.wait_condition(lambda: number in self._paid)
            await self._until_ended(number)

    async def _until_ended(self, number: int) -> None:
        update = await self._parcels.until_ended(number)
        self._timeline.add(f"parcel {number} {update.status}")

    def _check_known(self, consequence: str) -> None:
        if unknown := self._parcels.unknown:
            names = ", ".join(map(str, unknown))
            message = f"It is not known whether parcel {names} was dispatched: {consequence}."
            raise ApplicationError(message, type=PARCEL_UNKNOWN, non_retryable=True)
