"""The order's side of the talk with its PaymentWorkflow: ask by signal, wait for what it tells."""

import asyncio
from collections import deque
from contextlib import suppress

from temporalio import workflow
from temporalio.exceptions import ApplicationError, FailureError
from temporalio.workflow import ChildWorkflowCancellationType, ChildWorkflowHandle, ParentClosePolicy

from schemas.payments import (
    CaptureParcel,
    PaymentInput,
    PaymentOutcome,
    PaymentResult,
    PaymentUpdated,
    TryMethod,
    VoidAuthorization,
    VoidAuthorizations,
)
from workflows.names import PAYMENTS_QUEUE, authorization_void_workflow_id, payment_workflow_id
from workflows.payments.authorization_void import AuthorizationVoidWorkflow
from workflows.payments.payment import PaymentWorkflow
from workflows.timeline import money
from workflows.waiting import shielded


class OrderPayment:
    """Starts the order's PaymentWorkflow and speaks with it; knows what it has told so far."""

    def __init__(self, order_id: str) -> None:
        self._order_id = order_id
        self._told: dict[str, PaymentUpdated] = {}
        self._of_attempts: deque[PaymentUpdated] = deque()
        self._refused_renewals: deque[PaymentUpdated] = deque()
        self._starting: asyncio.Task[ChildWorkflowHandle[PaymentWorkflow, PaymentResult]] | None = None
        self._child: ChildWorkflowHandle[PaymentWorkflow, PaymentResult] | None = None
        self._unpaid: set[int] = set()
        self._known_dead = False

    def hear(self, told: PaymentUpdated) -> None:
        """The child has done a step, or was refused it."""
        self._told[told.step] = told
        if told.step.startswith("authorize"):
            self._of_attempts.append(told)
        elif told.step.startswith("reauthorize"):
            self._refused_renewals.append(told)

    async def start(self, payment: PaymentInput) -> None:
        """Have the money held; `heard` says when there is an answer."""
        # Shielded: a cancellation that arrives while the child starts must not leave us without its handle.
        self._starting = asyncio.create_task(self._start(payment))
        self._child = await asyncio.shield(self._starting)

    def heard(self) -> bool:
        """Whether an attempt has been told of that nobody has listened to, or none ever will be."""
        return bool(self._of_attempts) or self._ended()

    async def listen(self) -> PaymentUpdated:
        """What is told next of an attempt; raises the reason when there will be nothing."""
        await workflow.wait_condition(self.heard)
        if self._of_attempts:
            return self._of_attempts.popleft()
        raise await self._silence("an attempt")

    async def refused_renewal(self) -> PaymentUpdated | None:
        """Wait until the bank will not hold the money any longer; None once no money is held any more.

        Raises the reason when the payment has failed: what has yet to leave would leave unpaid.
        """
        await workflow.wait_condition(lambda: bool(self._refused_renewals) or self._child is None or self._ended())
        if self._refused_renewals:
            return self._refused_renewals.popleft()
        if self._child is not None and self._child.exception() and workflow.patched("a-dead-payment-stops-the-order"):
            await self._child
        return None

    async def try_method(self, method: TryMethod) -> None:
        """Ask for another attempt, by another method."""
        assert self._child is not None
        await shielded(self._child.signal(PaymentWorkflow.try_method, method))

    async def capture(self, parcel: int, amount: int, *, final: bool, taken_back: bool = False) -> None:
        """Take the parcel's share, once; waits until it is taken. A parcel that costs nothing has none.

        Raises ApplicationError when the bank has let go of the money and does not hold it anew.
        """
        step = f"capture-{parcel}"
        if amount == 0 or step in self._told:
            return
        assert self._child is not None
        self._unpaid.add(parcel)
        share = CaptureParcel(parcel=parcel, amount=amount, final=final, taken_back=taken_back)
        if not self._ended():
            with suppress(FailureError):  # it has ended this very moment
                await shielded(self._child.signal(PaymentWorkflow.capture, share))
        await workflow.wait_condition(lambda: step in self._told or self._ended())
        if step not in self._told:
            raise await self._silence(step)
        told = self._told[step]
        if told.outcome is PaymentOutcome.DECLINED:
            if workflow.patched("declined-captures-are-tried-again"):
                del self._told[step]
            message = f"Parcel {parcel} has left, and the bank does not pay for it: {told.message}"
            raise ApplicationError(message, {"parcel": parcel}, type="capture_declined", non_retryable=True)
        self._unpaid.discard(parcel)

    async def void(self) -> None:
        """Give back what is held; does nothing when nothing was ever held. The undo of `start`.

        Raises ApplicationError as long as a parcel that has left is to be paid for, and FailureError when the payment
        has failed. Tried again after that, what is held is given back without it.
        """
        if self._starting is None:
            return
        self._child = await self._starting
        if self._unpaid and workflow.patched("what-has-left-keeps-the-hold"):
            names = ", ".join(map(str, sorted(self._unpaid)))
            message = f"Parcel {names} has left and is not paid for: what is held is kept."
            raise ApplicationError(message, type="parcel_unpaid", non_retryable=True)
        if not self._ended():
            hold = VoidAuthorization(reason="the order was taken back")
            with suppress(FailureError):  # it has ended this very moment
                await shielded(self._child.signal(PaymentWorkflow.release, hold))
        try:
            await self._child  # it ends when nothing is held
        except FailureError:
            if not (self._known_dead and workflow.patched("holds-are-let-go-without-their-payment")):
                self._known_dead = True
                raise
            await self._release_anew()

    async def settle_by_hand(self) -> None:
        """What has left and could not be paid for is an operator's own affair now: hold nothing for it."""
        if self._unpaid:
            self._unpaid.clear()
            self._known_dead = True  # nobody is asked once more
            with suppress(FailureError):  # settled as well
                await self.void()

    async def end(self) -> None:
        """Wait until no money is held any more."""
        if self._child is not None:
            await self._child

    async def _start(self, payment: PaymentInput) -> ChildWorkflowHandle[PaymentWorkflow, PaymentResult]:
        return await workflow.start_child_workflow(
            PaymentWorkflow.run,
            payment,
            id=payment_workflow_id(self._order_id),
            task_queue=PAYMENTS_QUEUE,
            # Abandoned, not cancelled, when the order stops: money is given back by asking, never by killing its owner.
            parent_close_policy=ParentClosePolicy.ABANDON,
            cancellation_type=ChildWorkflowCancellationType.ABANDON,
            static_summary=f"payment of {money(payment.amount, payment.currency)}",
        )

    async def _release_anew(self) -> None:
        await workflow.execute_child_workflow(
            AuthorizationVoidWorkflow.run,
            VoidAuthorizations(order_id=self._order_id, reason="the order was taken back"),
            id=authorization_void_workflow_id(self._order_id),
            task_queue=PAYMENTS_QUEUE,
            parent_close_policy=ParentClosePolicy.ABANDON,
            static_summary="let go of what a failed payment holds",
        )

    async def _silence(self, step: str) -> Exception:
        assert self._child is not None
        await self._child  # raises the reason when the child failed
        return ApplicationError(f"The payment ended without an answer to {step}.", type="payment_ended")

    def _ended(self) -> bool:
        return self._child is not None and self._child.done()
