"""Double-entry ledger: every effect at the payment provider is a set of postings that sum to zero.

Amounts are minor units of the order's currency; what an account receives is positive. Balances are sums over postings
and nothing else, so the ledger can be wrong only where a posting is missing.
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
    """An account of the ledger.

    `held` is authorized at a bank, against what the customer `promised`. `provider` is what the payment provider owes
    us: it comes from `sales` and is reduced by `refunds`, `disputed` amounts and the provider's `fees`. A refund that
    the bank returns is reversed.
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
    """What an effect of this amount adds to each account; it sums to zero. Raises ValueError for a negative amount."""
    if amount < 0:
        raise ValueError(f"{kind} of {amount}: what goes back is an effect of its own")
    added: dict[Account, int] = {}
    for source, target in _MOVES[kind]:
        added[source] = added.get(source, 0) - amount
        added[target] = added.get(target, 0) + amount
    return added


def refundable(captured: int, refunded: int, under_way: int, disputed: int = 0) -> int:
    """How much can still be refunded while refunds of `under_way` are in progress.

    What the bank has withdrawn in a dispute, the customer has already.
    """
    return captured - refunded - under_way - disputed
