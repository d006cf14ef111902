"""What an operator reads in the Temporal Web UI: what has happened so far, as Markdown in the workflow's details."""

from collections.abc import Sequence
from datetime import datetime

from temporalio import workflow

from schemas.operator_tasks import (
    ABOUT_LENGTH,
    ROUTE_LENGTH,
    TEXT_LENGTH,
    OperatorTask,
    OperatorTaskCode,
)
from workflows.operator_tasks import OperatorTasks


class Timeline:
    """A headline and one line per thing that happened; shown after each."""

    def __init__(self, headline: str, order_id: str | None = None) -> None:
        self._headline = headline
        self._lines: list[str] = []
        self._tasks = OperatorTasks(order_id)

    def of_order(self, order_id: str) -> None:
        """The order was learned only now; what needs an operator is listed with it."""
        self._tasks.order_id = order_id

    def add(self, text: str) -> None:
        """Add a line and show it."""
        self._lines.append(f"- `{workflow.now():%H:%M:%S}` {text}")
        self._show()

    def needs_operator(  # noqa: PLR0913 - all that an operator is shown of it
        self,
        texts: Sequence[str],
        about: str = "",
        *,
        code: OperatorTaskCode = OperatorTaskCode.OTHER,
        since: datetime | None = None,
        until: datetime | None = None,
        route: str | None = None,
        outlasts: bool = False,
        parcel: int | None = None,
    ) -> None:
        """What needs an operator about something, all of it; an empty list says that nothing does any more.

        Shown above everything else, found by search attribute, listed by `GET /v1/ops/orders`. Of these texts each is a
        task of its own. Everything is resolved when the workflow ends, but what `outlasts` it.
        """
        tasks = [
            OperatorTask(
                code=code,
                about=about[:ABOUT_LENGTH],
                text=text[:TEXT_LENGTH],
                since=since or workflow.now(),
                until=until,
                route=route[:ROUTE_LENGTH] if route else None,
                outlasts=outlasts,
                parcel=parcel,
            )
            for text in texts
        ]
        if self._tasks.replace(about, tasks):
            self._show()

    def _show(self) -> None:
        waiting = [f"- ⚠ **needs operator:** {task.text}{_terms(task)}" for task in self._tasks.open]
        workflow.set_current_details("\n".join([f"**{self._headline}**", "", *waiting, *self._lines]))


def _terms(task: OperatorTask) -> str:
    until = f", until {task.until:%Y-%m-%d %H:%M}" if task.until else ""
    return f" (since {task.since:%Y-%m-%d %H:%M}{until} UTC{f'; `{task.route}`' if task.route else ''})"


def money(amount: int, currency: str) -> str:
    """An amount for people who read the timeline; all supported currencies have two decimals."""
    return f"{amount // 100}.{amount % 100:02d} {currency}"
