"""Store credit: what we owe a customer, moved between accounts and never made up; and its share of an order.

Every move takes an amount from one account and gives it to another, so that all of a customer's accounts sum to zero
per currency. Amounts are minor units; balances are sums over moves and nothing else.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from domain.pricing import MIN_CHARGE


class CreditKind(StrEnum):
    """What a move of store credit records."""

    GRANT = "grant"
    AUTHORIZE = "authorize"
    VOID = "void"
    CAPTURE = "capture"
    REFUND = "refund"


class CreditAccount(StrEnum):
    """Where store credit is, or why it moved.

    `available` is the customer's to spend and `held` is kept for an order of theirs; `goodwill` is what was given, and
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
    """What moved of store credit for one order, in minor units of its currency."""

    authorized: int = 0
    voided: int = 0
    captured: int = 0
    refunded: int = 0

    @property
    def held(self) -> int:
        """What is kept for the order and not yet taken."""
        return self.authorized - self.voided - self.captured


def credit_to_authorize(total: int, available: int) -> int:
    """How much credit an order of this total takes: all there is, up to the total.

    What is left for the card is nothing, or an amount a card network takes.
    """
    if available >= total:
        return total
    return max(0, min(available, total - MIN_CHARGE))


def spread(amount: int, limits: Sequence[int]) -> list[int]:
    """Divide an amount over places that take so much each, the first ones first; ValueError when it is too much.

    The card stands before store credit whenever money is taken or given back: its hold ends by itself, credit does not.
    """
    parts = []
    for limit in limits:
        parts.append(min(amount, limit))
        amount -= parts[-1]
    if amount:
        raise ValueError(f"{amount} more than there is room for")
    return parts
