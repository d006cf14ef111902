"""The shortage decision: what the customer of an order that is partly out of stock wants, within a set time."""

from collections.abc import Callable, Sequence
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ApplicationError, FailureError

from activities.orders import OrderActivities
from domain.events import EventType
from domain.orders import OrderStatus
from schemas.base import Money, Open
from schemas.checkout import CheckoutAnswer, CheckoutInput, CheckoutOutcome, OrderLineInput, PricedOrder
from schemas.order_requests import Choice, Decision
from schemas.orders import Awaiting, OrderPlaced, Shortage, ShortLine, TakeAvailable
from workflows.orders.records import OrderRecorder, rfc3339
from workflows.parcels.allocations import signal_allocations
from workflows.reasons import CANCELLED, reason_of
from workflows.stores import on_store
from workflows.waiting import wait_until

_REMIND_AFTER = 0.5  # of the time there is
_VOUCHER = "voucher_"  # how the codes begin that refuse a voucher, see domain/vouchers.py


class ShortageDecision:
    """Until the customer decides, what is available stays reserved and what is missing waits like a backorder."""

    def __init__(
        self, order: CheckoutInput, recorder: OrderRecorder, answer_customer: Callable[[CheckoutAnswer], None]
    ) -> None:
        self._order = order
        self._recorder = recorder
        self._answer_customer = answer_customer
        self._decision: Decision | None = None
        self._smaller: PricedOrder | None = None
        self._open = False

    @property
    def waiting(self) -> bool:
        """Whether the customer may decide now."""
        return self._open and self._decision is None

    def check_may(self, choice: Open[Choice]) -> None:
        """Raise ApplicationError unless the customer may choose this now."""
        if not self.waiting:
            raise ApplicationError("The order is not awaiting a decision.", type="not_awaiting_decision")
        if choice is Choice.TAKE_AVAILABLE and self._smaller is None:
            raise ApplicationError("Too little is available to be ordered on its own.", type="choice_not_available")

    def decide(self, decision: Decision) -> None:
        """Apply the customer's decision."""
        self._decision = decision

    async def settle(self, quote: PricedOrder, placed: OrderPlaced) -> tuple[PricedOrder, OrderPlaced]:
        """The order as its customer wants it, and what it costs.

        Raises ApplicationError: `cancelled` when they want none of it, `decision_expired` when they do not decide.
        """
        self._smaller = await self._price_available(quote, placed.short)
        decision = await self._ask(placed.short)
        if decision.choice is Choice.CANCEL:
            message = "The order was cancelled because not everything is available."
            raise ApplicationError(message, type=CANCELLED, non_retryable=True)
        if decision.choice is Choice.WAIT or self._smaller is None:
            data = {"decision": Choice.WAIT.value}
            await self._recorder.record(
                "wait", OrderStatus.PENDING, EventType.ORDER_DECIDED, actor=decision.actor, data=data
            )
            return quote, placed
        taken = await self._take_available(self._smaller, placed.short, decision.actor)
        return taken.quote, taken

    async def _ask(self, short: Sequence[ShortLine]) -> Decision:
        started, window = workflow.now(), timedelta(seconds=self._order.decision_seconds)
        ends = started + window
        total = self._smaller.total_money if self._smaller else None
        await self._record(
            EventType.ORDER_AWAITING_CUSTOMER,
            {"short": [line.model_dump() for line in short], "decide_until": rfc3339(ends), **_price(total)},
            Shortage(lines=list(short), take_available_total=total, decide_until=ends),
        )
        self._open = True
        try:
            self._answer_customer(
                CheckoutAnswer(order_id=self._order.order_id, outcome=CheckoutOutcome.DECISION_REQUIRED)
            )
            if not await wait_until(
                started + window * _REMIND_AFTER, self._has_decided, "remind the customer to decide"
            ):
                await self._record(EventType.ORDER_DECISION_REMINDER, {"decide_until": rfc3339(ends)})
                if not await wait_until(ends, self._has_decided, "time to decide is over"):
                    message = "No decision was made in time."
                    raise ApplicationError(message, type="decision_expired", non_retryable=True)
        finally:
            self._open = False
        assert self._decision is not None
        return self._decision

    def _has_decided(self) -> bool:
        return self._decision is not None

    async def _record(self, event: EventType, data: dict[str, object], shortage: Shortage | None = None) -> None:
        await self._recorder.record(
            event.removeprefix("order.").replace("_", "-"),
            OrderStatus.AWAITING_CUSTOMER,
            event,
            data=data,
            awaiting=Awaiting(shortage=shortage) if shortage else None,
        )

    async def _price_available(self, quote: PricedOrder, short: Sequence[ShortLine]) -> PricedOrder | None:
        """What the order costs without what is missing, and without its voucher where that wants a larger order; None
        when that is refused, for instance because the amount is below what can be charged.
        """
        missing = {line.sku: line.wanted - line.available for line in short}
        remaining = [(line.sku, line.quantity - missing.get(line.sku, 0)) for line in quote.lines]
        lines = [OrderLineInput(sku=sku, quantity=quantity) for sku, quantity in remaining if quantity > 0]
        codes = [quote.voucher_code, None] if quote.voucher_code else [None]
        for code in codes:
            command = self._order.price_command(lines, code)
            try:
                return await on_store(
                    OrderActivities.price_order, command, "price what is available", self._recorder.timeline
                )
            except FailureError as failure:
                refusal = reason_of(failure).code
                if refusal == CANCELLED:
                    raise
                if not refusal.startswith(_VOUCHER):
                    break
        return None

    async def _take_available(self, quote: PricedOrder, short: Sequence[ShortLine], actor: str) -> OrderPlaced:
        command = TakeAvailable(order_id=self._order.order_id, short=list(short), quote=quote, actor=actor)
        shortened = await on_store(
            OrderActivities.take_available, command, "leave out what is missing", self._recorder.timeline
        )
        self._recorder.show(OrderStatus.PENDING, "customer takes what is available")
        await signal_allocations(shortened.allocated)
        return shortened.placed


def _price(total: Money | None) -> dict[str, object]:
    return {"take_available_total": total.model_dump()} if total else {}
