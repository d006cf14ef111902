"""A download of all products that goes on where it broke off."""

import csv
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, Literal

import httpx2

FileFormat = Literal["csv", "ndjson"]
Record = tuple[str, bytes]
"""The product's code, and the bytes of its line or row."""
_CHUNK = 256 * 1024
_TRIES = 10  # in a row that bring nothing
_PAUSE_SECONDS = 1.0


class Download:
    """Writes only whole products to the file, so that what has come stays when the connection breaks."""

    def __init__(self, client: Any, form: FileFormat, file: Path, refused: Callable[[Any], Exception]) -> None:
        self._client, self._form, self._file, self._refused = client, form, file, refused
        self._last, self._count, self._header = "", 0, b""

    def run(self, progress: Callable[[int, int], object], pause: float = _PAUSE_SECONDS) -> None:
        """Receive all; `progress` hears how many products have come, and of how many.

        Raises httpx2.HTTPError when the API is away from the beginning or for many pauses, and what `refused` makes of
        an answer that is no file.
        """
        left = _TRIES
        while True:
            before = self._last
            try:
                if self._receive(progress):
                    return
            except httpx2.TransportError:
                left = left - 1 if self._last == before else _TRIES
                if not self._last or not left:
                    raise
            time.sleep(pause)

    def _receive(self, progress: Callable[[int, int], object]) -> bool:
        """Receive the rest; False when it does not fit what was received and everything has to be requested again."""
        query = {"format": self._form} | ({"after": self._last} if self._last else {})
        with self._client.stream("GET", "/v1/products:export", params=query) as answer:
            if answer.status_code != httpx2.codes.OK:
                answer.read()
                raise self._refused(answer)
            total = self._count + int(answer.headers["Product-Count"])
            records: Iterator[Record] = map(_line, _lines(answer))
            with self._file.open("ab" if self._last else "wb") as target:
                if self._form == "csv":
                    header, records = _rows(_lines(answer))
                    if self._last and header != self._header:
                        self._last, self._count = "", 0  # another attribute or currency was added meanwhile
                        return False
                    target.write(b"" if self._last else header)
                    self._header = header
                for _ in self._written(records, target):
                    progress(self._count, total)
        return True

    def _written(self, records: Iterator[Record], target: BinaryIO) -> Iterator[str]:
        """The products that were written, each once the next has started or the response has ended."""
        code, held = "", b""
        for of, data in records:
            if of != code and held:
                yield self._write(code, held, target)
                held = b""
            code, held = of, held + data
        if held:
            yield self._write(code, held, target)

    def _write(self, code: str, data: bytes, target: BinaryIO) -> str:
        target.write(data)
        self._last, self._count = code, self._count + 1
        return code


def _lines(answer: Any) -> Iterator[bytes]:
    rest = b""
    for chunk in answer.iter_bytes(_CHUNK):
        *whole, rest = (rest + chunk).split(b"\n")
        yield from (line + b"\n" for line in whole)


def _line(line: bytes) -> Record:
    return json.loads(line)["code"], line


def _rows(lines: Iterator[bytes]) -> tuple[bytes, Iterator[Record]]:
    """The header, and the rows below it; a row may be of several lines."""
    header = next(lines, b"")
    place = next(csv.reader([header.decode()]), ["product"]).index("product")
    held: list[bytes] = []

    def read() -> Iterator[str]:
        for line in lines:
            held.append(line)
            yield line.decode()

    def rows() -> Iterator[Record]:
        for cells in csv.reader(read()):
            yield cells[place], b"".join(held)
            held.clear()

    return header, rows()
