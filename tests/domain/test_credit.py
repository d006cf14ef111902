"""Store credit: what moves sums to zero, and its share of an order is exact to the cent."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.credit import MOVES, CreditAccount, CreditKind, credit_to_authorize, spread
from domain.pricing import MIN_CHARGE

AMOUNTS = st.integers(0, 10**9)


@given(st.lists(st.tuples(st.sampled_from(CreditKind), AMOUNTS), max_size=20))
def test_whatever_moves_sums_to_zero(moves: list[tuple[CreditKind, int]]) -> None:
    stands = dict.fromkeys(CreditAccount, 0)
    for kind, amount in moves:
        source, target = MOVES[kind]
        stands[source] -= amount
        stands[target] += amount
    assert sum(stands.values()) == 0


def test_nothing_ends_where_it_began() -> None:
    assert all(source is not target for source, target in MOVES.values())


@given(st.integers(MIN_CHARGE, 10**9), AMOUNTS)
def test_an_order_authorizes_no_more_than_there_is_and_leaves_the_card_enough(total: int, available: int) -> None:
    held = credit_to_authorize(total, available)
    assert 0 <= held <= min(total, available)
    rest = total - held
    assert rest == 0 or rest >= MIN_CHARGE
    assert held == min(total, available) or rest == MIN_CHARGE, "as much as there is"


@given(st.lists(AMOUNTS, max_size=6), st.data())
def test_an_amount_is_spread_to_the_cent_the_first_places_first(limits: list[int], data: st.DataObject) -> None:
    amount = data.draw(st.integers(0, sum(limits)))
    parts = spread(amount, limits)
    assert sum(parts) == amount
    assert all(0 <= part <= limit for part, limit in zip(parts, limits, strict=True))
    begun = [place for place, part in enumerate(parts) if part]
    assert all(parts[place] == limits[place] for place in range(begun[-1] if begun else 0))


def test_more_than_there_is_room_for_is_refused() -> None:
    with pytest.raises(ValueError, match="1 more than there is room for"):
        spread(11, [4, 6])


@given(st.integers(0, 10**6), st.lists(st.integers(1, 10**6), min_size=1, max_size=6))
def test_parcels_capture_card_and_credit_to_the_cent(credit: int, shares: list[int]) -> None:
    """Whatever the parcels cost: together they capture exactly what is authorized of each."""
    total = sum(shares)
    held = credit_to_authorize(total, credit)
    card, captured = total - held, []
    left = [card, held]
    for share in shares:
        parts = spread(share, left)
        left = [one - part for one, part in zip(left, parts, strict=True)]
        captured.append(parts)
    assert left == [0, 0]
    assert [sum(parts) for parts in captured] == shares
    assert sum(by_card for by_card, _ in captured) == card
