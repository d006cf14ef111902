"""order-admin products: import and export files of products through the API, as its service account."""

import hashlib
import json
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import httpx2
import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, DownloadColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from adapters.settings import Settings
from schemas.product_imports import ProductImport, ProductImportPage, ProductImportReport
from workers.command_settings import settings_or_exit
from workers.product_download import Download, FileFormat
from workers.service_accounts import ORDER_ADMIN
from workers.service_client import ServiceAccountRefused, service_client

app = typer.Typer(help=__doc__, no_args_is_help=True)
console = Console(highlight=False)
_TYPES: dict[FileFormat, str] = {"csv": "text/csv", "ndjson": "application/x-ndjson"}
_CHUNK = 256 * 1024
_LOOK_SECONDS = 0.5
_PATIENCE_SECONDS = 45  # longer than the lock of a sender that was cut off
_ANSWER_SECONDS = 600.0
_SHOWN_ERRORS = 20
_Format = Annotated[FileFormat | None, typer.Option("--format", help="Needed when the file name does not show it.")]


class ImportStopped(Exception):
    """The import did not come to its end; the message is for a person."""


@app.command("import")
def import_file(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, readable=True)],
    form: _Format = None,
    create_taxonomy: Annotated[bool, typer.Option(help="Make brands and categories that do not exist yet.")] = False,
    again: Annotated[bool, typer.Option("--again", help="Even though this very file was imported before.")] = False,
    key: Annotated[str | None, typer.Option(help="Idempotency-Key; unless given, the digest of the file.")] = None,
) -> None:
    """Write the products of a file. When it is interrupted, the same command continues where it stopped.

    Ends with status 1 when a row was not written.
    """
    settings = settings_or_exit(console)
    upload = _Upload(file, _form_of(file, form), key or _key_of(file, again), create_taxonomy)
    try:
        with _api_errors():
            report = _import(settings, upload)
    except (ImportStopped, KeyboardInterrupt) as stopped:
        console.print(f"[red]✗[/red] {escape(str(stopped)) or 'Interrupted.'}", soft_wrap=True)
        console.print(
            f"What was written stays. Continue with: order-admin products import {file} --key {upload.key}"
            + (" --create-taxonomy" if create_taxonomy else ""),
            soft_wrap=True,
            markup=False,
        )
        raise typer.Exit(1) from stopped
    _show(report)
    if report.failed or report.state != "done":
        raise typer.Exit(1)


@app.command("export")
def export_file(file: Path, form: _Format = None) -> None:
    """Write all products into a file, in the form that `import` takes. A broken connection is opened again."""
    settings, kind = settings_or_exit(console), _form_of(file, form)
    part = file.with_name(f"{file.name}.part")
    try:
        with _api_errors(), service_client(settings, ORDER_ADMIN, timeout=_ANSWER_SECONDS) as client:
            _receive(client, kind, part)
    except (ImportStopped, KeyboardInterrupt) as stopped:
        part.unlink(missing_ok=True)
        console.print(f"[red]✗[/red] {escape(str(stopped)) or 'Interrupted.'}", soft_wrap=True)
        raise typer.Exit(1) from stopped
    part.replace(file)
    console.print(f"[green]✓[/green] All products are in {escape(str(file))}.", soft_wrap=True)


def _receive(client: Any, form: FileFormat, part: Path) -> None:
    columns = (TextColumn("received"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("received", total=None)
        download = Download(client, form, part, lambda answer: ImportStopped(_problem(answer)))
        download.run(lambda count, total: progress.update(task, completed=count, total=total))


@contextmanager
def _api_errors() -> Iterator[None]:
    """Have an API that cannot be reached, or says no, end the command with a sentence."""
    try:
        yield
    except ServiceAccountRefused as refused:
        console.print(f"[red]✗[/red] {escape(str(refused))}", soft_wrap=True)
        raise typer.Exit(1) from refused
    except httpx2.HTTPError as error:
        advice = "`make status` shows the development stack; ORDERS_API_URL or ORDERS_PUBLIC_URL names the API."
        raise ImportStopped(f"The API did not answer: {error or type(error).__name__}. {advice}") from error


class _Upload:
    """What to import; iterating reads the file from its beginning, so that it can be sent twice."""

    def __init__(self, file: Path, form: FileFormat, key: str, create_taxonomy: bool) -> None:
        self.file, self.form, self.key, self.create_taxonomy = file, form, key, create_taxonomy
        self.size = file.stat().st_size
        self.sent = 0

    def __iter__(self) -> Iterator[bytes]:
        self.sent = 0
        with self.file.open("rb") as source:
            while chunk := source.read(_CHUNK):
                self.sent += len(chunk)
                yield chunk


def _import(settings: Settings, upload: _Upload) -> ProductImportReport:
    with service_client(settings, ORDER_ADMIN) as client:
        earlier = _find(client, upload.key)
        if earlier is not None and earlier.state == "done":
            console.print(f"This file was imported {earlier.updated_at:%Y-%m-%d %H:%M} UTC; --again does it once more.")
            return _report(client, earlier.id)
    with _progress(settings, upload), service_client(settings, ORDER_ADMIN, timeout=_ANSWER_SECONDS) as client:
        deadline, rows = time.monotonic() + _PATIENCE_SECONDS, 0
        while (answer := _send(client, upload)).status_code == httpx2.codes.CONFLICT:
            # What an interrupted sender had sent may still be processed: wait until that has ended.
            found = _find(client, upload.key)
            if found is not None and found.rows > rows:
                deadline, rows = time.monotonic() + _PATIENCE_SECONDS, found.rows
            if time.monotonic() > deadline:
                break
            time.sleep(_LOOK_SECONDS)
    if answer.status_code != httpx2.codes.OK:
        raise ImportStopped(_problem(answer))
    return ProductImportReport.model_validate_json(answer.content)


def _send(client: Any, upload: _Upload) -> httpx2.Response:
    headers = {"Content-Type": _TYPES[upload.form], "Idempotency-Key": upload.key, "Content-Length": str(upload.size)}
    query = {"create_taxonomy": str(upload.create_taxonomy).lower()}
    answer: httpx2.Response = client.post("/v1/products:import", content=upload, headers=headers, params=query)
    return answer


@contextmanager
def _progress(settings: Settings, upload: _Upload) -> Iterator[None]:
    """Show what was sent and, as the API records it, what was done, until the block ends."""
    columns = (TextColumn("{task.description:<8}"), BarColumn(), DownloadColumn(), TimeElapsedColumn())
    done = threading.Event()
    with Progress(*columns, TextColumn("{task.fields[note]}"), console=console) as progress:
        sent = progress.add_task("sent", total=upload.size, note="")
        written = progress.add_task("written", total=upload.size, note="")

        def look() -> None:
            found = _find(client, upload.key)
            progress.update(sent, completed=upload.sent)
            if found is not None:
                note = f"{found.rows:,} rows, {found.failed:,} refused"
                progress.update(written, completed=found.bytes_done, note=note)

        def watch() -> None:
            while not done.wait(_LOOK_SECONDS):
                try:
                    look()
                except (httpx2.HTTPError, ServiceAccountRefused, ImportStopped):
                    continue  # the upload itself reports what is wrong

        with service_client(settings, ORDER_ADMIN) as client:
            watcher = threading.Thread(target=watch, daemon=True)
            watcher.start()
            try:
                yield
                look()
            finally:
                done.set()
                watcher.join()


def _find(client: Any, key: str) -> ProductImport | None:
    answer = client.get("/v1/product-imports", params={"idempotency_key": key, "limit": 1})
    if answer.status_code != httpx2.codes.OK:
        raise ImportStopped(_problem(answer))
    return next(iter(ProductImportPage.model_validate_json(answer.content).items), None)


def _report(client: Any, import_id: str) -> ProductImportReport:
    answer = client.get(f"/v1/product-imports/{import_id}")
    if answer.status_code != httpx2.codes.OK:
        raise ImportStopped(_problem(answer))
    return ProductImportReport.model_validate_json(answer.content)


def _show(report: ProductImportReport) -> None:
    made = f"{report.created:,} products created, {report.updated:,} updated, {report.unchanged:,} as they were"
    mark = "[red]✗[/red]" if report.failed else "[green]✓[/green]"
    console.print(f"{mark} {report.rows:,} rows: {made}; {report.failed:,} rows refused.", soft_wrap=True)
    if not report.errors:
        return
    table = Table(title="Refused")
    for column in ("line", "field", "code", "what is wrong"):
        table.add_column(column, justify="right" if column == "line" else "left")
    for error in report.errors[:_SHOWN_ERRORS]:
        table.add_row(str(error.line), escape(error.field), error.code, escape(error.message))
    console.print(table)
    if report.errors_kept > _SHOWN_ERRORS:
        console.print(f"All {report.errors_kept:,}: GET /v1/product-imports/{report.id}/errors", soft_wrap=True)


def _problem(answer: httpx2.Response) -> str:
    try:
        body = json.loads(answer.content)
        return f"{answer.status_code} {body['code']}: {body.get('detail', '')}"
    except (ValueError, KeyError, TypeError):
        return f"The API answered {answer.status_code}."


def _form_of(file: Path, form: FileFormat | None) -> FileFormat:
    if form is not None:
        return form
    if file.suffix.lower() == ".csv":
        return "csv"
    if file.suffix.lower() in (".ndjson", ".jsonl"):
        return "ndjson"
    raise typer.BadParameter("Add --format csv or --format ndjson; the file name does not show it.")


def _key_of(file: Path, again: bool) -> str:
    """The same for the same content, so that a second call continues the first."""
    if again:
        return f"order-admin:{uuid.uuid4().hex}"
    with file.open("rb") as source:
        return f"order-admin:{hashlib.file_digest(source, 'sha256').hexdigest()}"
