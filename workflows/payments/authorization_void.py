"""AuthorizationVoidWorkflow voids what an order has authorized when its PaymentWorkflow has failed and cannot."""

from functools import partial

from temporalio import workflow

from activities.credit import CreditActivities
from schemas.credit import VoidCredit
from schemas.payment_reconciliation import Examined
from schemas.payments import VoidAuthorizations
from workflows.payments.return_funds import Excess, FundsReturn
from workflows.stores import on_store
from workflows.timeline import Timeline
from workflows.waiting import run_to_completion


@workflow.defn
class AuthorizationVoidWorkflow:
    """examine → void what is authorized → record that → void store credit; captures stay as they are.

    It knows the payments in our ledger. An authorization that was never recorded is found by the reconciliation.
    """

    @workflow.init
    def __init__(self, order: VoidAuthorizations) -> None:
        self._order = order
        self._timeline = Timeline(f"Authorizations of order {order.order_id}", order.order_id)

    @workflow.run
    async def run(self, order: VoidAuthorizations) -> None:
        """Void all of it; raises ApplicationError where the provider refuses."""
        await run_to_completion(self._void(order), self._timeline.add)

    async def _void(self, order: VoidAuthorizations) -> None:
        examined = await FundsReturn(order.order_id, "", self._timeline).examine()
        for payment_id in sorted(examined.payments):
            funds_return = FundsReturn(order.order_id, payment_id, self._timeline)
            await funds_return.run(partial(_authorized, payment_id))
        command = VoidCredit(
            order_id=order.order_id,
            idempotency_key=f"{workflow.info().workflow_id}:void-credit",
            reason=order.reason,
        )
        await on_store(CreditActivities.void_credit, command, "void store credit", self._timeline)
        self._timeline.add("nothing is authorized any more")


def _authorized(payment_id: str, examined: Examined) -> Excess:
    payment = examined.payments[payment_id]
    assert payment is not None, "it was found by the first look"
    return Excess(authorized=payment.held)
