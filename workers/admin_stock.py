"""order-admin: whether the books of stock agree."""

from datetime import UTC, datetime

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from adapters.connections import Connections
from adapters.mysql.orders.stock_reconciliations import StockReconciliations
from schemas.stock_upkeep import StockDifference
from workers.steps import Step, StepFailed

_MOST_SHOWN = 50


def reconcile_step(stores: Connections, console: Console) -> Step:
    """Compare everything, show and keep what was found; fails when the books disagree."""

    def act() -> str:
        started, levels = datetime.now(UTC), 0
        differences: list[StockDifference] = []
        runs = StockReconciliations(stores.engine)
        columns = (TextColumn("  levels"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, console=console, transient=True) as progress:
            task = progress.add_task("levels", total=runs.levels())
            for checked in runs.check():
                levels += checked.levels
                differences += checked.differences
                progress.update(task, completed=levels)
        runs.keep(started, levels, len(differences), differences)
        if differences:
            console.print(_table(differences))
            raise StepFailed(
                f"The books of stock disagree on {len(differences)} of {levels:,} levels. The ledger "
                "(GET /v1/stock/{sku}/movements) tells what happened; put a level right by an adjustment, never by SQL."
            )
        return f"ledger, balances and reservations agree on {levels:,} levels"

    return Step(
        "Stock",
        act,
        "Is MySQL running? `make status` shows the development stack; ORDERS_MYSQL_URL names the server.",
    )


def _table(differences: list[StockDifference]) -> Table:
    table = Table(title="Differences, in units")
    for column in ("SKU", "warehouse"):
        table.add_column(column)
    for column in ("on hand", "by the ledger", "reserved", "by the ledger", "held by orders"):
        table.add_column(column, justify="right")
    for one in differences[:_MOST_SHOWN]:
        sums = (one.on_hand.balance, one.on_hand.ledger, one.reserved.balance, one.reserved.ledger, one.held_by_orders)
        table.add_row(one.sku, one.warehouse, *map(str, sums))
    if more := len(differences) - _MOST_SHOWN:
        table.caption = f"and {more} more" if more > 0 else None
    return table
