"""`make fault-matrix`: play everything, show it as a table and keep that as docs/fault-matrix.md."""

import asyncio
import random
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress

from dev.fault_matrix.matrix import Result, faulty_engine, play
from dev.fault_matrix.scenarios import EXCLUDED
from dev.fault_matrix.table import table
from dev.stack import ensure_servers

RESULT = Path(__file__).resolve().parent.parent.parent / "docs" / "fault-matrix.md"
_ABOUT = """# The fault matrix

Every activity of checkout, payment and fulfilment × every way its first attempt can fail, and every command to the
carrier × every wrong answer of it, each × whether the order goes on or its customer cancels it at that moment, played
on real servers by `make fault-matrix`; `make test` plays some of them, drawn at random, with every activity and every
fault among them. A cell says how the order ended; the oracle (`dev/fault_matrix/oracle.py`) then compared our records
with those of the payment provider and the carrier, stock with its ledger, and the history with the allowed moves; while
the orders ran it checked all orders and all stock twice a second.

*Invalid data*: a step of the order on our own stores meets a value that MySQL refuses. Before the order is paid for it
is compensated; what is compensated already, or authorized and not recorded, waits for an operator, who has it tried
again. *Order terminated*: the order's workflow is terminated once the activity is done, and staff adopt the order when
the sweep lists it. Both are of orders that run: – where they cannot be. *Cancelled* is also an order that was never
placed.

"""

console = Console(highlight=False)


def main(
    seed: Annotated[int | None, typer.Option(envvar="SEED", help="Play the order of an earlier run again.")] = None,
) -> None:
    """Play every cell of the fault matrix, show the results as a table and keep it as docs/fault-matrix.md."""
    seed = random.SystemRandom().randrange(10**9) if seed is None else seed
    console.print(f"Playing the fault matrix; seed {seed} (SEED={seed} plays the same)")
    ensure_servers()
    with faulty_engine() as bed, Progress(console=console, transient=True) as progress:
        task = progress.add_task("orders", total=None)
        result = asyncio.run(play(bed, list, seed, lambda _: progress.advance(task)))
    text = table(result)
    console.print(text, soft_wrap=True)
    for sentence in result.violations():
        console.print(f"[red]✗[/red] {sentence}", soft_wrap=True)
    if result.violations():
        sys.exit("The oracle has found violations; see .state/testbed/*/faulty-worker.log.")
    RESULT.write_text(_ABOUT + text + _footer(result))
    console.print(f"[green]✓[/green] {len(result.outcomes)} orders, no violation; kept in {RESULT}")


def _footer(result: Result) -> str:
    excluded = "".join(f"- `{name}`: {why}\n" for name, why in EXCLUDED.items())
    played = f"{len(result.outcomes)} orders, {result.checks} checks while they ran, seed {result.seed}"
    return f"\nPlayed {datetime.now(UTC):%Y-%m-%d}: {played}.\n\nExcluded:\n\n{excluded}"


if __name__ == "__main__":
    typer.run(main)
