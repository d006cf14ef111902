"""What an operator reads in the Temporal Web UI: the order's story so far, as Markdown in the workflow's details."""

from temporalio import workflow


class Timeline:
    """A headline and one line per thing that happened, shown anew after each."""

    def __init__(self, headline: str) -> None:
        self._headline = headline
        self._lines: list[str] = []
        self._owed: dict[str, list[str]] = {}

    def add(self, text: str) -> None:
        """Add a line and show it."""
        self._lines.append(f"- `{workflow.now():%H:%M:%S}` {text}")
        self._show()

    def owe(self, texts: list[str], about: str = "") -> None:
        """Show what an operator has to see to, above everything else; an empty list clears what was said about it."""
        self._owed[about] = [f"- ⚠ **owed:** {text}" for text in texts]
        self._show()

    def _show(self) -> None:
        owed = [text for texts in self._owed.values() for text in texts]
        workflow.set_current_details("\n".join([f"**{self._headline}**", "", *owed, *self._lines]))


def money(amount: int, currency: str) -> str:
    """An amount for people who read the timeline; all supported currencies have two decimals."""
    return f"{amount // 100}.{amount % 100:02d} {currency}"
