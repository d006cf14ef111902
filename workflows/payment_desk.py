"""The order's side of the talk with its PaymentWorkflow: ask by signal, wait for what it tells."""

import asyncio

from temporalio import workflow
from temporalio.exceptions import ApplicationError
from temporalio.workflow import ChildWorkflowCancellationType, ChildWorkflowHandle, ParentClosePolicy

from schemas.checkout import CheckoutInput, PricedOrder
from schemas.payments import CaptureParcel, PaymentInput, PaymentOutcome, PaymentResult, PaymentTold, ReleaseHold
from workflows.names import PAYMENTS_QUEUE, payment_workflow_id
from workflows.payment import PaymentWorkflow
from workflows.timeline import money
from workflows.uninterrupted import uninterrupted


class PaymentDesk:
    """Starts the order's PaymentWorkflow and speaks with it; knows what it has told so far."""

    def __init__(self, order: CheckoutInput) -> None:
        self._order = order
        self._told: dict[str, PaymentTold] = {}
        self._starting: asyncio.Task[ChildWorkflowHandle[PaymentWorkflow, PaymentResult]] | None = None
        self._child: ChildWorkflowHandle[PaymentWorkflow, PaymentResult] | None = None

    def hear(self, told: PaymentTold) -> None:
        """The child has done a step, or was refused it."""
        self._told[told.step] = told

    async def authorize(self, quote: PricedOrder) -> PaymentTold:
        """Start the child and wait for the bank's first answer."""
        # Shielded: a cancellation that arrives while the child starts must not leave us without its handle.
        self._starting = asyncio.create_task(self._start(quote))
        self._child = await asyncio.shield(self._starting)
        return await self._answer_to("authorize")

    async def capture(self, parcel: int, amount: int, *, final: bool) -> None:
        """Take the parcel's share; waits until it is taken."""
        assert self._child is not None
        share = CaptureParcel(parcel=parcel, amount=amount, final=final)
        await uninterrupted(self._child.signal(PaymentWorkflow.capture, share))
        await self._answer_to(f"capture-{parcel}")

    async def void(self) -> None:
        """Give back what is held; does nothing when nothing was ever held. The undo of `authorize`."""
        if self._starting is None:
            return
        self._child = await self._starting
        if not (self._declined() or self._ended()):
            hold = ReleaseHold(reason="the order was taken back")
            await uninterrupted(self._child.signal(PaymentWorkflow.release, hold))
        await self._child  # it ends when nothing is held

    async def end(self) -> None:
        """Wait until no money is held any more."""
        if self._child is not None:
            await self._child

    async def _start(self, quote: PricedOrder) -> ChildWorkflowHandle[PaymentWorkflow, PaymentResult]:
        return await workflow.start_child_workflow(
            PaymentWorkflow.run,
            PaymentInput(
                order_id=self._order.order_id,
                amount=quote.total,
                currency=quote.currency,
                payment_method=self._order.payment_method,
            ),
            id=payment_workflow_id(self._order.order_id),
            task_queue=PAYMENTS_QUEUE,
            # Abandoned, not cancelled, when the order stops: money is given back by asking, never by killing its owner.
            parent_close_policy=ParentClosePolicy.ABANDON,
            cancellation_type=ChildWorkflowCancellationType.ABANDON,
            static_summary=f"payment of {money(quote.total, quote.currency)}",
        )

    async def _answer_to(self, step: str) -> PaymentTold:
        await workflow.wait_condition(lambda: step in self._told or self._ended())
        if step in self._told:
            return self._told[step]
        assert self._child is not None
        await self._child  # raises the reason when the child failed
        raise ApplicationError(f"The payment ended without an answer to {step}.", type="payment_ended")

    def _declined(self) -> bool:
        told = self._told.get("authorize")
        return told is not None and told.outcome is PaymentOutcome.DECLINED

    def _ended(self) -> bool:
        return self._child is not None and self._child.done()
