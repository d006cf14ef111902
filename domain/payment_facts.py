"""An order's payments at the provider and in our own records. Amounts are minor units."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from domain.credit import OrderCredit
from domain.ledger import EntryKind
from domain.orders import OrderStatus, PaymentStatus, payment_status

_K = EntryKind
_OF_A_PAYMENT = frozenset({_K.AUTHORIZATION, _K.CAPTURE, _K.VOID})


@dataclass(frozen=True)
class Entry:
    """An entry of the ledger. `provider_id` is that of the refund for a refund, and of the payment otherwise."""

    kind: EntryKind
    amount: int
    provider_id: str


@dataclass(frozen=True)
class RefundMade:
    """A refund at the provider; `refund_id` is our id of it."""

    provider_id: str
    amount: int
    refund_id: str | None = None


@dataclass(frozen=True)
class RefundFailed:
    """A refund that failed at the provider, possibly after it had succeeded, with the bank's code."""

    provider_id: str
    code: str


@dataclass(frozen=True)
class PaymentMade:
    """A payment at the provider: the amounts authorized, captured, still held and refunded."""

    provider_id: str
    order_id: str
    currency: str
    authorized: int = 0
    captured: int = 0
    held: int = 0
    refunded: int = 0
    refunds: tuple[RefundMade, ...] = ()
    failed_refunds: tuple[RefundFailed, ...] = ()

    @property
    def kept(self) -> int:
        """What is held or captured of it, less refunds."""
        return self.held + self.captured - self.refunded

    def done(self, kind: EntryKind) -> int:
        """The sum of the effects of this kind."""
        return {
            _K.AUTHORIZATION: self.authorized,
            _K.CAPTURE: self.captured,
            _K.VOID: self.authorized - self.captured - self.held,
            _K.REFUND: self.refunded,
        }[kind]


def status_by_ledger(total: int, sums: Mapping[EntryKind, int], credit: OrderCredit) -> PaymentStatus:
    """The payment status of an order with this total, by the sums over the provider's effects and store credit.

    What a bank has withdrawn in a dispute counts as refunded. Store credit counts once the card covers the rest: until
    then the order is not paid.
    """
    if sums.get(_K.AUTHORIZATION, 0) + credit.authorized < total:
        credit = OrderCredit()
    taken_back = sums.get(_K.DISPUTE, 0) - sums.get(_K.DISPUTE_REVERSAL, 0)
    return payment_status(
        authorized=sums.get(_K.AUTHORIZATION, 0) + credit.authorized,
        captured=sums.get(_K.CAPTURE, 0) + credit.captured,
        refunded=sums.get(_K.REFUND, 0) - sums.get(_K.REFUND_REVERSAL, 0) + taken_back + credit.refunded,
        voided=sums.get(_K.VOID, 0) + credit.voided,
    )


@dataclass(frozen=True)
class OrderLedger:
    """An order in our records; `amount_due` is the value of its dispatched goods, less what store credit pays of it."""

    order_id: str
    status: OrderStatus
    payment_status: PaymentStatus
    total: int
    amount_due: int
    entries: tuple[Entry, ...] = ()
    credit: OrderCredit = field(default_factory=OrderCredit)

    def sum(self, kind: EntryKind, provider_id: str | None = None) -> int:
        """The sum of the entries of this kind, for one payment or all."""
        return sum(one.amount for one in self.entries if one.kind is kind and provider_id in (None, one.provider_id))

    def refunded(self, provider_id: str | None = None) -> int:
        """What was refunded, less reversals, by one refund or all."""
        return self.sum(_K.REFUND, provider_id) - self.sum(_K.REFUND_REVERSAL, provider_id)

    def committed(self, provider_id: str) -> int:
        """How much of this payment is authorized or captured by the ledger."""
        return self.sum(_K.AUTHORIZATION, provider_id) - self.sum(_K.VOID, provider_id)

    @property
    def payments(self) -> list[str]:
        """The payments in the ledger."""
        return list(dict.fromkeys(one.provider_id for one in self.entries if one.kind in _OF_A_PAYMENT))

    @property
    def derived_status(self) -> PaymentStatus:
        """The payment status by the sums. An order with a total of zero keeps its status."""
        if self.total == 0 and not self.entries:
            return self.payment_status
        return status_by_ledger(self.total, {kind: self.sum(kind) for kind in EntryKind}, self.credit)


Payments = Mapping[str, PaymentMade | None]
"""All payments of an order by id; None for one that the provider does not have."""
