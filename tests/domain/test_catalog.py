"""What something costs at a moment; which digits are a GTIN; what a merge patch leaves."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.catalog import LONGEST_NAME, PriceNow, is_gtin, price_at, variant_name
from domain.merge_patch import merge_patch

START = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Window:
    amount: int
    valid_from: datetime
    valid_to: datetime | None = None


def at(hours: int) -> datetime:
    return START + timedelta(hours=hours)


windows = st.builds(
    lambda amount, begins, length: Window(amount, at(begins), None if length is None else at(begins + length)),
    st.integers(0, 10_000),
    st.integers(0, 48),
    st.none() | st.integers(1, 24),
)
# One SKU and currency has one price per beginning: it is the key.
histories = st.lists(windows, max_size=8, unique_by=lambda one: one.valid_from)


def test_the_latest_begun_counts_and_the_regular_price_comes_back() -> None:
    history = [Window(1000, at(0)), Window(800, at(10), at(20)), Window(700, at(12), at(14)), Window(1100, at(30))]
    found = [price_at(history, at(hours)) for hours in (-1, 5, 11, 13, 14, 20, 30)]
    assert found == [
        None,
        PriceNow(1000),
        PriceNow(800, 1000, at(20)),
        PriceNow(700, 1000, at(14)),
        PriceNow(800, 1000, at(20)),
        PriceNow(1000),
        PriceNow(1100),
    ]


@given(histories, st.integers(-1, 80))
def test_the_price_is_the_valid_one_that_began_last(history: list[Window], hour: int) -> None:
    moment = at(hour)
    valid = [one for one in history if one.valid_from <= moment and (one.valid_to is None or one.valid_to > moment)]
    found = price_at(history, moment)
    assert (found is None) == (not valid)
    if found is not None:
        counts = max(valid, key=lambda one: one.valid_from)
        assert (found.amount, found.until) == (counts.amount, counts.valid_to)
        assert price_at([*history][::-1], moment) == found
        if found.until is not None:  # what counts now does not count at its end
            later = price_at([one for one in history if one.valid_from <= moment], found.until)
            assert later is None or later.until != found.until


@given(histories, st.integers(-1, 80))
def test_the_regular_price_is_what_lasts_beneath_a_temporary_one(history: list[Window], hour: int) -> None:
    moment = at(hour)
    found = price_at(history, moment)
    lasting = price_at([one for one in history if one.valid_to is None], moment)
    if found is not None and found.until is not None:
        assert found.regular == (lasting.amount if lasting else None)
    elif found is not None:
        assert (found.regular, lasting) == (None, PriceNow(found.amount))


@pytest.mark.parametrize("digits", ["4006381333931", "036000291452", "96385074", "10012345678902"])
def test_a_gtin_is_known_by_its_check_digit(digits: str) -> None:
    assert is_gtin(digits)
    wrong = digits[:-1] + str((int(digits[-1]) + 1) % 10)
    assert not is_gtin(wrong)


@pytest.mark.parametrize("digits", ["", "0", "123456789", "400638133393X", "٤٠٠٦٣٨١٣٣٣٩٣١", " 4006381333931"])
def test_what_is_no_gtin_is_none(digits: str) -> None:
    assert not is_gtin(digits)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3),
    max_leaves=10,
)


def test_the_examples_of_the_rfc() -> None:
    cases = [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        (["a", "b"], ["c", "d"], ["c", "d"]),
        ({"a": "foo"}, None, None),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ]
    for target, patch, result in cases:
        assert merge_patch(target, patch) == result


@given(json_values, json_values)
def test_a_merge_patch_done_twice_is_done_once(target: object, patch: object) -> None:
    once = merge_patch(target, patch)
    assert merge_patch(once, patch) == once


@given(st.dictionaries(st.text(max_size=2), json_values, max_size=4), st.dictionaries(st.text(max_size=2), json_values))
def test_a_merge_patch_leaves_what_it_does_not_name(target: dict[str, object], patch: dict[str, object]) -> None:
    before = repr(target)
    merged = merge_patch(target, patch)
    assert {name: merged[name] for name in merged if name not in patch} == {
        name: value for name, value in target.items() if name not in patch
    }
    assert all(name not in merged for name, value in patch.items() if value is None)
    assert repr(target) == before


def test_the_name_of_a_variant_is_no_longer_than_any_other_name() -> None:
    assert variant_name("Alba pan", {"size": "28 cm", "colour": "red"}) == "Alba pan, 28 cm, red"
    assert variant_name("n" * 150, {"size": "o" * 48}) == f"{'n' * 150}, {'o' * 48}"
    assert variant_name("n" * 150, {"size": "o" * 49}) == f"{'n' * 150}, {'o' * 47}…"
    assert len(variant_name("n" * 200, {f"option {number}": "o" * 200 for number in range(5)})) == LONGEST_NAME
