"""One upload of an import: the stream is read, checked against what was done of it before, and written in batches.

It works in a thread of its own and asks for the next bytes when it needs them, so that no more of the file is held
than one batch.
"""

import hashlib
import time
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field

import sqlalchemy as sa

from adapters.mysql.catalog.imports import LOCK, ImportRun, ProductImports
from api.product_files.csv_reader import read_csv
from api.product_files.lines import FileRefused
from api.product_files.ndjson_reader import read_ndjson
from domain.errors import ImportFileChanged
from schemas.product_files import FileProduct
from schemas.product_imports import ImportFormat

BATCH_ROWS = 1000
_BATCH_BYTES = 2 * 1024 * 1024
_READERS = {"csv": read_csv, "ndjson": read_ndjson}


@dataclass
class Digest:
    """SHA-256 of the stream up to any place that has not been passed; the reader is always some bytes ahead of it."""

    done: int = 0
    _hash: "hashlib._Hash" = field(default_factory=hashlib.sha256)
    _ahead: deque[bytes] = field(default_factory=deque)

    def watch(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        """Pass the stream on."""
        for chunk in chunks:
            self._ahead.append(chunk)
            yield chunk

    def up_to(self, place: int) -> str:
        """The digest of so many bytes, or of all there were if they were fewer."""
        while self._ahead and self.done < place:
            chunk = self._ahead.popleft()
            now, later = chunk[: place - self.done], chunk[place - self.done :]
            self._hash.update(now)
            self.done += len(now)
            if later:
                self._ahead.appendleft(later)
        return self._hash.hexdigest()


@dataclass
class Upload:
    """What a sender wants of an import."""

    store: ProductImports
    run: ImportRun
    form: ImportFormat
    actor: str
    create_taxonomy: bool

    def take(self, chunks: Iterable[bytes]) -> None:
        """Import the stream, or compare it when that was done before.

        Raises FileRefused, ImportFileChanged, ImportTakenOver, and whatever the stream or the stores raise; what was
        written stays, and the import can be sent again.
        """
        if self.run.finished:
            self._compare(chunks)
            return
        try:
            self._import(chunks)
        except FileRefused as refused:
            if self.run.bytes_done:
                self._release()
                raise _changed() from refused
            self.store.refuse(self.run, refused.code, refused.message)
            raise
        except BaseException:
            self._release()
            raise

    def _release(self) -> None:
        with suppress(sa.exc.SQLAlchemyError):  # without it the lock ends by itself
            self.store.release(self.run)

    def _import(self, chunks: Iterable[bytes]) -> None:
        digest = Digest()
        fresh = self._not_done(_READERS[self.form](digest.watch(self._held(chunks))), digest)
        for batch in _batches(fresh, self.run.bytes_done):
            done = digest.up_to(batch[-1].end)
            self.run = self.store.write(self.run, batch, done, self.actor, self.create_taxonomy)
        # The rest of the file has no products: empty lines, or an end that was done before.
        whole = digest.up_to(2**62)
        if digest.done < self.run.bytes_done:
            raise _changed()
        self.store.finish(self.run, digest.done, whole)

    def _held(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        """Keep the lock while bytes arrive, however slowly."""
        renewed = time.monotonic()
        for chunk in chunks:
            if time.monotonic() - renewed > LOCK.total_seconds() / 3:
                self.run, renewed = self.store.renew(self.run), time.monotonic()
            yield chunk

    def _not_done(self, products: Iterable[FileProduct], digest: Digest) -> Iterator[FileProduct]:
        """What comes after the place where the last sender stopped, once all before it proved to be the same."""
        start, same = self.run.bytes_done, self.run.digest is None
        for product in products:
            if product.end <= start:
                digest.up_to(product.end)
                continue
            same = same or digest.up_to(start) == self.run.digest
            if not same:
                raise _changed()
            yield product
        if not same and digest.up_to(start) != self.run.digest:
            raise _changed()

    def _compare(self, chunks: Iterable[bytes]) -> None:
        digest = Digest()
        for _ in digest.watch(chunks):
            digest.up_to(2**62)
        if (digest.done, digest.up_to(2**62)) != (self.run.bytes_done, self.run.digest):
            raise _changed()


def _batches(products: Iterable[FileProduct], start: int) -> Iterator[list[FileProduct]]:
    batch: list[FileProduct] = []
    rows = 0
    for product in products:
        batch.append(product)
        rows += len(product.lines)
        if rows >= BATCH_ROWS or product.end - start >= _BATCH_BYTES:
            start = product.end
            yield batch
            batch, rows = [], 0
    if batch:
        yield batch


def _changed() -> ImportFileChanged:
    detail = "This Idempotency-Key was used for another file. Send the same file, or use another key."
    return ImportFileChanged(detail)
