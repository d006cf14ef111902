"""Changing the shipping address of an order, as long as none of its parcels is booked or being booked."""

from collections.abc import Callable, Iterable

from temporalio import workflow
from temporalio.exceptions import ApplicationError, FailureError

from activities.orders import OrderActivities
from domain.errors import AddressRaisesTotal
from domain.events import EventType
from domain.orders import OrderStatus
from domain.risk import RISK_DECLINED, needs_first_review
from schemas.address_changes import (
    AddressAnswer,
    AddressRecorded,
    ChangeAddress,
    HoldForAddress,
    NewAddress,
    RecordAddress,
)
from schemas.base import Money
from schemas.checkout import CheckoutInput
from schemas.orders import Awaiting
from schemas.payments import ChangeAmount, TryMethod
from schemas.provider_calls import PaymentOutcome
from workflows.orders.parcels import OrderParcels
from workflows.orders.payment import OrderPayment
from workflows.orders.records import OrderRecorder
from workflows.parcels.fulfilment import FulfilmentWorkflow
from workflows.reasons import reason_of
from workflows.stores import on_store


class AddressChange:
    """Every parcel is held first; only when none was booked meanwhile is the address written, and each goes on with it.

    What the order costs less there is not captured; what it costs more its customer authorizes before, see
    docs/decisions/0032.
    """

    def __init__(
        self,
        order: CheckoutInput,
        parcels: OrderParcels,
        payment: OrderPayment,
        recorder: OrderRecorder,
        check_not_compensating: Callable[[], None],
    ) -> None:
        self._order = order
        self._parcels = parcels
        self._payment = payment
        self._recorder = recorder
        self._check_not_compensating = check_not_compensating
        self._changes = 0

    def check_may(self) -> None:
        """Raise ApplicationError unless all parcels wait for goods or their pick, and nothing stops the order."""
        self._check_not_compensating()
        if not self._parcels.started:
            message = "The order is not confirmed yet: check out again with the other address, or wait until it is."
            raise ApplicationError(message, type="not_confirmed")
        if not self._parcels.not_booked_yet:
            message = "The order is past the point where its address can be changed."
            raise ApplicationError(message, type="too_late")

    async def change(self, request: ChangeAddress) -> AddressAnswer:
        """Change it; that it stays is an answer as well. Raises ApplicationError when it is too late by now."""
        async with self._parcels.one_change_at_a_time:
            self.check_may()
            self._changes += 1
            step, parcels = f"address-{self._changes}", self._parcels.not_booked_yet
            try:
                await self._hold(parcels, step)
                self.check_may()
                recorded = await self._change(request, step)
            except FailureError as failure:
                await self._release({number: NewAddress() for number in parcels})
                refusal = reason_of(failure)
                self._recorder.timeline.add(f"shipping address stays: `{refusal.code}` {refusal.message}")
                return AddressAnswer(code=refusal.code, message=refusal.message, details=dict(refusal.details))
            self._parcels.go_to(request.address, recorded.parcels)
            await self._release({one.number: NewAddress(address=request.address, plan=one) for one in recorded.parcels})
        self._recorder.timeline.add(f"shipping address changed by {request.actor}")
        return AddressAnswer()

    async def _hold(self, parcels: Iterable[int], step: str) -> None:
        """Raises ApplicationError when one of them was booked, or is being booked; the others are held all the same."""
        for number in parcels:
            await self._parcels.signal(number, FulfilmentWorkflow.hold_for_address, HoldForAddress(step=step))
        holds = self._parcels.address_holds
        await workflow.wait_condition(
            lambda: all((step, number) in holds or self._parcels.is_over(number) for number in parcels)
        )
        if not all(holds.get((step, number)) for number in parcels):
            raise ApplicationError("A parcel of the order is being handed to the carrier.", type="too_late")

    async def _change(self, request: ChangeAddress, step: str) -> AddressRecorded:
        """Record it; where the order costs more, once its customer has authorized that."""
        try:
            return await self._record(request, step)
        except FailureError as failure:
            dearer = reason_of(failure)
            can_be_paid = request.payment_method is not None and self._payment.started
            if dearer.code != AddressRaisesTotal.code or not can_be_paid:
                raise
        amounts = {name: Money.model_validate(amount) for name, amount in dearer.details.items()}
        self._check_total(amounts["total"].amount, amounts["new_total"].amount)
        data = {name: money.model_dump() for name, money in amounts.items()}
        await self._recorder.record(
            f"{step}-requested", None, EventType.ORDER_ADDRESS_REQUESTED, actor=request.actor, data=data
        )
        await self._authorize(request, step, amounts["amount_due"].amount)
        return await self._record(request, step, amounts["new_total"].amount)

    def _check_total(self, total: int, new_total: int) -> None:
        """What would be reviewed as a new order is not accepted: its parcels are held, and cannot wait for staff."""
        if needs_first_review(total, new_total, self._order.review.total_from):
            message = "The order would have to be checked at this total. Cancel it and place it again."
            raise ApplicationError(message, {"decline_code": RISK_DECLINED}, type="payment_declined")

    async def _authorize(self, request: ChangeAddress, step: str, amount: int) -> None:
        """Authorize the amount in place of the old one; raises ApplicationError, and leaves that, when it fails."""
        seconds = self._order.authentication_seconds
        method = TryMethod(
            payment_method=request.payment_method, return_url=request.payment_return_url, authentication_seconds=seconds
        )
        update = await self._payment.change_amount(ChangeAmount(step=step, amount=amount, method=method))
        asked = update.action is not None
        if update.action is not None:
            await self._recorder.record(
                f"{step}-awaiting-payment",
                OrderStatus.AWAITING_PAYMENT,
                EventType.ORDER_AWAITING_PAYMENT,
                data={"payment_action": update.action.type},  # the rest is for the customer alone
                awaiting=Awaiting(payment_action=update.action),
            )
            update = await self._payment.update_after(step, update)
        self._check_not_compensating()
        status = OrderStatus.PROCESSING if asked else None
        if update.outcome is PaymentOutcome.SUCCEEDED:
            if asked:
                await self._recorder.record(f"{step}-paid", status, EventType.ORDER_PAYMENT_RENEWED)
            return
        message = update.message or "The bank declined the payment."
        data = {"code": update.code, "message": message}
        if update.risk and update.code == RISK_DECLINED:
            self._recorder.timeline.add(f"the payment provider calls the risk of the new payment {update.risk}")
        await self._recorder.record(f"{step}-kept", status, EventType.ORDER_ADDRESS_KEPT, data=data)
        raise ApplicationError(message, {"decline_code": update.code or "card_declined"}, type="payment_declined")

    async def _record(self, request: ChangeAddress, step: str, authorized: int | None = None) -> AddressRecorded:
        command = RecordAddress(
            order_id=self._recorder.order_id,
            step=step,
            address=request.address,
            actor=request.actor,
            authorized_total=authorized,
        )
        return await on_store(OrderActivities.change_address, command, "change the address", self._recorder.timeline)

    async def _release(self, parcels: dict[int, NewAddress]) -> None:
        for number, new in parcels.items():
            await self._parcels.signal(number, FulfilmentWorkflow.release_for_address, new)


class AddressUpdates:
    """The part of CheckoutWorkflow that is asked to change the address."""

    _address: AddressChange

    @workflow.update
    async def change_address(self, request: ChangeAddress) -> AddressAnswer:
        """Ship the order to another address; answers once its parcels know, or why it stays."""
        return await self._address.change(request)

    @change_address.validator
    def _may_change_address(self, request: ChangeAddress) -> None:  # noqa: ARG002 - as its update
        self._address.check_may()
