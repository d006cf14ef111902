"""What every development service shares: environment, request log, start and stop."""

import json
import logging
import os
import sys
import time
from pathlib import Path

import uvicorn
from dotenv import load_dotenv
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

PROJECT_ROOT = Path(__file__).resolve().parent.parent


class ConnectionLost(Exception):
    """Raised inside a response to make the server drop the connection, as a broken network would."""


class LostConnection(Response):
    """A response that never arrives whole: the client sees its connection closed."""

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        """Announce a body and raise: ASGI offers no other way to close a socket."""
        headers = [(b"content-length", b"1000000"), (b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        raise ConnectionLost


class RequestLog:
    """ASGI middleware that writes one JSON line per request to standard output."""

    def __init__(self, app: ASGIApp, service: str) -> None:
        self._app = app
        self._logger = logging.getLogger(f"dev.{service}")
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on and log how it ended; health checks are not logged."""
        if scope["type"] != "http" or scope["path"] == "/healthz":
            await self._app(scope, receive, send)
            return
        status, started = 0, time.perf_counter()

        async def watch(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, watch)
        except ConnectionLost:
            status = 0
            raise
        finally:
            elapsed = round((time.perf_counter() - started) * 1000, 1)
            line = {"method": scope["method"], "path": scope["path"], "status": status, "ms": elapsed}
            log_line(self._logger, "request", **line)


def log_line(logger: logging.Logger, event: str, **fields: object) -> None:
    """Write one structured line; JSON, so that a person and a program can both read it."""
    logger.info(json.dumps({"service": logger.name, "event": event, **fields}, default=str))


def load_environment() -> None:
    """Fill what the supervisor did not set from the project's .env; what is set already wins."""
    load_dotenv(PROJECT_ROOT / ".env", override=False)


def bind_host() -> str:
    """Where to listen: only this machine, unless SIMULATOR_HOST says otherwise."""
    return os.environ.get("SIMULATOR_HOST", "127.0.0.1")


def state_path(variable: str, default: str) -> str:
    """The SQLite file a service keeps its state in; ':memory:' is allowed and kept as it is."""
    value = os.environ.get(variable) or default
    return value if value == ":memory:" else str(PROJECT_ROOT / value)


class _DropsLostConnections(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        """Keep deliberate connection losses out of the error log."""
        return not (record.exc_info and record.exc_info[0] is ConnectionLost)


def quiet_lost_connections() -> None:
    """Stop uvicorn from printing a stack trace for each connection that was dropped on purpose."""
    logging.getLogger("uvicorn.error").addFilter(_DropsLostConnections())


def serve(app: ASGIApp, port: int) -> None:
    """Run one service until SIGTERM or SIGINT; uvicorn then ends its requests and the app's lifespan."""
    logging.basicConfig(level=logging.INFO, stream=sys.stdout, format="%(message)s")
    # httpx logs every delivery at INFO, which would double our own line.
    for noisy in ("httpx2", "httpcore2", "mail.log"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    quiet_lost_connections()
    uvicorn.run(app, host=bind_host(), port=port, access_log=False, timeout_graceful_shutdown=5, log_config=None)
