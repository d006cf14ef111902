"""How every bench shows and stores what it has measured."""

import json
import os
import platform
import random
import statistics
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table

RESULTS = Path(__file__).parent / "results"
console = Console(highlight=False)
# The pace of a person who clicks or types; see docs/decisions/0011-what-a-latency-goal-means.md.
PACE_SECONDS = 0.25


def due_times(dice: random.Random, pace: float, started: float) -> Iterator[float]:
    """When one user's next requests are due, from `started` on: every `pace` seconds on average.

    A latency counted from the due time includes the wait for an earlier answer.
    """
    due = started + dice.random() * pace
    while True:
        yield due
        due += pace * dice.uniform(0.5, 1.5)


def table_of(title: str, rows: Sequence[dict[str, object]]) -> Table:
    """The rows as a table, a column for each of their keys."""
    table = Table(title=title)
    for column in rows[0]:
        table.add_column(column.removesuffix("_ms").replace("_", " "), justify="right")
    for row in rows:
        table.add_row(*(_text(value) for value in row.values()))
    return table


def percentile(seconds: Sequence[float], share: int) -> float:
    """In milliseconds; with few values the largest."""
    return round(statistics.quantiles(seconds, n=100, method="inclusive")[share - 1] * 1000, 1)


def keep(name: str, **found: object) -> None:
    """Store the results as JSON, with where and when they were measured."""
    path = RESULTS / f"{name}.json"
    path.parent.mkdir(exist_ok=True)
    machine = {"cpus": os.cpu_count(), "load_average": os.getloadavg()[0], "python": platform.python_version()}
    result = {"measured_at": datetime.now(UTC).isoformat(timespec="seconds"), **machine, **found}
    path.write_text(json.dumps(result, indent=2) + "\n")
    console.print(f"Kept in {path}")


def _text(value: object) -> str:
    if value is None:
        return ""
    return " ".join(f"{code}×{count}" for code, count in value.items()) if isinstance(value, dict) else str(value)
