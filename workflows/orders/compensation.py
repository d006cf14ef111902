"""Compensation until it is complete: what cannot be compensated waits, visible, for an operator."""

from temporalio import workflow
from temporalio.exceptions import ApplicationError

from domain.actors import SYSTEM_ACTOR
from domain.events import EventType
from domain.orders import OrderStatus
from schemas.operator_tasks import OperatorTaskCode
from schemas.order_requests import SettleCompensation
from workflows.orders.records import OrderRecorder
from workflows.orders.saga import Blocked, Saga
from workflows.timeline import Timeline


class Compensation:
    """Runs a saga's compensations, and keeps what an operator decides about those that cannot succeed."""

    def __init__(self, saga: Saga, recorder: OrderRecorder, timeline: Timeline) -> None:
        self._saga = saga
        self._recorder = recorder
        self._timeline = timeline
        self._blocked: list[Blocked] = []
        self._settlement: SettleCompensation | None = None

    def settle(self, decision: SettleCompensation) -> None:
        """Apply what an operator has decided."""
        self._settlement = decision

    def check_blocked(self) -> None:
        """Raise ApplicationError unless something waits for an operator."""
        if not self._blocked:
            raise ApplicationError("No compensation of this order is blocked.", type="nothing_blocked")

    async def compensate_all(self) -> None:
        """Returns when everything is compensated, or settled by hand."""
        attempt = 0
        while blocked := await self._saga.compensate():
            attempt += 1
            decision = await self._ask_operator(blocked, attempt)
            if not decision.retry:
                return

    async def _ask_operator(self, blocked: list[Blocked], attempt: int) -> SettleCompensation:
        self._blocked = blocked
        reasons = [f"{compensation.name}: {compensation.why}" for compensation in blocked]
        route = f"POST /v1/ops/orders/{self._recorder.order_id}/compensation"
        self._timeline.needs_operator(reasons, code=OperatorTaskCode.COMPENSATION_BLOCKED, route=route)
        status, event_type = OrderStatus.COMPENSATION_BLOCKED, EventType.ORDER_COMPENSATION_BLOCKED
        await self._recorder.record_if_placed(
            f"blocked-{attempt}", status, event_type, SYSTEM_ACTOR, {"needs_operator": reasons}
        )
        await workflow.wait_condition(lambda: self._settlement is not None)
        decision, self._settlement, self._blocked = self._settlement, None, []
        assert decision is not None
        self._timeline.needs_operator([])
        self._timeline.add(f"{decision.actor}: {'retry' if decision.retry else 'settled by hand'}, {decision.reason}")
        return decision
