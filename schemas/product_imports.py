"""Product imports: progress and errors."""

from datetime import datetime
from typing import Literal

from schemas.base import Open, Payload

ImportFormat = Literal["ndjson", "csv"]
ImportState = Literal["running", "interrupted", "done", "failed"]


class ProductImportError(Payload):
    """An error in a line: the field as named in the file, empty for the whole line; a stable code; a sentence."""

    line: int
    field: str
    code: str
    message: str


class ImportFailure(Payload):
    """Why a file was refused as a whole."""

    code: str
    message: str


class ProductImport(Payload):
    """The progress of an import.

    `rows` counts the lines read, `failed` those of them that were not written; the other counts are products. An
    `interrupted` import continues when the same file is sent again with the same key; a `failed` one wrote nothing.
    """

    id: str
    idempotency_key: str
    state: Open[ImportState]
    format: Open[ImportFormat]
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
    """An import with its first errors; `errors_kept` of them can be read."""

    errors: list[ProductImportError]
    errors_kept: int


class ProductImportPage(Payload):
    """Imports, newest first."""

    items: list[ProductImport]
    next_cursor: str | None = None


class ProductImportErrorPage(Payload):
    """The errors of an import, in the order of the lines."""

    items: list[ProductImportError]
    next_cursor: str | None = None
