"""A stream of bytes as lines, holding no more than the longest line allowed."""

import codecs
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from schemas.problem_codes import ProblemCode

MAX_LINE_BYTES = 1024 * 1024
"""More than the largest product takes; longer lines are reported as errors and skipped."""
_KEPT_OF_LONG_LINES = 4096


class FileRefused(Exception):
    """The file as a whole cannot be read; nothing of it was written."""

    def __init__(self, code: str, message: str, **details: object) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.details = details


@dataclass(frozen=True)
class Line:
    """A line without its end; `end` is the number of bytes up to and with it. Of a line too long only the beginning."""

    number: int
    data: bytes
    end: int
    too_long: bool = False


def read_lines(chunks: Iterable[bytes], limit: int = MAX_LINE_BYTES) -> Iterator[Line]:
    """The lines of the stream; raises FileRefused when it is not text in UTF-8."""
    number, end, held, size = 0, 0, b"", 0
    for chunk in _checked(chunks):
        parts = chunk.split(b"\n")
        last = parts.pop()
        for part in parts:
            number += 1
            size += len(part)
            end += size + 1
            data = held + part if size <= limit else (held + part)[:_KEPT_OF_LONG_LINES]
            yield Line(number, data.removesuffix(b"\r"), end, size > limit)
            held, size = b"", 0
        size += len(last)
        held = held + last if size <= limit else (held + last)[:_KEPT_OF_LONG_LINES]
    if size:
        yield Line(number + 1, held, end + size, size > limit)


_MARK = codecs.BOM_UTF8
_WRONG = {
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
    b"PK\x03\x04": "a ZIP archive or a workbook",
    b"\x1f\x8b": "compressed by gzip",
    b"%PDF": "a PDF",
}


def _checked(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The stream with its beginning looked at. A byte order mark of UTF-8 is passed on: it counts as bytes done."""
    beginning, looked = b"", False
    for chunk in chunks:
        if looked:
            yield chunk
            continue
        beginning += chunk
        if len(beginning) >= len(_MARK) + 1:
            _look_at(beginning)
            looked = True
            yield beginning
    if not looked and beginning:
        _look_at(beginning)
        yield beginning


def _look_at(beginning: bytes) -> None:
    kind = next((name for sign, name in _WRONG.items() if beginning.startswith(sign)), None)
    # Text in UTF-8 has no byte of zero; UTF-16 without a mark is full of them.
    if kind is None and b"\0" in beginning[:4096]:
        kind = "UTF-16 or no text at all"
    if kind is not None:
        raise FileRefused(ProblemCode.WRONG_ENCODING, f"The file must be text in UTF-8, but it is {kind}.")


def without_mark(line: Line) -> bytes:
    """A first line without the byte order mark that some programs put before it."""
    return line.data.removeprefix(_MARK)
