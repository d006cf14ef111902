"""Compensation until it is complete: what cannot be compensated waits, visible, for an operator."""

from collections.abc import Mapping

from temporalio import workflow
from temporalio.exceptions import ApplicationError

from domain.actors import SYSTEM_ACTOR
from domain.events import EventType
from domain.orders import OrderStatus
from schemas.operator_tasks import OperatorTaskCode
from schemas.order_requests import SettleCompensation
from workflows.orders.parcels import OrderParcels
from workflows.orders.records import OrderRecorder
from workflows.orders.saga import Blocked, Saga
from workflows.timeline import Timeline


class Compensation:
    """Runs a saga's compensations, and keeps what an operator decides about those that cannot succeed."""

    def __init__(self, saga: Saga, parcels: OrderParcels, recorder: OrderRecorder, timeline: Timeline) -> None:
        self._saga = saga
        self._parcels = parcels
        self._recorder = recorder
        self._timeline = timeline
        self._blocked: list[Blocked] = []
        self._settlement: SettleCompensation | None = None
        self.was_blocked = False

    def settle(self, decision: SettleCompensation) -> None:
        """Apply what an operator has decided."""
        self._settlement = decision

    def check_may_settle(self, decision: SettleCompensation) -> None:
        """Raise ApplicationError unless something waits for an operator, and may be settled like this."""
        if not self._blocked:
            raise ApplicationError("No compensation of this order is blocked.", type="nothing_blocked")
        if not decision.retry and (unknown := self._parcels.unknown):
            names = ", ".join(map(str, unknown))
            message = f"Say first whether parcel {names} was dispatched or stopped."
            raise ApplicationError(message, type="parcel_unknown")

    async def compensate_all(self) -> bool:
        """True when everything is compensated, False when an operator has settled what could not be."""
        attempt = 0
        while blocked := await self._saga.compensate():
            attempt += 1
            decision = await self._ask_operator(blocked, attempt)
            if decision is not None and not decision.retry:
                return False
            if decision is not None:
                self._parcels.ask_again()
        return True

    async def _ask_operator(self, blocked: list[Blocked], attempt: int) -> SettleCompensation | None:
        """What an operator decides; None when a parcel that was unknown has become known."""
        self._blocked, unknown, self.was_blocked = blocked, self._parcels.unknown, True
        reasons = [f"{compensation.name}: {compensation.why}" for compensation in blocked]
        self._show(reasons, unknown)
        status, event_type = OrderStatus.COMPENSATION_BLOCKED, EventType.ORDER_COMPENSATION_BLOCKED
        await self._recorder.record_if_placed(
            f"blocked-{attempt}", status, event_type, SYSTEM_ACTOR, {"needs_operator": reasons}
        )
        await workflow.wait_condition(
            lambda: self._settlement is not None or not unknown.keys() <= self._parcels.unknown.keys()
        )
        decision, self._settlement, self._blocked = self._settlement, None, []
        self._show([], dict.fromkeys(unknown, ""))
        if decision is not None:
            settled = "retry" if decision.retry else "settled by hand"
            self._timeline.add(f"{decision.actor}: {settled}, {decision.reason}")
        return decision

    def _show(self, reasons: list[str], unknown: Mapping[int, str]) -> None:
        """What waits for an operator, each unknown parcel by itself; without a reason it waits no more."""
        route = f"POST /v1/ops/orders/{self._recorder.order_id}/compensation"
        self._timeline.needs_operator(reasons, code=OperatorTaskCode.COMPENSATION_BLOCKED, route=route)
        for number, why in unknown.items():
            show_unknown(self._timeline, self._recorder.order_id, number, why)


def show_unknown(timeline: Timeline, order_id: str, number: int, why: str) -> None:
    """A parcel waits for an operator's answer; without a reason it waits no more."""
    timeline.needs_operator(
        [f"was parcel {number} dispatched? {why}"] if why else [],
        about=f"parcel {number}",
        code=OperatorTaskCode.PARCEL_UNKNOWN,
        route=f"POST /v1/ops/orders/{order_id}/parcels/{number}",
        parcel=number,
    )
