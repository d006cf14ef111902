"""What an operator reads in the Temporal Web UI: what has happened so far, as Markdown in the workflow's details."""

from temporalio import workflow


class Timeline:
    """A headline and one line per thing that happened; shown after each."""

    def __init__(self, headline: str) -> None:
        self._headline = headline
        self._lines: list[str] = []
        self._needs_operator: dict[str, list[str]] = {}

    def add(self, text: str) -> None:
        """Add a line and show it."""
        self._lines.append(f"- `{workflow.now():%H:%M:%S}` {text}")
        self._show()

    def needs_operator(self, texts: list[str], about: str = "") -> None:
        """Show what needs an operator, above everything else; an empty list clears what was shown about it."""
        self._needs_operator[about] = [f"- ⚠ **needs operator:** {text}" for text in texts]
        self._show()

    def _show(self) -> None:
        waiting = [text for texts in self._needs_operator.values() for text in texts]
        workflow.set_current_details("\n".join([f"**{self._headline}**", "", *waiting, *self._lines]))


def money(amount: int, currency: str) -> str:
    """An amount for people who read the timeline; all supported currencies have two decimals."""
    return f"{amount // 100}.{amount % 100:02d} {currency}"
