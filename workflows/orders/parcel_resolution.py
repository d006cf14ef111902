"""ParcelResolutionWorkflow does what was decided about a parcel that was lost or returned, once."""

from contextlib import suppress

from temporalio import workflow
from temporalio.exceptions import FailureError, WorkflowAlreadyStartedError, is_cancelled_exception

from activities.parcel_resolutions import ParcelResolutionActivities
from domain.errors import NothingToRefund
from schemas.parcel_resolutions import (
    CloseResolution,
    ParcelResolutionAnswer,
    ResolutionAction,
    ResolutionOpened,
    ResolveParcel,
    WithdrawResolution,
)
from schemas.refunds import RefundAnswer, RefundInput, RefundView
from workflows.orders.parcel_children import start_fulfilment
from workflows.orders.payment import refund_parcel
from workflows.parcels.allocations import signal_allocations
from workflows.reasons import reason_of
from workflows.stores import on_store
from workflows.timeline import Timeline, money
from workflows.waiting import run_to_completion


@workflow.defn
class ParcelResolutionWorkflow:
    """note the answer → refund the parcel's share → record it, with the goods that are back in stock.

    Or: plan another parcel with the same goods, and record that → start its FulfilmentWorkflow, which goes on alone.

    One runs for a parcel at a time. What it is refused for is an answer and no failure: the parcel then waits for an
    operator as before. A repeat after its end finds that it was done.
    """

    @workflow.init
    def __init__(self, command: ResolveParcel) -> None:
        self._command = command
        self._timeline = Timeline(f"Parcel {command.parcel}: {command.action}", command.order_id)

    @workflow.run
    async def run(self, command: ResolveParcel) -> ParcelResolutionAnswer:
        """Do it, or answer why not; a refund that was promised is completed."""
        answer = await run_to_completion(self._resolve(command), self._timeline.add)
        return answer.model_copy(update={"action": command.action, "restock": command.restock})

    async def _resolve(self, command: ResolveParcel) -> ParcelResolutionAnswer:
        try:
            if command.action is ResolutionAction.SHIP_AGAIN:
                return await self._ship_again(command)
            call, text = ParcelResolutionActivities.open_resolution, "note what is to be done"
            opened = await on_store(call, command, text, self._timeline)
        except FailureError as error:
            if is_cancelled_exception(error):
                raise
            refusal = reason_of(error)
            self._timeline.add(f"refused: `{refusal.code}` {refusal.message}")
            return ParcelResolutionAnswer(code=refusal.code, message=refusal.message, details=dict(refusal.details))
        if opened.is_closed:
            return ParcelResolutionAnswer()
        self._timeline.add(f"{opened.actor}: {opened.reason}")
        return await self._refund(opened)

    async def _ship_again(self, command: ResolveParcel) -> ParcelResolutionAnswer:
        """A repeat finds the parcel that was planned; its workflow is started again only if it runs no more, and asks
        the carrier before it books anything.
        """
        self._timeline.add(f"{command.actor}: {command.reason}")
        call, text = ParcelResolutionActivities.replace_parcel, "plan another parcel with the same goods"
        replaced = await on_store(call, command, text, self._timeline)
        await signal_allocations(replaced.allocated)
        if (job := replaced.job) is not None:
            with suppress(WorkflowAlreadyStartedError):
                await start_fulfilment(job)
            self._timeline.add(f"parcel {job.parcel.number} is shipped in its place, from {job.parcel.warehouse}")
        return ParcelResolutionAnswer()

    async def _refund(self, opened: ResolutionOpened) -> ParcelResolutionAnswer:
        command = self._command
        answer = await refund_parcel(
            RefundInput(
                refund_id=str(workflow.uuid4()),
                order_id=command.order_id,
                parcel=command.parcel,
                reason=opened.reason,
                actor=opened.actor,
            )
        )
        if (refused := _refusal(answer)) is not None:
            await self._withdraw()
            self._timeline.add(f"refused: `{refused.code}` {refused.message}")
            return refused
        await self._close(answer.refund)
        return ParcelResolutionAnswer()

    async def _withdraw(self) -> None:
        command = WithdrawResolution(order_id=self._command.order_id, parcel=self._command.parcel)
        call = ParcelResolutionActivities.withdraw_resolution
        await on_store(call, command, "withdraw what cannot be done", self._timeline)

    async def _close(self, refund: RefundView | None) -> None:
        amount = refund.amount if refund is not None else None
        text = f"{money(amount.amount, amount.currency)} refunded" if amount is not None else "nothing to refund"
        command = CloseResolution(
            order_id=self._command.order_id,
            parcel=self._command.parcel,
            refund_id=refund.id if refund is not None else None,
            amount=amount,
        )
        closed = await on_store(ParcelResolutionActivities.close_resolution, command, text, self._timeline)
        self._timeline.add(text)
        await signal_allocations(closed.allocated)


def _refusal(answer: RefundAnswer) -> ParcelResolutionAnswer | None:
    """Why the share is not refunded, or not all of it; that nothing of it is left is no reason."""
    refusal = answer.refund.refusal if answer.refund is not None else answer.refusal
    if refusal is None or refusal.code == NothingToRefund.code:
        return None
    return ParcelResolutionAnswer(code=refusal.code, message=refusal.message, details=refusal.details)
