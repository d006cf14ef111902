"""The share of an order that is paid with store credit: authorized first, captured last, the rest voided."""

from activities.credit import CreditActivities
from schemas.credit import AuthorizeCredit, CaptureCredit, VoidCredit
from workflows.payments.records import PaymentRecorder
from workflows.stores import on_store


class StoreCreditShare:
    """Store credit that is authorized for one order; voiding it is the compensation."""

    def __init__(self, recorder: PaymentRecorder) -> None:
        self._recorder = recorder
        self._may_be_authorized = False
        self.authorized = 0

    async def authorize(self) -> None:
        """Authorize as much as there is, up to the order's total."""
        # Noted before the step: a killed worker may have authorized it without Temporal recording it.
        self._may_be_authorized = True
        command = AuthorizeCredit(
            order_id=self._recorder.order_id, idempotency_key=self._recorder.key("authorize-credit")
        )
        done = await on_store(
            CreditActivities.authorize_credit, command, "authorize store credit", self._recorder.timeline
        )
        self.authorized, self._may_be_authorized = done.amount, done.amount > 0
        self._recorder.show(done.payment_status, f"{self._recorder.money(done.amount)} of store credit authorized")

    async def capture(self, parcel: int, amount: int) -> None:
        """Capture so much of it, because the parcel was dispatched."""
        command = CaptureCredit(
            order_id=self._recorder.order_id,
            idempotency_key=self._recorder.key(f"capture-{parcel}:credit"),
            amount=amount,
            parcel=parcel,
        )
        text = f"{self._recorder.money(amount)} of store credit captured"
        done = await on_store(CreditActivities.capture_credit, command, text, self._recorder.timeline)
        self.authorized -= amount
        self._may_be_authorized = self.authorized > 0
        self._recorder.show(done.payment_status, text)

    async def void(self, reason: str) -> None:
        """Void what is still authorized; does nothing when nothing ever was."""
        if not self._may_be_authorized:
            return
        command = VoidCredit(
            order_id=self._recorder.order_id, idempotency_key=self._recorder.key("void-credit"), reason=reason
        )
        done = await on_store(
            CreditActivities.void_credit, command, f"void store credit: {reason}", self._recorder.timeline
        )
        self.authorized, self._may_be_authorized = 0, False
        self._recorder.show(done.payment_status, f"{self._recorder.money(done.amount)} of store credit voided")
