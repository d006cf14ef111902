"""How an order's parcels are delivered: each share of the payment is captured once its parcel was dispatched."""

import asyncio

from temporalio.exceptions import ApplicationError

from domain.orders import OrderStatus
from schemas.orders import OrderPlaced
from workflows.orders.parcels import OrderParcels
from workflows.orders.payment import OrderPayment
from workflows.orders.records import OrderRecorder
from workflows.orders.reservation import StockReservation
from workflows.timeline import Timeline


class Delivery:
    """Delivers all parcels of an order, side by side, or cancels them."""

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

    async def deliver(self, placed: OrderPlaced) -> None:
        """Hand every parcel to its warehouse; returns when all are delivered and captured."""
        await self._parcels.start(placed)
        self._recorder.show(OrderStatus.PROCESSING, f"{len(placed.parcels)} parcel(s) handed to the warehouse")
        await asyncio.gather(*(self._deliver_one(parcel.number, parcel.amount) for parcel in placed.parcels))

    async def cancel(self, placed: OrderPlaced) -> None:
        """The compensation of `deliver`. What was dispatched all the same is captured; an operator decides the rest."""
        dispatched = await self._parcels.cancel_all()
        if not dispatched:
            return
        for parcel in placed.parcels:
            if parcel.number in dispatched:
                await self._payment.capture(parcel.number, parcel.amount, final=False, compensating=True)
        names = ", ".join(map(str, dispatched))
        raise ApplicationError(f"Parcel {names} was dispatched and cannot be cancelled.", type="parcel_dispatched")

    async def _deliver_one(self, number: int, amount: int) -> None:
        """Its share of the payment is captured once it was dispatched, and only then."""
        await self._parcels.dispatched(number)
        final = self._parcels.all_dispatched()
        if final:
            self._reservation.stop()
        self._recorder.show(OrderStatus.SHIPPED if final else OrderStatus.PROCESSING, f"parcel {number} dispatched")
        await self._payment.capture(number, amount, final=final)
        self._timeline.add(f"parcel {number} captured")
        await self._parcels.delivered(number)
        self._timeline.add(f"parcel {number} delivered")
