"""CSV lines as records (RFC 4180): a quoted cell may hold line ends, and a quote that nobody closes spoils one line."""

import csv
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from api.product_files.lines import MAX_LINE_BYTES, Line

_NUMBER = re.compile(r"[A-Z0-9][A-Z0-9._-]{0,63}")


@dataclass(frozen=True)
class Record:
    """The cells of one record, or what is wrong with it and what its readable beginning says."""

    line: int
    end: int
    size: int
    cells: list[str] = field(default_factory=list)
    code: str | None = None
    message: str = ""


def read_records(lines: Iterable[Line], columns: int | None = None) -> Iterator[Record]:
    """The records of the lines, empty ones left out; with `columns`, whoever has another number is faulty.

    A record over several lines that does not fit is taken for one whose quote is not closed: its first line is
    faulty, and the next is read by itself.
    """
    waiting: deque[Line] = deque()
    source = iter(lines)

    def following() -> Line | None:
        return waiting.popleft() if waiting else next(source, None)

    while (first := following()) is not None:
        if not first.data.strip():
            continue
        held = [first]
        closed = _gather(held, following)
        record = _parsed(held, columns) if closed else _faulty(first, "unclosed_quote", _UNCLOSED)
        if record.code and len(held) > 1:
            waiting.extendleft(reversed(held[1:]))
            record = _faulty(first, "unclosed_quote", _UNCLOSED)
        if record.code or any(record.cells):
            yield record


_UNCLOSED = "A quote is opened and not closed. Inside a cell a quote is written twice, and the cell put in quotes."


def _gather(held: list[Line], following: Callable[[], Line | None]) -> bool:
    """Take lines until every quote is closed; whether that came about within the length of a line."""
    if held[0].too_long:
        return True
    quotes, size = held[0].data.count(b'"'), len(held[0].data)
    while quotes % 2:
        line = following()
        if line is None:
            return False
        held.append(line)
        quotes, size = quotes + line.data.count(b'"'), size + len(line.data)
        if line.too_long or size > MAX_LINE_BYTES:
            return False
    return True


def _parsed(held: Sequence[Line], columns: int | None) -> Record:
    first = held[0]
    if first.too_long:
        return _faulty(first, "line_too_long", f"A line has at most {MAX_LINE_BYTES} bytes.")
    data = first.data if len(held) == 1 else b"\n".join(line.data for line in held)
    try:
        cells = _cells(data.decode())
    except UnicodeDecodeError:
        return _faulty(first, "invalid_utf8", "The line is not UTF-8.")
    except csv.Error as error:
        return _faulty(first, "malformed_csv", f"The line is not CSV: {error}.")
    if columns is not None and len(cells) != columns and any(cells):
        return _faulty(first, "wrong_columns", f"The line has {len(cells)} columns, the header {columns}.")
    return Record(first.number, held[-1].end, len(data), cells)


def _faulty(first: Line, code: str, message: str) -> Record:
    """With as many cells as can be made out, so that it is known whose row it is."""
    try:
        cells = _cells(first.data.decode(errors="replace"), strict=False)
    except csv.Error:
        cells = []
    return Record(first.number, first.end, len(first.data), cells, code, message)


def _cells(text: str, *, strict: bool = True) -> list[str]:
    return [cell.strip() for cell in next(csv.reader([text], strict=strict), [])]


def number_in(record: Record, place: int) -> str | None:
    """The product or SKU a record names, as far as it can be made out."""
    named = record.cells[place] if place < len(record.cells) else ""
    if record.code is None:
        return named
    return named if _NUMBER.fullmatch(named) else None
