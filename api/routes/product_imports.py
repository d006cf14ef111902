"""Imports of products: one upload, its result line by line, and its progress."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Annotated, Any

import anyio
from fastapi import APIRouter, Depends, Header, Path, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse
from fastapi.sse import EventSourceResponse, ServerSentEvent
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from api.deps import ImportStore
from api.errors import HttpProblem, Unavailable, problems
from api.idempotency import IdempotencyKey
from api.permissions import CurrentPrincipal, acting, require
from api.product_files.lines import FileRefused
from api.product_import_run import Upload
from api.routes.product_import_docs import FILES, PROGRESS
from domain.errors import BusinessError, NotFound
from schemas.problem_codes import ProblemCode
from schemas.product_imports import (
    ImportFormat,
    ProductImportErrorPage,
    ProductImportPage,
    ProductImportReport,
)

MANAGE = [require("products:manage")]
uploads = APIRouter(prefix="/v1/products", tags=["catalog"])
router = APIRouter(prefix="/v1/product-imports", tags=["catalog"])
_FORMATS: dict[str, ImportFormat] = {"application/x-ndjson": "ndjson", "text/csv": "csv"}
_DRAIN_BYTES = 16 * 1024 * 1024
_LOOK_SECONDS = 0.5
_MOST_AT_ONCE = 4  # each keeps a thread and, while it checks rows, the processor busy
_threads = anyio.CapacityLimiter(_MOST_AT_ONCE)


async def _format(content_type: Annotated[str, Header()] = "") -> ImportFormat:
    kind, _, parameters = content_type.partition(";")
    form = _FORMATS.get(kind.strip().lower())
    if form is None:
        raise HttpProblem(415, ProblemCode.UNSUPPORTED_MEDIA_TYPE, f"Send {' or '.join(_FORMATS)}.")
    name, _, charset = parameters.partition("=")
    if name.strip().lower() == "charset" and charset.strip(' "').lower() not in ("utf-8", "utf8"):
        raise HttpProblem(422, ProblemCode.WRONG_ENCODING, "The file must be text in UTF-8.")
    return form


@uploads.post(
    ":import",
    dependencies=MANAGE,
    response_model=ProductImportReport,
    responses=problems(400, 401, 403, 409, 413, 415, 422, 503),
    openapi_extra=FILES,
)
async def import_products(
    request: Request,
    form: Annotated[ImportFormat, Depends(_format)],
    key: IdempotencyKey,
    asker: CurrentPrincipal,
    store: ImportStore,
    create_taxonomy: Annotated[bool, Query(description="Create brands and categories that do not exist yet.")] = False,
) -> Response:
    """Import the products of a streamed file; answers when all of it is done, with the errors line by line.

    A product is written whole or not at all; an error does not stop the rest of the file. If the connection breaks,
    send the same file with the same Idempotency-Key: it continues where it stopped. `GET /v1/product-imports` shows
    the progress.
    """
    if _threads.available_tokens < 1:
        raise Unavailable(f"{_MOST_AT_ONCE} imports are running already. Please try again later.")
    length = request.headers.get("content-length", "")
    announced = int(length) if length.isdecimal() else None
    chunks = _Chunks(request)
    try:
        run = await run_in_threadpool(store.begin, asker.name, key, form, announced)
        upload = Upload(store, run, form, acting(asker, "products:manage"), create_taxonomy)
        await anyio.to_thread.run_sync(upload.take, chunks, limiter=_threads)
    except FileRefused as refused:
        await chunks.drain()
        members = {"import_id": run.id, **refused.details}
        raise HttpProblem(422, refused.code, refused.message, members=members) from refused
    except BusinessError:
        await chunks.drain()
        raise
    except ClientDisconnect:
        return Response(status_code=400)  # nobody is there to read it
    report = await run_in_threadpool(store.report, run.id)
    return JSONResponse(report.model_dump(mode="json"), headers={"Location": f"/v1/product-imports/{run.id}"})


class _Chunks:
    """The body as a worker thread reads it: each chunk is asked for when it is needed."""

    def __init__(self, request: Request) -> None:
        self._stream = aiter(request.stream())
        self._stopping: threading.Event = request.app.state.stopping
        self._ended = False

    def __iter__(self) -> Iterator[bytes]:
        while chunk := anyio.from_thread.run(self._next):
            yield chunk

    async def drain(self) -> None:
        """Read what the sender still sends, otherwise it would see a broken connection and never the answer."""
        drained = 0
        try:
            while not self._ended and drained < _DRAIN_BYTES:
                drained += len(await self._next())
        except (ClientDisconnect, HTTPException):
            return

    async def _next(self) -> bytes:
        if self._stopping.is_set():
            raise Unavailable("The server is stopping. Please send the same file with the same key again.")
        chunk = await anext(self._stream, b"")
        self._ended = not chunk
        return chunk


def _existing(import_id: Annotated[str, Path(max_length=100)], store: ImportStore) -> str:
    if not import_id.isascii():
        raise NotFound("There is no such import.")
    return store.report(import_id).id


Existing = Annotated[str, Depends(_existing)]


@router.get("", dependencies=MANAGE, responses=problems(401, 403, 422, 503))
def list_imports(
    store: ImportStore,
    idempotency_key: Annotated[str | None, Query(max_length=255, pattern=r"^[ -~]+$")] = None,
    cursor: Annotated[str | None, Query(pattern=r"^[0-9a-f-]{36}$")] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
) -> ProductImportPage:
    """Imports, newest first; `idempotency_key` finds one before its upload has ended."""
    return store.latest(idempotency_key, cursor, limit)


@router.get("/{import_id}", dependencies=MANAGE, responses=problems(401, 403, 404, 503))
def read_import(import_id: Existing, store: ImportStore) -> ProductImportReport:
    """The progress of an import, with its first errors."""
    return store.report(import_id)


@router.get("/{import_id}/errors", dependencies=MANAGE, responses=problems(401, 403, 404, 422, 503))
def read_import_errors(
    import_id: Existing,
    store: ImportStore,
    cursor: Annotated[str | None, Query(pattern=r"^\d{1,9}-\d{1,5}$")] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> ProductImportErrorPage:
    """The errors of an import, by line; the first 10,000 are kept."""
    return store.errors(import_id, _place(cursor), limit)


@router.get(
    "/{import_id}/events",
    dependencies=MANAGE,
    response_class=EventSourceResponse,
    responses={**problems(401, 403, 404, 503), **PROGRESS},
)
async def follow_import(
    import_id: Existing,
    request: Request,
    store: ImportStore,
    last_event_id: Annotated[str | None, Header()] = None,
) -> AsyncIterator[ServerSentEvent]:
    """The import while it runs: `progress` after each batch, at the end one `report`; then the stream ends.

    It reads what is recorded, so any process can serve it. An id is a state of the import: with Last-Event-ID only
    later states are sent.
    """
    stopping: threading.Event = request.app.state.stopping
    seen = last_event_id
    while not stopping.is_set():
        report = await run_in_threadpool(store.report, import_id)
        this = f"{report.rows}-{report.bytes_done}-{report.state}"
        if report.state != "running":
            yield ServerSentEvent(data=report, event="report", id=this)
            return
        if this != seen:
            seen = this
            shown: dict[str, Any] = report.model_dump(mode="json", exclude={"errors"})
            yield ServerSentEvent(data=shown, event="progress", id=this)
        await asyncio.sleep(_LOOK_SECONDS)


def _place(cursor: str | None) -> tuple[int, int] | None:
    if cursor is None:
        return None
    line, number = cursor.split("-")
    return int(line), int(number)
