"""Every activity of an order fails, every fault strikes, and an oracle reads both sides."""

import asyncio
import random
from collections.abc import Iterator

import pytest

from dev.fault_matrix.cells import Cell, Course
from dev.fault_matrix.matrix import faulty_engine, play
from dev.fault_matrix.table import table

pytestmark = pytest.mark.usefixtures("bed")  # which has brought the servers up
ORDERS = 76


@pytest.mark.timeout(1800)
def test_faults_at_every_activity_end_right() -> None:
    """Some of the cells, which the seed draws; `make fault-matrix` plays all of them."""
    seed = random.randrange(10**9)
    print(f"seed {seed}; SEED={seed} make fault-matrix plays the same and the rest")  # noqa: T201 - shown when it fails
    everything: list[Cell] = []

    def drawn(cells: list[Cell]) -> list[Cell]:
        everything.extend(cells)
        return draw(cells, ORDERS, seed)

    with faulty_engine() as bed:
        result = asyncio.run(play(bed, drawn, seed))
    print(table(result))  # noqa: T201
    assert result.violations() == []
    played = [outcome.cell for outcome in result.outcomes]
    assert {cell.fault.activity for cell in played} == {cell.fault.activity for cell in everything}
    assert {cell.fault.kind for cell in played} == {cell.fault.kind for cell in everything}
    assert {cell.course for cell in played} == set(Course)
    assert len(played) == ORDERS
    assert result.checks > 10


def draw(cells: list[Cell], count: int, seed: int) -> list[Cell]:
    """So many of them, with every activity and every fault among them."""
    shuffled = random.Random(seed).sample(cells, len(cells))
    needed = list(_with_something_new(shuffled))
    return [*needed, *(cell for cell in shuffled if cell not in needed)][:count]


def _with_something_new(cells: list[Cell]) -> Iterator[Cell]:
    seen: set[str] = set()
    for cell in cells:
        shown = {cell.fault.activity, cell.fault.kind}
        if not shown <= seen:
            seen |= shown
            yield cell
