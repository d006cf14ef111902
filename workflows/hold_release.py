"""HoldReleaseWorkflow gives back what an order holds when its PaymentWorkflow has failed and cannot any more."""

from functools import partial

from temporalio import workflow

from activities.credit import CreditActivities
from schemas.credit import ReleaseCredit
from schemas.payment_reconciliation import Examined
from schemas.payments import ReleaseHolds
from workflows.money_back import Excess, MoneyBack
from workflows.options import STORE
from workflows.timeline import Timeline
from workflows.uninterrupted import to_its_end


@workflow.defn
class HoldReleaseWorkflow:
    """ask the provider → void what is held → book that → give store credit back; what was taken stays taken.

    It knows the payments that our books know. One that was held and never booked is found by the reconciliation.
    """

    @workflow.init
    def __init__(self, order: ReleaseHolds) -> None:
        self._order = order
        self._timeline = Timeline(f"Holds of order {order.order_id}")

    @workflow.run
    async def run(self, order: ReleaseHolds) -> None:
        """Give it all back; raises ApplicationError where the provider refuses."""
        await to_its_end(self._let_go(order), self._timeline.tell)

    async def _let_go(self, order: ReleaseHolds) -> None:
        examined = await MoneyBack(order.order_id, "", self._timeline).examine()
        for payment_id in sorted(examined.payments):
            money_back = MoneyBack(order.order_id, payment_id, self._timeline)
            await money_back.give_back(partial(_held, payment_id))
        command = ReleaseCredit(
            order_id=order.order_id,
            idempotency_key=f"{workflow.info().workflow_id}:release-credit",
            reason=order.reason,
        )
        await workflow.execute_local_activity_method(
            CreditActivities.release_credit, command, summary="release store credit", **STORE
        )
        self._timeline.tell("nothing is held any more")


def _held(payment_id: str, examined: Examined) -> Excess:
    payment = examined.payments[payment_id]
    assert payment is not None, "it was found a moment ago"
    return Excess(hold=payment.held)
