"""What goes into a cart, what two carts make together, and what has changed about a line."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.carts import (
    MAX_LINES,
    MAX_QUANTITY,
    ChangeKind,
    Standing,
    changes_of,
    check_line,
    check_stock,
    merge,
    without,
)
from domain.errors import InsufficientStock, InvalidRequest
from domain.money import Money

CARTS = st.dictionaries(st.sampled_from("ABCDEF"), st.integers(1, MAX_QUANTITY), max_size=6)
EURO, DEARER = Money(100, "EUR"), Money(150, "EUR")


def test_limits() -> None:
    check_line({"A": 1}, "A", MAX_QUANTITY)
    with pytest.raises(InvalidRequest):
        check_line({}, "A", MAX_QUANTITY + 1)
    full = {f"SKU-{number}": 1 for number in range(MAX_LINES)}
    check_line(full, "SKU-0", 2)
    with pytest.raises(InvalidRequest):
        check_line(full, "ANOTHER", 1)
    check_stock("A", 5, 5)
    check_stock("A", 5, None)
    with pytest.raises(InsufficientStock):
        check_stock("A", 6, 5)


@pytest.mark.parametrize(
    ("seen", "now", "kinds"),
    [
        (Standing(EURO, True), Standing(EURO, True), []),
        (Standing(EURO, True), Standing(DEARER, True), [ChangeKind.PRICE]),
        (Standing(EURO, True), Standing(EURO, False), [ChangeKind.AVAILABILITY]),
        (Standing(EURO, False), Standing(DEARER, True), [ChangeKind.PRICE, ChangeKind.AVAILABILITY]),
        (Standing(EURO, True), Standing(None, False), [ChangeKind.GONE]),
        (Standing(None, False), Standing(None, False), []),
        (Standing(None, False), Standing(EURO, True), [ChangeKind.PRICE, ChangeKind.AVAILABILITY]),
    ],
)
def test_changes_are_those_since_the_customer_last_looked(
    seen: Standing, now: Standing, kinds: list[ChangeKind]
) -> None:
    found = changes_of("A", seen, now)
    assert [one.kind for one in found] == kinds
    assert all(one.before != one.after for one in found)


@given(CARTS, CARTS)
def test_a_merge_adds_up_to_the_limit_and_a_repeat_adds_nothing(own: dict[str, int], guests: dict[str, int]) -> None:
    merged = merge(own, guests, {}, {})
    expected = {sku: min(MAX_QUANTITY, own.get(sku, 0) + guests.get(sku, 0)) for sku in own | guests}
    assert merged.units == expected
    assert merged.left == {}
    assert merge(merged.units, guests, merged.taken, {}).units == merged.units


@given(CARTS, CARTS, CARTS)
def test_what_is_added_after_a_merge_is_all_that_the_next_one_takes(
    own: dict[str, int], guests: dict[str, int], more: dict[str, int]
) -> None:
    first = merge(own, guests, {}, {})
    grown = {sku: guests.get(sku, 0) + more.get(sku, 0) for sku in guests | more}
    second = merge(first.units, grown, first.taken, {})
    for sku in grown:
        assert second.units[sku] == min(MAX_QUANTITY, first.units.get(sku, 0) + more.get(sku, 0))


@given(CARTS, CARTS, CARTS)
def test_a_merge_never_exceeds_the_room_unless_the_line_did_already(
    own: dict[str, int], guests: dict[str, int], room: dict[str, int]
) -> None:
    for sku, units in merge(own, guests, {}, room).units.items():
        assert units <= max(own.get(sku, 0), room.get(sku, MAX_QUANTITY))
        assert units >= own.get(sku, 0)


@given(CARTS, CARTS)
def test_what_was_ordered_goes_and_nothing_else(units: dict[str, int], ordered: dict[str, int]) -> None:
    left = without(units, ordered)
    assert all(left.get(sku, 0) == max(0, units[sku] - ordered.get(sku, 0)) for sku in units)
    assert all(left.values())
    assert left.keys() <= units.keys()
