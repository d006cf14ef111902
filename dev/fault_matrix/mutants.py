"""Mistakes built in on purpose: an oracle that does not find them would prove nothing."""

import os
import time
import uuid
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa

import adapters.mysql.orders.picking
import adapters.mysql.payments.credit
import adapters.mysql.payments.refunds
from adapters.mysql.history import LockedOrder
from adapters.mysql.orders.backorders import Line
from adapters.mysql.orders.reservations import Reservations, release_units
from adapters.mysql.orders.stock_ledger import StockSheet
from adapters.mysql.payments.credit import StoreCredit
from adapters.mysql.payments.ledger import Ledger
from adapters.payments.provider import PaymentProvider
from domain.orders import PaymentStatus
from schemas.credit import CreditMoved, VoidCredit
from schemas.payments import PaymentRecorded, RecordPayment
from schemas.provider_calls import CapturePayment, ProviderResult
from schemas.stock import ReleaseStock, StockReleased
from workflows import options

_RIVALS = 2  # as many as it takes to spend the same money twice


def _nothing() -> None:
    """The code as it is."""


def _key_dropped() -> None:
    """Every attempt at the provider has a key of its own."""

    def with_key_of_its_own(operation: Callable[..., ProviderResult]) -> Callable[..., ProviderResult]:
        def attempt(self: PaymentProvider, command: Any) -> ProviderResult:
            return operation(self, command.model_copy(update={"idempotency_key": str(uuid.uuid4())}))

        return attempt

    for name in ("authorize", "refund"):
        setattr(PaymentProvider, name, with_key_of_its_own(getattr(PaymentProvider, name)))


def _compensation_skipped() -> None:
    """The stock of a cancelled order stays reserved."""

    def release(_self: Reservations, _command: ReleaseStock) -> StockReleased:
        return StockReleased(units=0)

    Reservations.release = release  # type: ignore[method-assign,assignment]


def _dedupe_off() -> None:
    """Every attempt at recording an effect records another one."""
    record = Ledger.record

    def with_key_of_its_own(self: Ledger, command: RecordPayment) -> PaymentRecorded:
        return record(self, command.model_copy(update={"idempotency_key": str(uuid.uuid4())}))

    Ledger.record = with_key_of_its_own  # type: ignore[method-assign]


def _charge_too_little() -> None:
    """A cent less than the parcel's share is captured."""
    capture = PaymentProvider.capture

    def less(self: PaymentProvider, command: CapturePayment) -> ProviderResult:
        return capture(self, command.model_copy(update={"amount": command.amount - 1}))

    PaymentProvider.capture = less  # type: ignore[method-assign]


def _credit_kept() -> None:
    """The store credit of a cancelled order stays authorized."""

    def void(_self: StoreCredit, _command: VoidCredit) -> CreditMoved:
        return CreditMoved(amount=0, payment_status=PaymentStatus.VOIDED)

    StoreCredit.void = void  # type: ignore[method-assign,assignment]


def _missing_kept() -> None:
    """Units that were missing when a parcel was picked stay on hand, and can be bought again."""

    def release(connection: sa.Connection, sheet: StockSheet, lines: Sequence[Line], *arguments: Any) -> None:
        missing, cause = arguments
        for line in lines:
            release_units(connection, sheet, line, missing[line.sku], cause)

    vars(adapters.mysql.orders.picking).update(write_off=release)


def _lock_removed() -> None:
    """Orders of one customer read the same store credit before any of them authorizes its part."""
    module = vars(adapters.mysql.payments.credit)
    share = module["credit_to_authorize"]

    def share_with_rivals(total: int, available: int) -> int:
        _meet_rivals()
        amount: int = share(total, available)
        return amount

    _wait_as_long_as_it_takes()
    module.update(_lock=lambda *_: None, credit_to_authorize=share_with_rivals)


def _refund_lock_removed() -> None:
    """Refunds of one order read what is left of its payment before any of them is recorded."""
    module = vars(adapters.mysql.payments.refunds)
    lock, check = module["lock_order"], module["_check"]

    def unlocked_at_once(connection: sa.Connection, order_id: str) -> LockedOrder:
        with connection.engine.begin() as another:
            locked: LockedOrder = lock(another, order_id)
        return locked

    def check_with_rivals(*arguments: Any) -> None:
        _meet_rivals()
        check(*arguments)

    _wait_as_long_as_it_takes()
    module.update(lock_order=unlocked_at_once, _check=check_with_rivals)


def _meet_rivals() -> None:
    """Return once two transactions of this engine are here: both have read, neither has written."""
    meeting = Path(os.environ["FAULTS"]) / "rivals"
    meeting.mkdir(parents=True, exist_ok=True)
    (meeting / str(uuid.uuid4())).touch()
    while len(list(meeting.iterdir())) < _RIVALS:
        time.sleep(0.05)


def _wait_as_long_as_it_takes() -> None:
    """An attempt that timed out while it waits for its rival would read again after the rival has written."""
    options.STORE["start_to_close_timeout"] = timedelta(minutes=5)


MUTANTS: dict[str, Callable[[], None]] = {
    "none": _nothing,
    "key dropped": _key_dropped,
    "compensation skipped": _compensation_skipped,
    "dedupe off": _dedupe_off,
    "a cent too little": _charge_too_little,
    "credit kept": _credit_kept,
    "missing units kept": _missing_kept,
    "lock removed": _lock_removed,
    "refund lock removed": _refund_lock_removed,
}
