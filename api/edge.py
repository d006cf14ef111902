"""Headers of every answer that forbid browsers what none of our pages needs."""

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from adapters.settings import Settings

_NOTHING = "default-src 'none'; base-uri 'none'; frame-ancestors 'none'"
# Pages of ours have their style in them, and forms whose answer leads on to another application.
_PAGE = f"{_NOTHING}; style-src 'unsafe-inline'; img-src 'self' data:"
_CDN = "https://cdn.jsdelivr.net"
_DOCS = (
    f"default-src 'self'; base-uri 'none'; frame-ancestors 'none'; script-src 'self' 'unsafe-inline' {_CDN}; "
    f"style-src 'self' 'unsafe-inline' {_CDN}; img-src 'self' data: https://fastapi.tiangolo.com"
)
_DOCS_PATHS = ("/docs", "/redoc")
_EVERYWHERE = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-site",
}
_PERSONAL = {"authorization", "cookie", "x-cart-token"}


class EdgeHeaders:
    """Adds the headers that a route has not set itself."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._fixed = dict(_EVERYWHERE)
        if settings.public_url.startswith("https://"):
            self._fixed["Strict-Transport-Security"] = "max-age=63072000; includeSubDomains"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; complete the headers of its answer."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_complete(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._wanted(scope, headers).items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, send_complete)

    def _wanted(self, scope: Scope, answer: Headers) -> dict[str, str]:
        limits: dict[str, str] = scope.get("state", {}).get("answer_headers", {})
        headers = self._fixed | limits
        if scope["path"].startswith(_DOCS_PATHS):
            headers["Content-Security-Policy"] = _DOCS
        else:
            is_page = answer.get("content-type", "").startswith("text/html")
            headers["Content-Security-Policy"] = _PAGE if is_page else _NOTHING
        if not _PERSONAL.isdisjoint(Headers(scope=scope).keys()):
            headers["Cache-Control"] = "no-store"
        return headers
