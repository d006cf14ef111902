"""The order's payment: starts and signals its PaymentWorkflow, and waits for its updates."""

import asyncio
from collections import deque
from contextlib import suppress
from typing import TypeAlias

from temporalio import workflow
from temporalio.exceptions import ApplicationError, FailureError
from temporalio.workflow import ChildWorkflowCancellationType, ChildWorkflowHandle, ParentClosePolicy

from schemas.payments import (
    CaptureParcel,
    ChangeAmount,
    PaymentInput,
    PaymentResult,
    PaymentUpdated,
    TryMethod,
    VoidAuthorization,
    VoidAuthorizations,
)
from schemas.provider_calls import PaymentOutcome
from schemas.refunds import RefundAnswer, RefundInput
from workflows.names import (
    PAYMENTS_QUEUE,
    authorization_void_workflow_id,
    payment_workflow_id,
    refund_workflow_id,
)
from workflows.payments.authorization_void import AuthorizationVoidWorkflow
from workflows.payments.payment import PaymentWorkflow
from workflows.payments.refunds import RefundWorkflow
from workflows.running import RunningChild
from workflows.signals import signal_child
from workflows.timeline import money
from workflows.waiting import shielded

Child: TypeAlias = ChildWorkflowHandle[PaymentWorkflow, PaymentResult] | RunningChild


class OrderPayment:
    """Starts the order's PaymentWorkflow, signals it, and keeps its updates by step."""

    def __init__(self, order_id: str) -> None:
        self._order_id = order_id
        self._updates: dict[str, PaymentUpdated] = {}
        self._attempt_updates: deque[PaymentUpdated] = deque()
        self._declined_reauthorizations: deque[PaymentUpdated] = deque()
        self._starting: asyncio.Task[Child] | None = None
        self._child: Child | None = None
        self._unpaid: set[int] = set()
        self._known_dead = False
        self._adopted = False
        self._dispatched: dict[int, int] = {}

    def apply(self, update: PaymentUpdated) -> None:
        """The child has completed a step, or was refused it."""
        self._updates[update.step] = update
        if update.step.startswith("authorize"):
            self._attempt_updates.append(update)
        elif update.step.startswith("reauthorize"):
            self._declined_reauthorizations.append(update)

    async def start(self, payment: PaymentInput) -> None:
        """Have the payment authorized; `has_attempt_update` says when there is an answer."""
        # Shielded: a cancellation that arrives while the child starts must not leave us without its handle.
        self._starting = asyncio.create_task(self._start(payment))
        self._child = await asyncio.shield(self._starting)

    def adopt(self) -> None:
        """Take over the payment of an order whose workflow is gone: its own workflow may run, or be gone as well."""
        self._adopted = self._known_dead = True
        self._child = child = RunningChild(payment_workflow_id(self._order_id), lambda: "void" in self._updates)
        self._starting = asyncio.create_task(_ready(child))

    @property
    def started(self) -> bool:
        """Whether there is one: an order that costs nothing has none."""
        return self._child is not None

    def has_attempt_update(self) -> bool:
        """Whether there is an update of an attempt that was not read, or there never will be one."""
        return bool(self._attempt_updates) or self._ended()

    async def next_attempt_update(self) -> PaymentUpdated:
        """The next update of an attempt; raises the reason when there will be none."""
        await workflow.wait_condition(self.has_attempt_update)
        if self._attempt_updates:
            return self._attempt_updates.popleft()
        raise await self._no_update()

    async def declined_reauthorization(self) -> PaymentUpdated | None:
        """Wait until the bank declines to reauthorize the amount; None once nothing is authorized any more.

        Raises the reason when the payment has failed: what has yet to be dispatched would be unpaid.
        """
        await workflow.wait_condition(
            lambda: bool(self._declined_reauthorizations) or self._child is None or self._ended()
        )
        if self._declined_reauthorizations:
            return self._declined_reauthorizations.popleft()
        if self._child is not None and self._child.exception():
            await self._child
        return None

    async def try_method(self, method: TryMethod) -> None:
        """Have another method tried."""
        assert self._child is not None
        await shielded(self._child.signal(PaymentWorkflow.try_method, method))

    async def change_amount(self, request: ChangeAmount) -> PaymentUpdated:
        """Have another amount authorized in place of what is; the answer may be that the customer has to act first.

        Raises the reason when the payment has ended, or ends before.
        """
        assert self._child is not None
        await signal_child(self._child, PaymentWorkflow.change_amount, request)
        return await self.update_after(request.step)

    async def update_after(self, step: str, last: PaymentUpdated | None = None) -> PaymentUpdated:
        """The update of a step that follows the last one; raises the reason when there will be none."""
        await workflow.wait_condition(lambda: self._updates.get(step) is not last or self._ended())
        update = self._updates.get(step)
        if update is None or update is last:
            raise await self._no_update()
        return update

    async def capture(self, parcel: int, amount: int, *, final: bool, compensating: bool = False) -> None:
        """Capture the parcel's share, once; waits until it is captured. A parcel that costs nothing has none.

        Raises ApplicationError when the authorization has expired and the bank does not authorize the amount again.
        """
        if amount == 0:
            return
        step = f"capture-{parcel}"
        self._dispatched[parcel] = amount
        self._unpaid.add(parcel)
        share = CaptureParcel(parcel=parcel, amount=amount, final=final, compensating=compensating)
        # The update may be there already: who asked first may have been cancelled while waiting for it.
        if step not in self._updates and not await self._ask_to_capture(share):
            self._unpaid.discard(parcel)
            return
        update = self._updates[step]
        if update.outcome is PaymentOutcome.DECLINED:
            del self._updates[step]  # an operator may have it retried
            message = f"Parcel {parcel} was dispatched and its capture was declined: {update.message}"
            raise ApplicationError(message, {"parcel": parcel}, type="capture_declined", non_retryable=True)
        self._unpaid.discard(parcel)

    async def void(self) -> None:
        """Void what is authorized; does nothing when nothing ever was. The compensation of `start`.

        Raises ApplicationError as long as a dispatched parcel is not captured, and FailureError when the payment has
        failed. Retried after that, what is authorized is voided without it.
        """
        if self._starting is None:
            return
        self._child = await self._starting
        if self._unpaid:
            names = ", ".join(map(str, sorted(self._unpaid)))
            message = f"Parcel {names} was dispatched and is not captured: the authorization is kept."
            raise ApplicationError(message, type="parcel_unpaid", non_retryable=True)
        reason = "the order was cancelled or failed"
        await signal_child(self._child, PaymentWorkflow.void, VoidAuthorization(reason=reason))
        try:
            await self._child  # it ends when nothing is authorized
        except FailureError:
            if not self._known_dead:
                self._known_dead = True
                raise
            await self._void_without_payment()

    async def settle_by_hand(self) -> None:
        """An operator has settled what was dispatched and not captured: authorize nothing for it any longer."""
        if self._unpaid:
            self._unpaid.clear()
            self._known_dead = True  # the failed payment is not asked again
            with suppress(FailureError):  # settled as well
                await self.void()

    async def end(self) -> None:
        """Wait until nothing is authorized any more."""
        if self._child is not None:
            await self._child

    async def _ask_to_capture(self, share: CaptureParcel) -> bool:
        """Wait for its update; False when an adopted order's payment is gone: it captures while it voids the rest."""
        assert self._child is not None
        step = f"capture-{share.parcel}"
        await signal_child(self._child, PaymentWorkflow.capture, share)
        await workflow.wait_condition(lambda: step in self._updates or self._ended())
        if step not in self._updates and not self._adopted:
            raise await self._no_update()
        return step in self._updates

    async def _start(self, payment: PaymentInput) -> Child:
        return await workflow.start_child_workflow(
            PaymentWorkflow.run,
            payment,
            id=payment_workflow_id(self._order_id),
            task_queue=PAYMENTS_QUEUE,
            # Abandoned, not cancelled, when the order stops: it is asked to void, so that its ledger stays true.
            parent_close_policy=ParentClosePolicy.ABANDON,
            cancellation_type=ChildWorkflowCancellationType.ABANDON,
            static_summary=f"payment of {money(payment.amount, payment.currency)}",
        )

    async def _void_without_payment(self) -> None:
        await workflow.execute_child_workflow(
            AuthorizationVoidWorkflow.run,
            VoidAuthorizations(
                order_id=self._order_id,
                reason="the order was cancelled or failed",
                dispatched=self._dispatched if self._adopted else {},
            ),
            id=authorization_void_workflow_id(self._order_id),
            task_queue=PAYMENTS_QUEUE,
            parent_close_policy=ParentClosePolicy.ABANDON,
            static_summary="void what a failed payment had authorized",
        )

    async def _no_update(self) -> Exception:
        assert self._child is not None
        await self._child  # raises the reason when the child failed
        return ApplicationError("The payment could not be completed.", type="payment_ended")

    def _ended(self) -> bool:
        return self._child is not None and self._child.done()


async def refund_parcel(refund: RefundInput) -> RefundAnswer:
    """Refund what is left of a parcel's share; a refusal is an answer."""
    return await workflow.execute_child_workflow(
        RefundWorkflow.run,
        refund,
        id=refund_workflow_id(refund.refund_id),
        task_queue=PAYMENTS_QUEUE,
        parent_close_policy=ParentClosePolicy.ABANDON,
        static_summary=f"refund of parcel {refund.parcel} by {refund.actor}",
    )


async def _ready(child: Child) -> Child:
    return child
