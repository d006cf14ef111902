"""The results as a Markdown table."""

from collections import Counter

from dev.fault_matrix.faults import Kind
from dev.fault_matrix.matrix import Result
from dev.fault_matrix.scenarios import Course


def table(result: Result) -> str:
    """A row per activity, a column per fault and course; ✗ where the oracle has found something."""
    columns = [(kind, course) for kind in Kind for course in Course]
    names = list(dict.fromkeys(one.cell.fault.activity for one in result.outcomes))
    head = ["activity", "order", *(f"{kind}, {course}" for kind, course in columns)]
    lines = [f"| {' | '.join(head)} |", f"|{' --- |' * len(head)}"]
    for name in sorted(names):
        mine = [one for one in result.outcomes if one.cell.fault.activity == name]
        cells = [_cell(result, name, kind, course) for kind, course in columns]
        lines.append(f"| `{name}` | {mine[0].cell.scenario.name} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _cell(result: Result, name: str, kind: Kind, course: Course) -> str:
    found = [
        one
        for one in result.outcomes
        if (one.cell.fault.activity, one.cell.fault.kind, one.cell.course) == (name, kind, course)
    ]
    ends = Counter(f"{'✗ ' if one.violations else ''}{one.ended}" for one in found)
    return ", ".join(ends) or "–"
