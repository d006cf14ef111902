"""An order that waits for goods longer than its customer's bank holds the money."""

from domain.events import EventType
from domain.orders import OrderStatus
from workflows.orders.parcels import OrderParcels
from workflows.orders.payment import OrderPayment
from workflows.orders.payment_attempts import PaymentAttempts
from workflows.orders.records import OrderRecorder


class PaymentRenewal:
    """When the bank will not hold the money any longer, what has not left waits until it is paid for anew."""

    def __init__(
        self, payment: OrderPayment, attempts: PaymentAttempts, parcels: OrderParcels, book: OrderRecorder
    ) -> None:
        self._payment = payment
        self._attempts = attempts
        self._parcels = parcels
        self._book = book

    async def keep_paid(self) -> None:
        """Returns when no money is held any more; raises the reason when the customer does not pay in time."""
        while (told := await self._payment.refused_renewal()) is not None:
            await self._parcels.hold_for_payment()
            await self._attempts.pay_for_reauthorization(told)
            await self._book.record(f"paid-anew-{told.step}", OrderStatus.PROCESSING, EventType.ORDER_PAYMENT_RENEWED)
            self._attempts.confirmed()
            await self._parcels.go_on()
