"""What is known of an order's payments: what the provider did, and what our own books say. Amounts are minor units."""

from collections.abc import Mapping
from dataclasses import dataclass

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


@dataclass(frozen=True)
class CreditUsed:
    """What the order took of its customer's store credit, gave back of that, and let go of."""

    authorized: int = 0
    captured: int = 0
    refunded: int = 0
    released: int = 0


@dataclass(frozen=True)
class OrderBooks:
    """What our own books say of an order; `owed` is what the goods that have left are worth, less what store credit
    pays of it.
    """

    order_id: str
    status: OrderStatus
    payment_status: PaymentStatus
    total: int
    owed: int
    entries: tuple[Entry, ...] = ()
    credit: CreditUsed = CreditUsed()

    def sum(self, kind: EntryKind, provider_id: str | None = None) -> int:
        """The sum of the entries of this kind, of one payment or of all."""
        return sum(one.amount for one in self.entries if one.kind is kind and provider_id in (None, one.provider_id))

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
        # Credit counts once the card has come up for the rest.
        covered = self.sum(_K.AUTHORIZATION) + self.credit.authorized >= self.total
        credit = self.credit if covered else CreditUsed()
        # What a bank has taken back counts as given back.
        taken_back = self.sum(_K.DISPUTE) - self.sum(_K.DISPUTE_REVERSAL)
        return payment_status(
            authorized=self.sum(_K.AUTHORIZATION) + credit.authorized,
            captured=self.sum(_K.CAPTURE) + credit.captured,
            refunded=self.sum(_K.REFUND) + taken_back + credit.refunded,
            voided=self.sum(_K.VOID) + credit.released,
        )


Payments = Mapping[str, PaymentMade | None]
"""All payments of an order, None for one that the provider does not have."""
