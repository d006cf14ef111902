"""The share of an order that its customer pays with store credit: kept first, taken last, given back whole."""

from temporalio import workflow

from activities.credit import CreditActivities
from schemas.credit import AuthorizeCredit, CaptureCredit, VoidCredit
from workflows.options import STORE
from workflows.payments.records import PaymentRecorder


class StoreCreditShare:
    """Store credit that is held for one order; releasing it is the undo of holding it."""

    def __init__(self, book: PaymentRecorder) -> None:
        self._book = book
        self._begun = False
        self.held = 0

    async def hold(self) -> None:
        """Keep as much as there is, up to the order's total."""
        # Noted before the deed: a killed worker may have held it without Temporal ever hearing of it.
        self._begun = True
        command = AuthorizeCredit(order_id=self._book.order_id, idempotency_key=self._book.key("hold-credit"))
        done = await workflow.execute_local_activity_method(
            CreditActivities.authorize_credit, command, summary="hold store credit", **STORE
        )
        self.held, self._begun = done.amount, done.amount > 0
        self._book.show(done.payment_status, f"{self._book.money(done.amount)} of store credit held")

    async def capture(self, parcel: int, amount: int) -> None:
        """Take so much of it, because the parcel has left."""
        command = CaptureCredit(
            order_id=self._book.order_id,
            idempotency_key=self._book.key(f"capture-{parcel}:credit"),
            amount=amount,
            parcel=parcel,
        )
        text = f"{self._book.money(amount)} of store credit taken"
        done = await workflow.execute_local_activity_method(
            CreditActivities.capture_credit, command, summary=text, **STORE
        )
        self.held -= amount
        self._begun = self.held > 0
        self._book.show(done.payment_status, text)

    async def release(self, reason: str) -> None:
        """Give back what is still held; nothing when nothing was ever to be."""
        if not self._begun:
            return
        command = VoidCredit(
            order_id=self._book.order_id, idempotency_key=self._book.key("release-credit"), reason=reason
        )
        done = await workflow.execute_local_activity_method(
            CreditActivities.void_credit, command, summary=f"release store credit: {reason}", **STORE
        )
        self.held, self._begun = 0, False
        self._book.show(done.payment_status, f"{self._book.money(done.amount)} of store credit released")
