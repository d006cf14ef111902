"""Imports of products: how far one has come, and what is wrong with which line."""

from datetime import datetime
from typing import Literal

from schemas.base import Payload

ImportFormat = Literal["ndjson", "csv"]
ImportState = Literal["running", "interrupted", "done", "failed"]


class ProductImportError(Payload):
    """What is wrong with a line: the field as the file calls it, empty for all of it; a stable code; a sentence."""

    line: int
    field: str
    code: str
    message: str


class ImportFailure(Payload):
    """Why a file was not taken at all."""

    code: str
    message: str


class ProductImport(Payload):
    """How far an import has come.

    `rows` are those read, `failed` those of them that were not written; the other counts are products. `interrupted`
    goes on when the same file is sent again with the same key; `failed` has written nothing.
    """

    id: str
    idempotency_key: str
    state: ImportState
    format: ImportFormat
    rows: int
    failed: int
    created: int
    updated: int
    unchanged: int
    bytes_done: int
    bytes_total: int | None = None
    failure: ImportFailure | None = None
    created_at: datetime
    updated_at: datetime


class ProductImportReport(ProductImport):
    """An import with the first of its errors; `errors_kept` of them can be read."""

    errors: list[ProductImportError]
    errors_kept: int


class ProductImportPage(Payload):
    """Imports, the newest first."""

    items: list[ProductImport]
    next_cursor: str | None = None


class ProductImportErrorPage(Payload):
    """The errors of an import in the order of the lines."""

    items: list[ProductImportError]
    next_cursor: str | None = None
