"""The risk review: a risky order is on hold, its stock and payment with it, until staff or the deadline decide."""

import asyncio
from collections.abc import Callable
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ApplicationError

from domain.actors import SYSTEM_ACTOR
from domain.events import EventType
from domain.orders import OrderStatus
from domain.risk import RISK_DECLINED, reasons_to_review
from schemas.checkout import CheckoutInput, CheckoutOutcome, PricedOrder
from schemas.operator_tasks import OperatorTaskCode
from schemas.payments import PaymentUpdated
from schemas.risk import Review, Verdict
from workflows.orders.records import OrderRecorder, rfc3339
from workflows.timeline import Timeline
from workflows.waiting import wait_until


class RiskReview:
    """Operators see the reasons in the Temporal Web UI; the customer learns only that the order is being checked."""

    def __init__(
        self,
        order: CheckoutInput,
        recorder: OrderRecorder,
        timeline: Timeline,
        answer_customer: Callable[[CheckoutOutcome], None],
    ) -> None:
        self._rules = order.review
        self._recorder = recorder
        self._timeline = timeline
        self._answer_customer = answer_customer
        self._open = False
        self._review: Review | None = None

    def decide(self, review: Review) -> None:
        """Apply what staff have decided."""
        self._review = review

    def check_open(self) -> None:
        """Raise ApplicationError unless the order waits for a review."""
        if not self._open or self._review is not None:
            raise ApplicationError("The order is not waiting for a review.", type="not_in_review")

    async def pass_through(self, quote: PricedOrder, paid: PaymentUpdated | None) -> None:
        """Put the order on hold if it has to be reviewed; raises `risk_declined` when it is declined."""
        level = paid.risk if paid else None
        reasons = list(reasons_to_review(quote.total, self._rules.total_from, level))
        if reasons:
            review = await self._hold(reasons)
            self._timeline.add(f"{review.verdict} by {review.actor}: {review.reason}")
            if review.verdict is Verdict.DECLINE:
                details = {"decided_by": review.actor}
                raise ApplicationError(
                    "The order could not be accepted.", details, type=RISK_DECLINED, non_retryable=True
                )
            await self._recorder.record(
                "reviewed", OrderStatus.ON_HOLD, EventType.ORDER_REVIEW_PASSED, actor=review.actor
            )

    async def _hold(self, reasons: list[str]) -> Review:
        until = workflow.now() + timedelta(seconds=self._rules.seconds)
        self._open = True
        await self._recorder.record(
            "hold", OrderStatus.ON_HOLD, EventType.ORDER_ON_HOLD, data={"review_until": rfc3339(until)}
        )
        self._timeline.add(f"on hold until {rfc3339(until)}: {'; '.join(reasons)}")
        self._timeline.needs_operator(
            ["approve or decline the order: " + "; ".join(reasons)],
            about="review",
            code=OperatorTaskCode.RISK_REVIEW,
            until=until,
            route=f"POST /v1/ops/orders/{self._recorder.order_id}/risk",
        )
        self._answer_customer(CheckoutOutcome.ON_HOLD)
        try:
            decided = await wait_until(until, lambda: self._review is not None, "review deadline")
        except asyncio.CancelledError:
            self._timeline.needs_operator([], about="review")
            raise
        self._timeline.needs_operator([], about="review")
        self._open = False
        if decided and self._review is not None:
            return self._review
        return Review(verdict=self._rules.otherwise, reason="not reviewed in time", actor=SYSTEM_ACTOR)
