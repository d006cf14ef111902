"""Money: integer minor units, nothing lost, nothing mixed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.money import Money, round_half_up, split

AMOUNTS = st.integers(0, 10**10)


def test_currencies_do_not_mix() -> None:
    with pytest.raises(ValueError, match="cannot mix"):
        Money(1, "EUR") + Money(1, "USD")


@pytest.mark.parametrize("code", ["eur", "EURO", "E", "", "€€€"])
def test_only_iso_codes_are_currencies(code: str) -> None:
    with pytest.raises(ValueError, match="ISO 4217"):
        Money(1, code)


@pytest.mark.parametrize(("numerator", "rounded"), [(149, 1), (150, 2), (250, 3), (-149, -1), (-150, -2), (0, 0)])
def test_halves_round_away_from_zero(numerator: int, rounded: int) -> None:
    assert round_half_up(numerator, 100) == rounded


@given(AMOUNTS, st.lists(st.integers(0, 10**6), min_size=1, max_size=12))
def test_a_split_loses_nothing_and_is_fair(total: int, weights: list[int]) -> None:
    parts = split(total, weights)
    assert sum(parts) == total
    if whole := sum(weights):
        assert all(abs(part * whole - total * weight) < whole for part, weight in zip(parts, weights, strict=True))


def test_a_split_refuses_negative_weights() -> None:
    with pytest.raises(ValueError, match="non-negative"):
        split(10, [1, -1])
