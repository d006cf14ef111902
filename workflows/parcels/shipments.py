"""Booking and cancelling a shipment: calls that may stay unanswered, that a person or an event may overtake."""

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from datetime import timedelta
from typing import Any, Protocol, TypeVar

from temporalio import workflow
from temporalio.exceptions import ActivityError

from activities.fulfilment import FulfilmentActivities
from schemas.fulfilment import BookShipment, CancelShipment, FulfilmentInput, ShipmentBooked, ShipmentCancelled
from workflows.options import CARRIER
from workflows.outage import retry_until_answered
from workflows.parcels.parcel_record import ParcelRecord
from workflows.reasons import reason_of
from workflows.timeline import Timeline
from workflows.waiting import wait_until

UNKNOWN_AFTER = timedelta(seconds=15)
R = TypeVar("R")


class Waiting(Protocol):
    """What goes on beside a call."""

    def overtaken(self) -> bool:
        """Whether something else has answered."""

    def order_waits(self) -> bool:
        """Whether the order waits for the parcel to stop, and has not been signalled that this is unknown."""

    async def unknown(self, why: str) -> None:
        """Signal it so."""


class Shipments:
    """The parcel's calls to the carrier; each key is `<workflow id>:<step>`.

    An outage is waited for. Where the answer is None, the carrier calls our request a mistake, which needs an
    operator, or the call was overtaken: then nobody knows what it has done.
    """

    def __init__(self, job: FulfilmentInput, parcel: ParcelRecord, timeline: Timeline, beside: Waiting) -> None:
        self._job = job
        self._parcel = parcel
        self._timeline = timeline
        self._beside = beside
        self.attempt = 1  # an operator may have it cancelled again: that is another request

    async def book(self) -> ShipmentBooked | None:
        """Ask the carrier to take the parcel."""
        parcel = self._parcel.plan
        command = BookShipment(
            order_id=self._job.order_id,
            parcel=parcel,
            address=self._parcel.address,
            shipping_method=self._job.shipping_method,
            idempotency_key=self._key("book"),
        )
        text = f"book parcel {parcel.number} from {parcel.warehouse}"
        return await self._answer(
            retry_until_answered(FulfilmentActivities.book_shipment, command, text, self._timeline, CARRIER), text
        )

    async def cancel(self, step: str, text: str) -> ShipmentCancelled | None:
        """Cancel the booking, which works until the parcel is dispatched."""
        again = f".{self.attempt}" if self.attempt > 1 else ""
        command = CancelShipment(
            shipment_id=self._parcel.shipment.shipment_id or "", idempotency_key=f"{self._key(step)}{again}"
        )
        return await self._answer(
            retry_until_answered(FulfilmentActivities.cancel_shipment, command, text, self._timeline, CARRIER), text
        )

    def _key(self, step: str) -> str:
        """One key per booking, because a parcel that was released is booked again."""
        again = f"-{self._parcel.booking}" if self._parcel.booking > 1 else ""
        return f"{workflow.info().workflow_id}:{step}{again}"

    async def _answer(self, calling: Coroutine[Any, Any, R], text: str) -> R | None:
        call = asyncio.create_task(calling)
        await self._until_answered(call, text)
        if not call.done():
            call.cancel()
            with suppress(asyncio.CancelledError, ActivityError):
                await call
            return None
        try:
            answer = call.result()
        except ActivityError as mistake:
            self._parcel.needs_operator(f"{text}: {reason_of(mistake).message}", text)
            return None
        self._timeline.needs_operator([], about=text)
        return answer

    async def _until_answered(self, call: asyncio.Task[Any], text: str) -> None:
        def over() -> bool:
            return call.done() or self._beside.overtaken()

        await workflow.wait_condition(lambda: over() or self._beside.order_waits())
        while not over():
            if await wait_until(workflow.now() + UNKNOWN_AFTER, over, "no answer of the carrier"):
                return
            await self._beside.unknown(f"{text}: the carrier does not answer")
            await workflow.wait_condition(lambda: over() or self._beside.order_waits())
