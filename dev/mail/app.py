"""The mail catcher: SMTP in, the useful part of Mailpit's HTTP API and a small inbox out."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, TypeVar

from fastapi import FastAPI, HTTPException, Query
from fastapi.responses import HTMLResponse, PlainTextResponse

from dev.mail import pages
from dev.mail.mailbox import Json, Mailbox
from dev.mail.settings import Settings
from dev.mail.smtp import listen
from dev.service import RequestLog

Limit = Annotated[int, Query(ge=0, le=1000)]
Start = Annotated[int, Query(ge=0)]
Found = TypeVar("Found")


def create_app(settings: Settings) -> FastAPI:
    """One mail catcher; `app.state.smtp_port` is its port once it runs, also where the settings say 0."""
    mailbox = Mailbox(settings.database)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        server = await listen(mailbox, settings.host, settings.smtp_port)
        app.state.smtp_port = server.sockets[0].getsockname()[1]
        yield
        server.close()
        await server.wait_closed()
        mailbox.close()

    app = FastAPI(title="Mail catcher", description="A subset of Mailpit's API.", lifespan=lifespan)
    app.add_middleware(RequestLog, service="mail")
    _add_api(app, mailbox)
    _add_pages(app, mailbox)
    return app


def _add_api(app: FastAPI, mailbox: Mailbox) -> None:
    """The paths and shapes of Mailpit's API v1, so that its clients work here too."""

    @app.get("/api/v1/messages")
    async def messages(limit: Limit = 50, start: Start = 0) -> Json:
        return _listing(mailbox.page(start, limit), mailbox.count(), mailbox.count(), start)

    @app.get("/api/v1/search")
    async def search(query: str, limit: Limit = 50, start: Start = 0) -> Json:
        found = mailbox.search(query)
        return _listing(found[start : start + limit], mailbox.count(), len(found), start)

    @app.get("/api/v1/message/{name}")
    async def message(name: str) -> Json:
        return _known(mailbox.get(name))

    @app.get("/api/v1/message/{name}/headers")
    async def headers(name: str) -> dict[str, list[str]]:
        return _known(mailbox.headers(name))

    @app.get("/api/v1/message/{name}/raw")
    async def raw(name: str) -> PlainTextResponse:
        return PlainTextResponse(_known(mailbox.raw(name)))

    @app.delete("/api/v1/messages")
    async def clear() -> PlainTextResponse:
        mailbox.clear()
        return PlainTextResponse("ok")


def _add_pages(app: FastAPI, mailbox: Mailbox) -> None:
    @app.get("/healthz")
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/")
    async def inbox() -> HTMLResponse:
        return HTMLResponse(pages.inbox(mailbox.page(0, 200), mailbox.count()))

    @app.get("/view/{name}")
    async def view(name: str) -> HTMLResponse:
        return HTMLResponse(pages.mail_page(_known(mailbox.get(name)), _known(mailbox.headers(name))))


def _listing(found: list[Json], total: int, matching: int, start: int) -> Json:
    return {
        "total": total,
        "unread": total,
        "count": len(found),
        "messages_count": matching,
        "messages_unread": matching,
        "start": start,
        "tags": [],
        "messages": found,
    }


def _known(found: Found | None) -> Found:
    """The message, or 404."""
    if found is None:
        raise HTTPException(404, "There is no such message.")
    return found
