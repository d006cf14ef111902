"""Which orders are reviewed."""

import pytest

from domain.risk import reasons_to_review


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
