"""AuthorizationVoidWorkflow gives back what an order holds when its PaymentWorkflow has failed and cannot any more."""

from functools import partial

from temporalio import workflow

from activities.credit import CreditActivities
from schemas.credit import VoidCredit
from schemas.payment_reconciliation import Examined
from schemas.payments import VoidAuthorizations
from workflows.options import STORE
from workflows.payments.return_funds import Excess, FundsReturn
from workflows.timeline import Timeline
from workflows.waiting import run_to_completion


@workflow.defn
class AuthorizationVoidWorkflow:
    """ask the provider → void what is held → book that → give store credit back; what was taken stays taken.

    It knows the payments that our books know. One that was held and never booked is found by the reconciliation.
    """

    @workflow.init
    def __init__(self, order: VoidAuthorizations) -> None:
        self._order = order
        self._timeline = Timeline(f"Holds of order {order.order_id}")

    @workflow.run
    async def run(self, order: VoidAuthorizations) -> None:
        """Give it all back; raises ApplicationError where the provider refuses."""
        await run_to_completion(self._let_go(order), self._timeline.add)

    async def _let_go(self, order: VoidAuthorizations) -> None:
        examined = await FundsReturn(order.order_id, "", self._timeline).examine()
        for payment_id in sorted(examined.payments):
            money_back = FundsReturn(order.order_id, payment_id, self._timeline)
            await money_back.give_back(partial(_held, payment_id))
        command = VoidCredit(
            order_id=order.order_id,
            idempotency_key=f"{workflow.info().workflow_id}:release-credit",
            reason=order.reason,
        )
        await workflow.execute_local_activity_method(
            CreditActivities.void_credit, command, summary="release store credit", **STORE
        )
        self._timeline.add("nothing is held any more")


def _held(payment_id: str, examined: Examined) -> Excess:
    payment = examined.payments[payment_id]
    assert payment is not None, "it was found a moment ago"
    return Excess(hold=payment.held)
