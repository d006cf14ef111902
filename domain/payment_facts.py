"""What is known of an order's payments: what the provider did, and what our own books say. Amounts are minor units."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from domain.credit import OrderCredit
from domain.ledger import EntryKind
from domain.orders import OrderStatus, PaymentStatus, payment_status

_K = EntryKind
_OF_A_PAYMENT = frozenset({_K.AUTHORIZATION, _K.CAPTURE, _K.VOID})


@dataclass(frozen=True)
class Entry:
    """One line of the ledger. A refund's `provider_id` is the refund's own, every other's the payment's."""

    kind: EntryKind
    amount: int
    provider_id: str


@dataclass(frozen=True)
class RefundMade:
    """A refund as the provider has it; `refund_id` is what we called it when we asked for it."""

    provider_id: str
    amount: int
    refund_id: str | None = None


@dataclass(frozen=True)
class RefundFailed:
    """A refund that has failed at the provider, perhaps after it had called it done, and the bank's word for it."""

    provider_id: str
    code: str


@dataclass(frozen=True)
class PaymentMade:
    """One payment as the provider has it: so much was ever held, of which so much was taken and is still held."""

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
        """What we hold or have of it now."""
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
    """What the sums over the provider's effects and over store credit make of an order that costs so much.

    What a bank has taken back for good counts as given back. Credit counts once the card has come up for the rest:
    until then the order is not paid for.
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
    """The ledger of an order; `amount_due` is the value of the dispatched goods, less what store credit pays of it."""

    order_id: str
    status: OrderStatus
    payment_status: PaymentStatus
    total: int
    amount_due: int
    entries: tuple[Entry, ...] = ()
    credit: OrderCredit = field(default_factory=OrderCredit)

    def sum(self, kind: EntryKind, provider_id: str | None = None) -> int:
        """The sum of the entries of this kind, of one payment or of all."""
        return sum(one.amount for one in self.entries if one.kind is kind and provider_id in (None, one.provider_id))

    def refunded(self, provider_id: str | None = None) -> int:
        """What was given back and has not come back to us since, by one refund or by all."""
        return self.sum(_K.REFUND, provider_id) - self.sum(_K.REFUND_REVERSAL, provider_id)

    def committed(self, provider_id: str) -> int:
        """How much of this payment the ledger has as held or captured."""
        return self.sum(_K.AUTHORIZATION, provider_id) - self.sum(_K.VOID, provider_id)

    @property
    def payments(self) -> list[str]:
        """The payments the ledger knows."""
        return list(dict.fromkeys(one.provider_id for one in self.entries if one.kind in _OF_A_PAYMENT))

    @property
    def derived_status(self) -> PaymentStatus:
        """What the payment status must be by the sums. An order that costs nothing is paid for as it is."""
        if self.total == 0 and not self.entries:
            return self.payment_status
        return status_by_ledger(self.total, {kind: self.sum(kind) for kind in EntryKind}, self.credit)


Payments = Mapping[str, PaymentMade | None]
"""All payments of an order, None for one that the provider does not have."""
