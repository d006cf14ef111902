"""What happens to every request before and after its route: one line in the log, one limit on its size."""

import time
import uuid
from collections.abc import Mapping

import structlog
from fastapi import Request
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors import HttpProblem, bug_response, problem_response
from schemas.problem_codes import ProblemCode

_log = structlog.get_logger("api.access")
_QUIET = {"/healthz", "/readyz"}
_DRAIN_BYTES = 16 * 1024 * 1024


class AccessLog:
    """One line per request, and a request id that every line written on its behalf carries."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; note how it ended. Health checks are too frequent to be worth a line."""
        if scope["type"] != "http" or scope["path"] in _QUIET:
            await self._app(scope, receive, send)
            return
        request_id, status, started = uuid.uuid4().hex, 0, time.perf_counter()

        async def note_status(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["X-Request-Id"] = request_id
            await send(message)

        with structlog.contextvars.bound_contextvars(request_id=request_id):
            try:
                await self._app(scope, receive, note_status)
            except Exception as error:
                # Left to the server, it would answer and then cut the connection under the next request.
                if status:
                    raise
                await bug_response(Request(scope), error)(scope, receive, note_status)
            finally:
                elapsed = round((time.perf_counter() - started) * 1000, 1)
                _log.info("request", method=scope["method"], path=scope["path"], status=status, ms=elapsed)


class DeclaredBodyLimit:
    """Refuse a body announced as too large, as a problem; FastAPI's own limit counts those that are not announced."""

    def __init__(self, app: ASGIApp, limit: int, limits: Mapping[str, int] | None = None) -> None:
        self._app = app
        self._limit = limit
        self._limits = limits or {}  # of single paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 413 once the client has sent its body, otherwise it would only see a broken connection."""
        limit = self._limits.get(scope.get("path", ""), self._limit)
        if scope["type"] != "http" or _declared(scope) <= limit:
            await self._app(scope, receive, send)
            return
        drained, more = 0, True
        while more and drained < _DRAIN_BYTES:
            message = await receive()
            drained += len(message.get("body", b""))
            more = message["type"] == "http.request" and message.get("more_body", False)
        detail = f"The body may have at most {limit} bytes."
        problem = HttpProblem(413, ProblemCode.BODY_TOO_LARGE, detail, members={"maximum": limit})
        await problem_response(problem, Request(scope))(scope, receive, send)


def _declared(scope: Scope) -> int:
    length = Headers(scope=scope).get("content-length", "")
    return int(length) if length.isdecimal() and len(length) < 20 else 0
