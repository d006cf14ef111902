"""Double entry: what moves sums to zero, whatever happens in whatever order."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.ledger import Account, EntryKind, postings, refundable

EFFECTS = st.lists(st.tuples(st.sampled_from(EntryKind), st.integers(0, 10**12)), max_size=20)


def balances(effects: list[tuple[EntryKind, int]]) -> dict[Account, int]:
    sums = dict.fromkeys(Account, 0)
    for kind, amount in effects:
        for account, added in postings(kind, amount).items():
            sums[account] += added
    return sums


@given(EFFECTS)
def test_the_ledger_always_balances(effects: list[tuple[EntryKind, int]]) -> None:
    assert sum(balances(effects).values()) == 0


@given(EFFECTS)
def test_balances_are_the_sums_of_what_happened(effects: list[tuple[EntryKind, int]]) -> None:
    total = dict.fromkeys(EntryKind, 0)
    for kind, amount in effects:
        total[kind] += amount
    sums = balances(effects)
    assert sums[Account.HELD] == total[EntryKind.AUTHORIZATION] - total[EntryKind.CAPTURE] - total[EntryKind.VOID]
    assert -sums[Account.SALES] == total[EntryKind.CAPTURE]
    assert sums[Account.REFUNDS] == total[EntryKind.REFUND] - total[EntryKind.REFUND_REVERSAL]
    assert sums[Account.FEES] == (
        total[EntryKind.FEE] + total[EntryKind.DISPUTE_FEE] - total[EntryKind.DISPUTE_FEE_REVERSAL]
    )
    assert sums[Account.DISPUTED] == total[EntryKind.DISPUTE] - total[EntryKind.DISPUTE_REVERSAL]
    paid_out = sums[Account.REFUNDS] + sums[Account.DISPUTED] + sums[Account.FEES]
    assert sums[Account.PROVIDER] == total[EntryKind.CAPTURE] - paid_out


@pytest.mark.parametrize("kind", EntryKind)
def test_nothing_moves_backwards(kind: EntryKind) -> None:
    with pytest.raises(ValueError, match="an effect of its own"):
        postings(kind, -1)


def test_a_pending_refund_is_not_refundable_again() -> None:
    assert refundable(captured=1000, refunded=300, under_way=200) == 500


def test_a_disputed_amount_is_not_refundable_as_well() -> None:
    assert refundable(captured=1000, refunded=300, under_way=0, disputed=700) == 0
