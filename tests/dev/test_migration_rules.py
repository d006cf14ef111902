"""Revisions that would harm orders while they are shipped are refused."""

from pathlib import Path

import pytest

from dev.migration_rules import SINCE, problems

RELEASED = frozenset({"v1.0.0"})
ADD = 'op.add_column("orders", sa.Column("gift", sa.String(10)))'


def revision(folder: Path, body: str, contracts: str | None = None, number: str = SINCE) -> list[str]:
    mark = f"contracts = {contracts!r}\n" if contracts else ""
    (folder / f"{number}_next.py").write_text(f"{mark}\ndef upgrade():\n    {body}\n\n\ndef downgrade():\n    pass\n")
    return list(problems(folder, RELEASED))


@pytest.mark.parametrize(
    "body",
    [
        ADD,
        'op.create_index(op.f("ix_orders_gift"), "orders", ["gift"])',
        'op.alter_column("orders", "gift", nullable=True)',
        'op.get_bind().execute("UPDATE orders SET gift = 1 LIMIT 1000")',
    ],
)
def test_what_only_adds_is_accepted(tmp_path: Path, body: str) -> None:
    assert revision(tmp_path, body) == []


@pytest.mark.parametrize("body", [f"{ADD}\n    {ADD}", f"for _ in (1, 2):\n        {ADD}"], ids=["two", "a loop"])
def test_more_than_one_change_is_refused(tmp_path: Path, body: str) -> None:
    (problem,) = revision(tmp_path, body)
    assert problem.startswith(f"{SINCE}_next.py: it changes the schema more than once")


@pytest.mark.parametrize(
    "body",
    [
        'op.drop_column("orders", "gift")',
        'op.drop_table("gifts")',
        'op.alter_column("orders", "gift", new_column_name="present")',
        'op.alter_column("orders", "gift", nullable=False)',
    ],
)
def test_what_takes_away_names_the_release_that_no_longer_uses_it(tmp_path: Path, body: str) -> None:
    (problem,) = revision(tmp_path, body)
    assert "takes away what the release before uses" in problem
    assert revision(tmp_path, body, contracts="v1.0.0") == []
    (problem,) = revision(tmp_path, body, contracts="v9.0.0")
    assert "is no release" in problem


def test_revisions_from_before_anything_was_live_are_as_they_are(tmp_path: Path) -> None:
    assert revision(tmp_path, f"{ADD}\n    {ADD}", number="0001") == []
