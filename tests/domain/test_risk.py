"""Which orders are reviewed."""

import pytest

from domain.risk import needs_first_review, reasons_to_review


@pytest.mark.parametrize(
    ("total", "review_from", "level", "reasons"),
    [
        (100_000, 0, "normal", 0),
        (100_000, 0, None, 0),
        (99_999, 100_000, "normal", 0),
        (100_000, 100_000, "normal", 1),
        (1, 0, "elevated", 1),
        (1, 0, "highest", 1),
        (100_000, 100_000, "elevated", 2),
    ],
)
def test_a_high_total_or_a_doubt_of_the_provider(total: int, review_from: int, level: str | None, reasons: int) -> None:
    assert len(list(reasons_to_review(total, review_from, level))) == reasons


@pytest.mark.parametrize(
    ("total", "new_total", "review_from", "needed"),
    [(99, 101, 0, False), (99, 100, 100, True), (99, 100, 101, False), (100, 101, 100, False)],
)
def test_a_total_that_was_not_reviewed_before(*, total: int, new_total: int, review_from: int, needed: bool) -> None:
    assert needs_first_review(total, new_total, review_from) is needed
