"""The results as a Markdown table."""

from collections.abc import Sequence

from dev.fault_matrix.cells import Course
from dev.fault_matrix.faults import CarrierAnswer, Kind
from dev.fault_matrix.matrix import Result
from dev.fault_matrix.play import Outcome


def table(result: Result) -> str:
    """A row per activity and order, a column per fault and course; ✗ where the oracle has found something.

    The carrier's answers have a table of their own.
    """
    return "\n".join(_table(kinds, result.outcomes) for kinds in (Kind, CarrierAnswer))


def _table(kinds: type[Kind] | type[CarrierAnswer], outcomes: Sequence[Outcome]) -> str:
    columns = [(kind, course) for kind in kinds for course in Course]
    found = {(_row(end), end.cell.fault.kind, end.cell.course): end for end in outcomes}
    head = ["activity", "order", *(f"{kind.replace('_', ' ')}, {course}" for kind, course in columns)]
    lines = [f"| {' | '.join(head)} |", f"|{' --- |' * len(head)}"]
    for row in sorted({_row(end) for end in outcomes if isinstance(end.cell.fault.kind, kinds)}):
        cells = [_shown(found.get((row, kind, course))) for kind, course in columns]
        lines.append(f"| `{row[0]}` | {row[1]} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _row(outcome: Outcome) -> tuple[str, str]:
    return outcome.cell.fault.at, outcome.cell.scenario.name


def _shown(outcome: Outcome | None) -> str:
    if outcome is None:
        return "–"
    return f"✗ {outcome.ended}" if outcome.violations else outcome.ended
