"""Store credit: a customer's credit as double-entry postings, and its share of an order.

Every entry moves an amount from one account to another, so that all of a customer's accounts sum to zero per currency.
Amounts are minor units; balances are sums over entries and nothing else.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from domain.pricing import MIN_CHARGE


class CreditKind(StrEnum):
    """What an entry of store credit records."""

    GRANT = "grant"
    AUTHORIZE = "authorize"
    VOID = "void"
    CAPTURE = "capture"
    REFUND = "refund"


class CreditAccount(StrEnum):
    """An account of store credit.

    `available` can be spent by the customer and `held` is authorized for an order; `goodwill` is what was granted, and
    `spent` what was paid with it.
    """

    AVAILABLE = "available"
    HELD = "held"
    GOODWILL = "goodwill"
    SPENT = "spent"


_A = CreditAccount
MOVES: Mapping[CreditKind, tuple[CreditAccount, CreditAccount]] = {
    CreditKind.GRANT: (_A.GOODWILL, _A.AVAILABLE),
    CreditKind.AUTHORIZE: (_A.AVAILABLE, _A.HELD),
    CreditKind.VOID: (_A.HELD, _A.AVAILABLE),
    CreditKind.CAPTURE: (_A.HELD, _A.SPENT),
    CreditKind.REFUND: (_A.SPENT, _A.AVAILABLE),
}


@dataclass(frozen=True)
class OrderCredit:
    """The store credit of one order, in minor units of its currency."""

    authorized: int = 0
    voided: int = 0
    captured: int = 0
    refunded: int = 0

    @property
    def held(self) -> int:
        """What is authorized for the order and not captured yet."""
        return self.authorized - self.voided - self.captured


def credit_to_authorize(total: int, available: int) -> int:
    """How much credit an order of this total uses: all that is available, up to the total.

    What remains for the card is nothing, or an amount a card network accepts.
    """
    if available >= total:
        return total
    return max(0, min(available, total - MIN_CHARGE))


def spread(amount: int, limits: Sequence[int]) -> list[int]:
    """Divide an amount over parts with these limits, the first ones first; ValueError when it exceeds them all.

    The card comes before store credit in captures and refunds: its authorization expires, store credit does not.
    """
    parts = []
    for limit in limits:
        parts.append(min(amount, limit))
        amount -= parts[-1]
    if amount:
        raise ValueError(f"{amount} more than there is room for")
    return parts
