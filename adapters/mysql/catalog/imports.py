"""Imports of products: the progress of each, the errors of its lines, and who holds its lock."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa
import uuid_utils

from adapters.mysql.catalog.import_batches import Outcome, Source, write_batch
from adapters.mysql.catalog.taxonomy import Taxonomy
from adapters.mysql.clock import now
from adapters.mysql.constraints import violated_key
from adapters.mysql.tables.catalog import product_import_errors, product_imports
from domain.errors import IdempotencyMismatch, ImportTakenOver, NotFound, RequestInProgress, SkuTaken
from schemas.catalog import Brand, Category
from schemas.product_files import FileProduct, RowFault
from schemas.product_imports import (
    ImportFormat,
    ProductImport,
    ProductImportError,
    ProductImportErrorPage,
    ProductImportPage,
    ProductImportReport,
)

LOCK = timedelta(seconds=30)
ERRORS_KEPT = 10_000
ERRORS_SHOWN = 20
_SAME_IMPORT = "uq_product_imports_principal_idempotency_key"
_TRIES = 4
_AGAIN = {1205, 1213}  # lock wait timeout, deadlock


@dataclass(frozen=True)
class ImportRun:
    """An import as one sender works on it; its lock is known by its end. `finished` ones are only to be compared."""

    id: str
    finished: bool
    bytes_done: int
    digest: str | None
    locked_until: datetime | None
    errors_kept: int = 0


class ProductImports:
    """Every import under its principal's Idempotency-Key."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def begin(self, principal: str, key: str, form: ImportFormat, bytes_total: int | None) -> ImportRun:
        """Start an import, or take one up where it stopped.

        Raises RequestInProgress while another sender works on it, IdempotencyMismatch when the key stands for a file
        of another format.
        """
        moment = now()
        fresh = {"format": form, "state": "running", "bytes_total": bytes_total, "locked_until": moment + LOCK}
        fresh |= {"updated_at": moment, "failure_code": None, "failure": None}
        import_id = str(uuid_utils.uuid7())
        named = {"id": import_id, "principal": principal, "idempotency_key": key, "created_at": moment}
        try:
            with self._engine.begin() as connection:
                connection.execute(sa.insert(product_imports).values(**named, **fresh))
        except sa.exc.IntegrityError as error:
            if violated_key(error) != _SAME_IMPORT:
                raise
            return self._take_up(principal, key, fresh)
        return ImportRun(import_id, False, 0, None, moment + LOCK)

    def _take_up(self, principal: str, key: str, fresh: dict[str, Any]) -> ImportRun:
        this = sa.and_(product_imports.c.principal == principal, product_imports.c.idempotency_key == key)
        with self._engine.begin() as connection:
            row = connection.execute(sa.select(product_imports).where(this).with_for_update()).one()
            if row.format != fresh["format"] and row.bytes_done:
                raise IdempotencyMismatch("This Idempotency-Key was sent before with a file of another format.")
            if row.state == "running" and row.locked_until > fresh["updated_at"]:
                raise RequestInProgress(
                    "This import is being sent at this moment, perhaps by a sender that was cut off."
                )
            if row.state == "done":
                return ImportRun(row.id, True, row.bytes_done, row.prefix_digest, None)
            connection.execute(sa.update(product_imports).where(this).values(fresh))
            kept = connection.scalar(_count_errors(row.id)) or 0
        return ImportRun(row.id, False, row.bytes_done, row.prefix_digest, fresh["locked_until"], kept)

    def write(
        self, run: ImportRun, batch: Sequence[FileProduct], digest: str, actor: str, create_taxonomy: bool
    ) -> ImportRun:
        """Write a batch with what was wrong in it, and how far the file is done, in one transaction.

        Raises ImportTakenOver. A number that somebody else takes meanwhile, or a deadlock, only makes it try again.
        """
        source = Source(run.id, actor, self._create_taxonomy if create_taxonomy else None)
        for left in reversed(range(_TRIES)):
            found = [replace_faults(given) for given in batch]
            try:
                with self._engine.begin() as connection:
                    outcome = write_batch(connection, found, source, datetime.now(UTC))
                    kept = _keep_errors(connection, run, outcome.faults)
                    until = self._advance(connection, run, _counted(outcome, found) | {"prefix_digest": digest})
                return replace(
                    run, bytes_done=batch[-1].end, digest=digest, locked_until=until, errors_kept=run.errors_kept + kept
                )
            except (SkuTaken, sa.exc.IntegrityError, sa.exc.OperationalError) as error:
                if left == 0 or not _may_pass(error):
                    raise
        raise AssertionError("the last try ends the loop")

    def renew(self, run: ImportRun) -> ImportRun:
        """Hold the lock for longer. Raises ImportTakenOver."""
        with self._engine.begin() as connection:
            return replace(run, locked_until=self._advance(connection, run, {}))

    def finish(self, run: ImportRun, bytes_done: int, digest: str) -> None:
        """The whole file is done."""
        values = {"state": "done", "bytes_done": bytes_done, "bytes_total": bytes_done, "prefix_digest": digest}
        with self._engine.begin() as connection:
            self._advance(connection, run, values)

    def refuse(self, run: ImportRun, code: str, message: str) -> None:
        """The file cannot be read, and nothing of it was written."""
        with self._engine.begin() as connection:
            self._advance(connection, run, {"state": "failed", "failure_code": code, "failure": message[:500]})

    def release(self, run: ImportRun) -> None:
        """Stop before the end; whoever has taken it over meanwhile is left alone."""
        with self._engine.begin() as connection:
            connection.execute(
                sa.update(product_imports)
                .where(product_imports.c.id == run.id, product_imports.c.locked_until == run.locked_until)
                .values(state="interrupted", locked_until=None, updated_at=now())
            )

    def report(self, import_id: str) -> ProductImportReport:
        """How far it has come, with its first errors. Raises NotFound."""
        with self._engine.connect() as connection:
            row = connection.execute(sa.select(product_imports).where(product_imports.c.id == import_id)).first()
            if row is None:
                raise NotFound("There is no such import.")
            kept = connection.scalar(_count_errors(import_id)) or 0
        first = self.errors(import_id, None, ERRORS_SHOWN).items
        return ProductImportReport(**dict(_shown(row)), errors=first, errors_kept=kept)

    def latest(self, key: str | None, before: str | None, limit: int) -> ProductImportPage:
        """Imports, the newest first: with this key, or before the one with this id."""
        query = sa.select(product_imports).order_by(product_imports.c.id.desc()).limit(limit + 1)
        if key is not None:
            query = query.where(product_imports.c.idempotency_key == key)
        if before is not None:
            query = query.where(product_imports.c.id < before)
        with self._engine.connect() as connection:
            rows = connection.execute(query).all()
        items = [_shown(row) for row in rows[:limit]]
        return ProductImportPage(items=items, next_cursor=items[-1].id if len(rows) > limit else None)

    def errors(self, import_id: str, after: tuple[int, int] | None, limit: int) -> ProductImportErrorPage:
        """The errors that were kept, after one of them, by line and number within the line."""
        table = product_import_errors.c
        query = sa.select(product_import_errors).where(table.import_id == import_id)
        if after is not None:
            line, number = after
            query = query.where(sa.or_(table.line > line, sa.and_(table.line == line, table.number > number)))
        with self._engine.connect() as connection:
            rows = connection.execute(query.order_by(table.line, table.number).limit(limit + 1)).all()
        items = [ProductImportError.model_validate(row, from_attributes=True) for row in rows[:limit]]
        last = rows[limit - 1] if len(rows) > limit else None
        return ProductImportErrorPage(items=items, next_cursor=f"{last.line}-{last.number}" if last else None)

    def _advance(self, connection: sa.Connection, run: ImportRun, values: dict[str, Any]) -> datetime:
        """Note what was done, if the import is still this sender's."""
        moment = now()
        held = sa.and_(product_imports.c.id == run.id, product_imports.c.locked_until == run.locked_until)
        done = connection.execute(
            sa.update(product_imports).where(held).values(locked_until=moment + LOCK, updated_at=moment, **values)
        )
        if done.rowcount != 1:
            raise ImportTakenOver("Another sender has continued this import.")
        return moment + LOCK

    def _create_taxonomy(self, brands: Collection[str], categories: Collection[str]) -> None:
        Taxonomy(self._engine).ensure(
            [Brand(code=code, name=_title(code)) for code in sorted(brands)],
            [Category(code=code, name=_title(code)) for code in sorted(categories)],
        )


def replace_faults(given: FileProduct) -> FileProduct:
    """A copy that takes faults of its own, so that another try begins where this one did."""
    return replace(given, faults=list(given.faults))


def _counted(outcome: Outcome, batch: Sequence[FileProduct]) -> dict[str, Any]:
    table = product_imports.c
    return {
        "rows_read": table.rows_read + sum(len(given.lines) for given in batch),
        "failed": table.failed + outcome.failed,
        "created": table.created + outcome.created,
        "updated": table.updated + outcome.updated,
        "unchanged": table.unchanged + outcome.unchanged,
        "bytes_done": batch[-1].end,
    }


def _keep_errors(connection: sa.Connection, run: ImportRun, faults: Sequence[RowFault]) -> int:
    numbers: dict[int, int] = {}
    rows = []
    for fault in faults[: max(0, ERRORS_KEPT - run.errors_kept)]:
        numbers[fault.line] = numbers.get(fault.line, 0) + 1
        row = {"import_id": run.id, "line": fault.line, "number": numbers[fault.line], "code": fault.code[:64]}
        rows.append(row | {"field": fault.field[:100], "message": fault.message[:500]})
    if rows:
        connection.execute(sa.insert(product_import_errors), rows)
    return len(rows)


def _count_errors(import_id: str) -> sa.Select[int]:
    return sa.select(sa.func.count()).where(product_import_errors.c.import_id == import_id)


def _may_pass(error: Exception) -> bool:
    if isinstance(error, sa.exc.OperationalError):
        return bool(error.orig and error.orig.args[0] in _AGAIN)
    return True


def _shown(row: sa.Row[Any]) -> ProductImport:
    silent = row.state == "running" and row.locked_until <= now()
    failure = {"code": row.failure_code, "message": row.failure} if row.failure_code else None
    return ProductImport(
        **{name: getattr(row, name) for name in ("id", "idempotency_key", "format", "failed", "created", "updated")},
        state="interrupted" if silent else row.state,
        rows=row.rows_read,
        unchanged=row.unchanged,
        bytes_done=row.bytes_done,
        bytes_total=row.bytes_total,
        failure=failure,
        created_at=row.created_at.replace(tzinfo=UTC),
        updated_at=row.updated_at.replace(tzinfo=UTC),
    )


def _title(code: str) -> str:
    return code.replace("-", " ").replace("_", " ").title()
