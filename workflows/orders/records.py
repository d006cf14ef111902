"""How a change of the order is recorded: one event in MySQL, one line in the timeline, one search attribute."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from temporalio import workflow
from temporalio.common import SearchAttributeUpdate
from temporalio.exceptions import FailureError

from activities.orders import OrderActivities
from domain.actors import SYSTEM_ACTOR
from domain.events import EventType
from domain.orders import OrderStatus, PaymentStatus
from schemas.orders import Awaiting, RecordStatus
from workflows.names import ORDER_NUMBER, ORDER_STATUS, PAYMENT_STATUS
from workflows.reasons import reason_of
from workflows.stores import on_store
from workflows.timeline import Timeline

_END = "end"  # once, whichever of its workflows ends the order
_NOT_PLACED, _ILLEGAL_MOVE = "not_found", "illegal_move"


class OrderRecorder:
    """Records for one order; a step is recorded once, however often it runs."""

    def __init__(self, order_id: str, timeline: Timeline) -> None:
        self.order_id = order_id
        self.payment_status = PaymentStatus.NOT_PAID
        self.timeline = timeline
        self.adoption = ""  # what distinguishes the steps of a workflow that adopts the order from those before it
        self._one_at_a_time = asyncio.Lock()  # the status of each follows from those before it
        self._on_hold = self._awaits_payment = False

    async def record(
        self,
        step: str,
        status: OrderStatus | None,
        event_type: EventType,
        *,
        actor: str = SYSTEM_ACTOR,
        data: Mapping[str, object] | None = None,
        payment_status: PaymentStatus | None = None,
        awaiting: Awaiting | None = None,
    ) -> None:
        """Move the order to a status, with its event; without one it keeps its own.

        One that a dispute has put on hold goes on only once it is released, whatever else it has waited for.
        """
        async with self._one_at_a_time:
            if status is not None:
                self._awaits_payment = status is OrderStatus.AWAITING_PAYMENT
            if status is OrderStatus.PROCESSING and self._on_hold:
                status = OrderStatus.ON_HOLD
            command = RecordStatus(
                order_id=self.order_id,
                step=step if step == _END else f"{step}{self.adoption}",
                status=status,
                event_type=event_type,
                actor=actor,
                data=dict(data or {}),
                payment_status=payment_status,
                awaiting=awaiting,
            )
            await self._record(command)

    async def record_hold(self, step: str, *, on: bool) -> None:
        """A dispute puts the order on hold, or releases it. While it awaits its payment it keeps that status: what its
        customer is to do is shown with it.
        """
        event_type = EventType.ORDER_ON_HOLD if on else EventType.ORDER_RELEASED
        status = OrderStatus.ON_HOLD if on else OrderStatus.PROCESSING
        async with self._one_at_a_time:
            command = RecordStatus(
                order_id=self.order_id,
                step=f"{step}{self.adoption}",
                status=None if self._awaits_payment else status,
                event_type=event_type,
                actor=SYSTEM_ACTOR,
            )
            await self._record(command)
            self._on_hold = on

    async def _record(self, command: RecordStatus) -> None:
        text = command.event_type.removeprefix("order.").replace("_", " ")
        recorded = await on_store(OrderActivities.record_status, command, text, self.timeline)
        self.payment_status = recorded.payment_status or self.payment_status
        self.show(recorded.status, text)

    async def record_if_placed(
        self, step: str, status: OrderStatus, event_type: EventType, actor: str, data: Mapping[str, object]
    ) -> None:
        """The same for an order that may never have been recorded, or is past this status: its compensation runs all
        the same.
        """
        try:
            await self.record(step, status, event_type, actor=actor, data=data)
        except FailureError as failure:
            code = reason_of(failure).code
            if code not in (_NOT_PLACED, _ILLEGAL_MOVE):
                raise
            if code == _ILLEGAL_MOVE:
                self.timeline.add(f"not recorded as {status}: {reason_of(failure).message}")

    def show(self, status: OrderStatus, text: str, number: int | None = None) -> None:
        """Show the status in the Temporal Web UI, and what else is known by now; MySQL has it already."""
        shown: list[SearchAttributeUpdate[Any]] = [
            ORDER_STATUS.value_set(status),
            PAYMENT_STATUS.value_set(self.payment_status),
        ]
        if number is not None:
            shown.append(ORDER_NUMBER.value_set(number))
        workflow.upsert_search_attributes(shown)
        self.timeline.add(text)


def rfc3339(moment: datetime) -> str:
    """A moment as events and the API write it."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
