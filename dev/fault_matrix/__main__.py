"""`make fault-matrix`: play everything, show it as a table and keep that as docs/fault-matrix.md."""

import asyncio
import os
import random
import sys
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from dev.fault_matrix.matrix import Result, faulty_engine, play
from dev.fault_matrix.scenarios import NOT_OF_AN_ORDER
from dev.fault_matrix.table import table
from dev.stack import ensure_servers

KEPT = Path(__file__).resolve().parent.parent.parent / "docs" / "fault-matrix.md"
_ABOUT = """# The fault matrix

Every activity of checkout, payment and fulfilment × every way its first attempt can go wrong × whether the order goes
on or its customer cancels it at that moment, played on real servers by `make fault-matrix`; `make test` plays each
fault on one of its two courses, drawn anew each time. A cell says how the order ended; the oracle
(`dev/fault_matrix/oracle.py`) then compared our books with those of the payment provider and the carrier, stock with
its ledger, and the history with the allowed moves, and looked at all orders and all stock twice a second on the way.

"""

console = Console(highlight=False)


def main() -> None:
    """Play, show, keep."""
    seed = int(os.environ.get("SEED", random.SystemRandom().randrange(10**9)))
    console.print(f"Playing the fault matrix; seed {seed} (SEED={seed} plays the same)")
    ensure_servers()
    with faulty_engine() as bed, Progress(console=console, transient=True) as progress:
        task = progress.add_task("orders", total=None)
        result = asyncio.run(play(bed, lambda _: True, seed, lambda _: progress.advance(task)))
    text = table(result)
    console.print(text, soft_wrap=True)
    for sentence in result.violations():
        console.print(f"[red]✗[/red] {sentence}", soft_wrap=True)
    if result.violations():
        sys.exit("The oracle has found violations; .state/testbed/*/faulty-worker.log tells what the workers did.")
    KEPT.write_text(_ABOUT + text + _footer(result))
    console.print(f"[green]✓[/green] {len(result.outcomes)} orders, no violation; kept in {KEPT}")


def _footer(result: Result) -> str:
    left_out = "".join(f"- `{name}`: {why}\n" for name, why in NOT_OF_AN_ORDER.items())
    played = f"{len(result.outcomes)} orders, {result.looks} looks on the way, seed {result.seed}"
    return f"\nPlayed {datetime.now(UTC):%Y-%m-%d}: {played}.\n\nNot in it:\n\n{left_out}"


if __name__ == "__main__":
    main()
