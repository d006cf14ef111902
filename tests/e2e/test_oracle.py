"""The oracle of the fault matrix finds each mistake that is built in on purpose, and none where there is none."""

import asyncio

import pytest

from dev.fault_matrix.cells import Cell
from dev.fault_matrix.faults import Kind
from dev.fault_matrix.matrix import faulty_engine, play
from dev.fault_matrix.rivals import refund_at_once, share_credit

pytestmark = pytest.mark.usefixtures("bed")  # which has brought the servers up

MUTANTS = {
    "key dropped": ("authorize_payment", Kind.FAILS_AFTER, "money: the provider did"),
    "compensation skipped": ("release_stock", Kind.FAILS_BEFORE, "still reserved at the end"),
    "dedupe off": ("record_payment", Kind.FAILS_AFTER, "of which the provider has done"),
    "credit kept": ("void_credit", Kind.FAILS_BEFORE, "credit: 900 is still authorized at the end"),
    "missing units kept": ("record_pick", Kind.FAILS_BEFORE, "stock: 5 on hand, of 4 in stock"),
    "a cent too little": ("capture_payment", Kind.FAILS_BEFORE, "was captured for goods worth"),
}


@pytest.mark.timeout(600)
@pytest.mark.parametrize("mutant", MUTANTS)
def test_the_oracle_finds_a_mistake_that_was_built_in(mutant: str) -> None:
    activity, kind, sentence = MUTANTS[mutant]

    def wanted(cell: Cell) -> bool:
        return (cell.fault.activity, cell.fault.kind) == (activity, kind)

    with faulty_engine(mutant) as bed:
        result = asyncio.run(play(bed, wanted, seed=1))
    assert any(sentence in violation for violation in result.violations()), result.violations()


@pytest.mark.timeout(600)
@pytest.mark.parametrize(("mutant", "is_found"), [("none", False), ("lock removed", True)])
def test_the_oracle_finds_credit_that_was_spent_twice(mutant: str, is_found: bool) -> None:
    with faulty_engine(mutant) as bed:
        result = asyncio.run(share_credit(bed, 4))
    assert any("is below zero" in violation for violation in result.violations()) is is_found, result.violations()


@pytest.mark.timeout(600)
@pytest.mark.parametrize(("mutant", "is_found"), [("none", False), ("refund lock removed", True)])
def test_the_oracle_finds_money_that_is_refunded_twice(mutant: str, is_found: bool) -> None:
    with faulty_engine(mutant) as bed:
        result, answers = asyncio.run(refund_at_once(bed, 3))
    assert any("is accepted, of which" in violation for violation in result.violations()) is is_found, answers
    assert (sorted(str(one.code) for one in answers) == ["None", *["refund_exceeds_captured"] * 2]) is not is_found
