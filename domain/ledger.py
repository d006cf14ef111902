"""Double entry: every effect at the payment provider moves money between accounts, and what moves sums to zero.

Amounts are minor units of the order's currency; what an account receives is positive. Balances are sums over postings
and nothing else, so the books can be wrong only where a posting is missing.
"""

from collections.abc import Mapping
from enum import StrEnum


class EntryKind(StrEnum):
    """What a ledger entry records."""

    AUTHORIZATION = "authorization"
    CAPTURE = "capture"
    VOID = "void"
    REFUND = "refund"
    REFUND_REVERSAL = "refund_reversal"
    FEE = "fee"
    DISPUTE = "dispute"
    DISPUTE_FEE = "dispute_fee"
    DISPUTE_REVERSAL = "dispute_reversal"
    DISPUTE_FEE_REVERSAL = "dispute_fee_reversal"


class Account(StrEnum):
    """Where money is, or why it moved.

    `held` is on hold at a bank for us, against what the customer `promised`. `provider` is what the payment provider
    owes us, which came from `sales` and went back as `refunds`, was `disputed`, or kept by the provider as `fees`. A
    refund that its bank sends back is reversed.
    """

    HELD = "held"
    PROMISED = "promised"
    PROVIDER = "provider"
    SALES = "sales"
    REFUNDS = "refunds"
    DISPUTED = "disputed"
    FEES = "fees"


_A = Account
_MOVES: Mapping[EntryKind, tuple[tuple[Account, Account], ...]] = {
    EntryKind.AUTHORIZATION: ((_A.PROMISED, _A.HELD),),
    EntryKind.VOID: ((_A.HELD, _A.PROMISED),),
    EntryKind.CAPTURE: ((_A.HELD, _A.PROMISED), (_A.SALES, _A.PROVIDER)),
    EntryKind.REFUND: ((_A.PROVIDER, _A.REFUNDS),),
    EntryKind.REFUND_REVERSAL: ((_A.REFUNDS, _A.PROVIDER),),
    EntryKind.FEE: ((_A.PROVIDER, _A.FEES),),
    EntryKind.DISPUTE: ((_A.PROVIDER, _A.DISPUTED),),
    EntryKind.DISPUTE_FEE: ((_A.PROVIDER, _A.FEES),),
    EntryKind.DISPUTE_REVERSAL: ((_A.DISPUTED, _A.PROVIDER),),
    EntryKind.DISPUTE_FEE_REVERSAL: ((_A.FEES, _A.PROVIDER),),
}


def postings(kind: EntryKind, amount: int) -> dict[Account, int]:
    """What an effect of this amount adds to each account it touches; it sums to zero. Raises ValueError below zero."""
    if amount < 0:
        raise ValueError(f"{kind} of {amount}: what goes back is an effect of its own")
    added: dict[Account, int] = {}
    for source, target in _MOVES[kind]:
        added[source] = added.get(source, 0) - amount
        added[target] = added.get(target, 0) + amount
    return added


def refundable(captured: int, refunded: int, under_way: int, disputed: int = 0) -> int:
    """How much may still be given back, when refunds of `under_way` have been asked for and not come to their end.

    What a bank has taken back in a dispute the customer has already.
    """
    return captured - refunded - under_way - disputed
