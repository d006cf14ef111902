"""order-admin: compares stock ledger, balances and reservations."""

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
    """Compare everything, show and record the result; fails when there are differences."""

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
                f"{len(differences)} of {levels:,} stock levels differ. The ledger "
                "(GET /v1/stock/{sku}/movements) shows what happened; correct a level by an adjustment, never by SQL."
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
    for found in differences[:_MOST_SHOWN]:
        sums = (
            found.on_hand.balance,
            found.on_hand.ledger,
            found.reserved.balance,
            found.reserved.ledger,
            found.held_by_orders,
        )
        table.add_row(found.sku, found.warehouse, *map(str, sums))
    if more := len(differences) - _MOST_SHOWN:
        table.caption = f"and {more} more" if more > 0 else None
    return table
