"""Mistakes built in on purpose: an oracle that does not find them would prove nothing."""

import time
import uuid
from collections.abc import Callable
from typing import Any

import adapters.mysql.credit
import adapters.mysql.payments
from adapters.mysql.credit import StoreCredit
from adapters.mysql.reservations import Reservations
from adapters.payments import PaymentProvider
from domain.orders import PaymentStatus
from schemas.credit import CreditMoved, ReleaseCredit
from schemas.inventory import ReleaseStock, StockReleased
from schemas.payments import CapturePayment, ProviderResult


def _nothing() -> None:
    """The code as it is."""


def _key_dropped() -> None:
    """Every attempt at the provider has a key of its own."""

    def with_key_of_its_own(deed: Callable[..., ProviderResult]) -> Callable[..., ProviderResult]:
        def attempt(self: PaymentProvider, command: Any) -> ProviderResult:
            return deed(self, command.model_copy(update={"idempotency_key": str(uuid.uuid4())}))

        return attempt

    for name in ("authorize", "refund"):
        setattr(PaymentProvider, name, with_key_of_its_own(getattr(PaymentProvider, name)))


def _undo_skipped() -> None:
    """The stock of an order that was taken back stays reserved."""

    def release(_self: Reservations, _command: ReleaseStock) -> StockReleased:
        return StockReleased(units=0)

    Reservations.release = release  # type: ignore[method-assign,assignment]


def _dedupe_off() -> None:
    """The ledger does not look whether an effect stands in it already."""

    def never(*_: object) -> None:
        return None

    vars(adapters.mysql.payments)["recorded"] = never


def _charge_too_little() -> None:
    """A cent less than the parcel's share is taken."""
    capture = PaymentProvider.capture

    def less(self: PaymentProvider, command: CapturePayment) -> ProviderResult:
        return capture(self, command.model_copy(update={"amount": command.amount - 1}))

    PaymentProvider.capture = less  # type: ignore[method-assign]


def _credit_kept() -> None:
    """The store credit of an order that was taken back stays held."""

    def release(_self: StoreCredit, _command: ReleaseCredit) -> CreditMoved:
        return CreditMoved(amount=0, payment_status=PaymentStatus.VOIDED)

    StoreCredit.release = release  # type: ignore[method-assign,assignment]


def _lock_removed() -> None:
    """Orders of one customer look at the same store credit at the same time, and take their time over it."""
    module = vars(adapters.mysql.credit)
    move = module["_move"]

    def slowly(*arguments: Any) -> None:
        time.sleep(0.5)
        move(*arguments)

    module.update(_lock=lambda *_: None, _move=slowly)


MUTANTS: dict[str, Callable[[], None]] = {
    "none": _nothing,
    "key dropped": _key_dropped,
    "undo skipped": _undo_skipped,
    "dedupe off": _dedupe_off,
    "a cent too little": _charge_too_little,
    "credit kept": _credit_kept,
    "lock removed": _lock_removed,
}
