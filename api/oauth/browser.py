"""What the sign-in page remembers in the browser: who signed in, and a form's proof that it came from our page.

Both are signed, not kept: the session names the account's token version, so logout-everywhere ends it as well.
"""

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from fastapi import Request, Response
from itsdangerous import BadSignature, URLSafeTimedSerializer

from adapters.settings import Settings

SESSION_SECONDS = 8 * 3600
FORM_SECONDS = 1800
EXTERNAL_SECONDS = 600
_SESSION, _BROWSER, _EXTERNAL = "oe_session", "oe_browser", "oe_external"


@dataclass(frozen=True)
class BrowserSession:
    """Who signed in with this browser, and when (UTC, without a zone)."""

    user_id: str
    token_version: int
    authenticated_at: datetime


class Browser:
    """Reads and writes our signed cookies: HttpOnly, SameSite=Lax, Secure where the shop is served by TLS."""

    def __init__(self, settings: Settings) -> None:
        secret = settings.session_secret.get_secret_value()
        self._sessions = URLSafeTimedSerializer(secret, salt="session")
        self._forms = URLSafeTimedSerializer(secret, salt="form")
        self._external = URLSafeTimedSerializer(secret, salt="external sign-in")
        self._secure = settings.public_url.startswith("https:")

    def session(self, request: Request) -> BrowserSession | None:
        """The session of the request, if it has one that is genuine and not too old."""
        value = _loaded(self._sessions, request.cookies.get(_SESSION), SESSION_SECONDS)
        if value is None:
            return None
        at = datetime.fromtimestamp(value["at"], UTC).replace(tzinfo=None)
        return BrowserSession(value["sub"], value["tv"], at)

    def begin(self, response: Response, session: BrowserSession) -> None:
        """Sign the browser in."""
        at = session.authenticated_at.replace(tzinfo=UTC).timestamp()
        value = self._sessions.dumps({"sub": session.user_id, "tv": session.token_version, "at": at})
        self._set(response, _SESSION, str(value), SESSION_SECONDS, "/oauth2")

    def end(self, response: Response) -> None:
        """Sign the browser out."""
        response.delete_cookie(_SESSION, path="/oauth2")

    def id(self, request: Request) -> str:
        """The id of this browser; a new one when it has none."""
        return request.cookies.get(_BROWSER) or secrets.token_urlsafe(32)

    def remember_id(self, response: Response, browser_id: str) -> None:
        """Give the browser its id, for as long as it stays open."""
        self._set(response, _BROWSER, browser_id, None, "/oauth2")

    def form_token(self, browser_id: str, user_id: str | None) -> str:
        """The proof that a form of ours was shown in this browser to this account."""
        return str(self._forms.dumps([browser_id, user_id]))

    def is_own_form(self, request: Request, token: str | None, user_id: str | None) -> bool:
        """Whether the form was shown by us, in this browser, to the account it is sent for."""
        shown = _loaded(self._forms, token, FORM_SECONDS)
        return shown is not None and shown == [request.cookies.get(_BROWSER), user_id]

    def external(self, request: Request) -> dict[str, Any]:
        """What we remember of a sign-in under way at another provider."""
        return dict(_loaded(self._external, request.cookies.get(_EXTERNAL), EXTERNAL_SECONDS) or {})

    def remember_external(self, response: Response, state: dict[str, Any]) -> None:
        """Keep that memory for ten minutes; an empty one is deleted."""
        if state:
            self._set(response, _EXTERNAL, str(self._external.dumps(state)), EXTERNAL_SECONDS, "/v1/auth")
        else:
            response.delete_cookie(_EXTERNAL, path="/v1/auth")

    def _set(self, response: Response, name: str, value: str, seconds: int | None, path: str) -> None:
        response.set_cookie(name, value, max_age=seconds, path=path, httponly=True, samesite="lax", secure=self._secure)


def _loaded(serializer: URLSafeTimedSerializer, value: str | None, seconds: int) -> Any:
    if not value:
        return None
    try:
        return serializer.loads(value, max_age=seconds)
    except BadSignature:  # also when it is too old
        return None
