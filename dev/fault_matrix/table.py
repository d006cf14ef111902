"""The results as a Markdown table."""

from dev.fault_matrix.faults import Kind
from dev.fault_matrix.matrix import Result
from dev.fault_matrix.play import Outcome
from dev.fault_matrix.scenarios import Course


def table(result: Result) -> str:
    """A row per activity, a column per fault and course; ✗ where the oracle has found something."""
    columns = [(kind, course) for kind in Kind for course in Course]
    found = {(one.cell.fault.activity, one.cell.fault.kind, one.cell.course): one for one in result.outcomes}
    scenarios = {one.cell.fault.activity: one.cell.scenario.name for one in result.outcomes}
    head = ["activity", "order", *(f"{kind}, {course}" for kind, course in columns)]
    lines = [f"| {' | '.join(head)} |", f"|{' --- |' * len(head)}"]
    for name, scenario in sorted(scenarios.items()):
        cells = [_shown(found.get((name, kind, course))) for kind, course in columns]
        lines.append(f"| `{name}` | {scenario} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _shown(outcome: Outcome | None) -> str:
    if outcome is None:
        return "–"
    return f"✗ {outcome.ended}" if outcome.violations else outcome.ended
