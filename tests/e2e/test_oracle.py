"""The oracle of the fault matrix finds each mistake that is built in on purpose, and none where there is none."""

import asyncio
from collections.abc import Iterator

import pytest

from dev.fault_matrix.cells import Cell
from dev.fault_matrix.faults import Kind
from dev.fault_matrix.matrix import Result, check, faulty_engine, play, shared_environment, start_workers
from dev.fault_matrix.rivals import refund_at_once, share_credit
from dev.testbed import Testbed

MUTANTS = {
    "key dropped": ("authorize_payment", Kind.FAILS_AFTER, "money: the provider did"),
    "compensation skipped": ("release_stock", Kind.FAILS_BEFORE, "still reserved at the end"),
    "dedupe off": ("record_payment", Kind.FAILS_AFTER, "of which the provider has done"),
    "credit kept": ("void_credit", Kind.FAILS_BEFORE, "credit: 900 is still authorized at the end"),
    "missing units kept": ("record_pick", Kind.FAILS_BEFORE, "stock: 5 on hand, of 4 in stock"),
    "a cent too little": ("capture_payment", Kind.FAILS_BEFORE, "was captured for goods worth"),
}


@pytest.fixture(scope="module")
def oracle_bed(bed: Testbed) -> Iterator[Testbed]:  # `bed` has brought the servers up
    """One for all mutants: only its workers are started again, each time with another mistake."""
    with faulty_engine() as engine:
        yield engine


def with_mutant(bed: Testbed, mutant: str) -> set[str]:
    """Start the workers with it; answers what the oracle finds already, because others have left it."""

    async def look() -> list[str]:
        result = Result(0)
        async with shared_environment(bed, 0) as (shared, _, _):
            await check(shared.sides, result)
        return result.while_running

    start_workers(bed, mutant)
    return set(asyncio.run(look()))


def has_found(result: Result, sentence: str, before: set[str]) -> bool:
    return any(sentence in violation for violation in set(result.violations()) - before)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("mutant", MUTANTS)
def test_the_oracle_finds_a_mistake_that_was_built_in(mutant: str, oracle_bed: Testbed) -> None:
    activity, kind, sentence = MUTANTS[mutant]

    def wanted(cells: list[Cell]) -> list[Cell]:
        return [cell for cell in cells if (cell.fault.activity, cell.fault.kind) == (activity, kind)]

    before = with_mutant(oracle_bed, mutant)
    result = asyncio.run(play(oracle_bed, wanted, seed=1))
    assert has_found(result, sentence, before), result.violations()


@pytest.mark.timeout(600)
@pytest.mark.parametrize(("mutant", "is_found"), [("none", False), ("lock removed", True)])
def test_the_oracle_finds_credit_that_was_spent_twice(mutant: str, is_found: bool, oracle_bed: Testbed) -> None:
    before = with_mutant(oracle_bed, mutant)
    result = asyncio.run(share_credit(oracle_bed, 4))
    assert has_found(result, "is below zero", before) is is_found, result.violations()


@pytest.mark.timeout(600)
@pytest.mark.parametrize(("mutant", "is_found"), [("none", False), ("refund lock removed", True)])
def test_the_oracle_finds_money_that_is_refunded_twice(mutant: str, is_found: bool, oracle_bed: Testbed) -> None:
    before = with_mutant(oracle_bed, mutant)
    result, answers = asyncio.run(refund_at_once(oracle_bed, 3))
    assert has_found(result, "is accepted, of which", before) is is_found, answers
    assert (sorted(str(one.code) for one in answers) == ["None", *["refund_exceeds_captured"] * 2]) is not is_found
