"""The authorization endpoint: sign in, ask for consent, send the answer to the client.

The address holds the client's whole request at every step, so nothing about it is kept between them; each step checks
it again, and only the browser's signed cookies say who is asking.
"""

from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

from authlib.oauth2 import OAuth2Error  # type: ignore[import-untyped]
from authlib.oidc.core.errors import ConsentRequiredError, LoginRequiredError  # type: ignore[import-untyped]
from fastapi import Request, Response
from fastapi.responses import RedirectResponse
from uuid_utils import uuid7

from adapters.mysql.clock import now
from api.login_throttle import TooManyAttempts
from api.oauth.browser import Browser, BrowserSession
from api.oauth.grants import SignIn
from api.oauth.metadata import AUTHORIZE_PATH
from api.oauth.pages import origin, page
from api.oauth.requests import Fields, OAuthCall
from api.oauth.scopes import described
from api.oauth.server import NO_STORE, AuthorizationServer

_WRONG = "The e-mail address or the password is wrong."
_STALE = "This page has expired. Please try again."


@dataclass(frozen=True)
class Visit:
    """One step of a browser at the endpoint; `form` is what its page sent, empty when it only came by."""

    request: Request
    query: Fields
    form: dict[str, str]
    address: str

    def without_prompt(self, done: str) -> str:
        """This address, with one wish of its `prompt` fulfilled."""
        left: Fields = []
        for name, value in self.query:
            rest = " ".join(one for one in value.split() if one != done) if name == "prompt" else value
            if rest or name != "prompt":
                left.append((name, rest))
        return f"{AUTHORIZE_PATH}?{urlencode(left)}"


class Authorization:
    """Leads a browser through it."""

    def __init__(self, server: AuthorizationServer, browser: Browser) -> None:
        self._server = server
        self._browser = browser

    def answer(self, visit: Visit) -> Response:
        """The page or the redirect that follows from the request, the browser's session and what its form says."""
        signed_in = self._signed_in(visit.request)
        call = OAuthCall("GET", AUTHORIZE_PATH, visit.query, None, visit.address)
        try:
            grant = self._server.consent_grant(call, signed_in)
        except OAuth2Error as error:
            if error.redirect_uri:
                return self._server.redirect_of(error)
            # Never sent to an address that is not known to be the client's.
            message = error.description or str(error.error)
            return page("refused.html", "This request cannot be answered", 400, message)
        if not visit.form:
            return self._ask(visit, grant, signed_in)
        user_id = signed_in.account.id if signed_in else None
        if not self._browser.is_own_form(visit.request, visit.form.get("form_token"), user_id):
            return self._ask(visit, grant, signed_in, 400, _STALE, is_form=True)
        return self._act(visit, grant, signed_in)

    def _ask(
        self,
        visit: Visit,
        grant: Any,
        signed_in: SignIn | None,
        status: int = 200,
        error: str | None = None,
        is_form: bool = False,
    ) -> Response:
        prompts = dict(visit.query).get("prompt", "").split()
        silent = prompts == ["none"] and not is_form
        if signed_in is None or "login" in prompts or _is_too_old(visit, signed_in):
            if silent:
                return self._refuse(grant, LoginRequiredError(redirect_uri=grant.redirect_uri))
            return self._sign_in_page(visit, grant, signed_in, status, error)
        if "consent" in prompts or self._has_to_ask(grant, signed_in) or is_form:
            if silent:
                return self._refuse(grant, ConsentRequiredError(redirect_uri=grant.redirect_uri))
            return self._consent_page(visit, grant, signed_in, status, error)
        return self._grant(grant, signed_in)

    def _act(self, visit: Visit, grant: Any, signed_in: SignIn | None) -> Response:
        action = visit.form.get("action")
        if action == "deny":
            return self._grant(grant, None)
        if action == "switch":
            response: Response = RedirectResponse(visit.without_prompt("none"), 303, headers=NO_STORE)
            self._browser.end(response)
            return response
        if action == "sign_in":
            return self._sign_in(visit, grant, signed_in)
        if action == "allow" and signed_in is not None and not _is_too_old(visit, signed_in):
            client_id = grant.request.client.get_client_id()
            self._server.grants.consent(signed_in.account.id, client_id, grant.request.scope)
            return self._grant(grant, signed_in)
        return self._ask(visit, grant, signed_in, 400, _STALE, is_form=True)

    def _sign_in(self, visit: Visit, grant: Any, signed_in: SignIn | None) -> Response:
        email, password = visit.form.get("email", ""), visit.form.get("password", "")
        try:
            account = self._server.account_with(email, password, visit.address)
        except TooManyAttempts as wait:
            refused = self._sign_in_page(visit, grant, signed_in, 429, str(wait))
            refused.headers.update(wait.headers)
            return refused
        if account is None:
            return self._sign_in_page(visit, grant, signed_in, 401, _WRONG)
        response = RedirectResponse(visit.without_prompt("login"), 303, headers=NO_STORE)
        self._browser.begin(response, BrowserSession(account.id, account.token_version, now()))
        return response

    def _signed_in(self, request: Request) -> SignIn | None:
        session = self._browser.session(request)
        account = self._server.active_account(session.user_id) if session else None
        if session is None or account is None or account.token_version != session.token_version:
            return None
        return SignIn(account, str(uuid7()), session.authenticated_at)

    def _has_to_ask(self, grant: Any, signed_in: SignIn) -> bool:
        client, asked = grant.request.client, set(grant.request.scope.split())
        known = self._server.grants.consented(signed_in.account.id, client.get_client_id())
        return not client.registered.first_party and (not known or not asked <= known)

    def _grant(self, grant: Any, signed_in: SignIn | None) -> Response:
        whose = replace(signed_in, nonce=None) if signed_in else None
        response: Response = self._server.create_authorization_response(grant.request, whose, grant)
        return response

    def _refuse(self, grant: Any, error: OAuth2Error) -> Response:
        error.state = grant.request.payload.state
        return self._server.redirect_of(error)

    def _sign_in_page(
        self, visit: Visit, grant: Any, signed_in: SignIn | None, status: int, error: str | None
    ) -> Response:
        return self._form(visit, grant, signed_in, "sign_in.html", "Sign in", status, error)

    def _consent_page(self, visit: Visit, grant: Any, signed_in: SignIn, status: int, error: str | None) -> Response:
        return self._form(visit, grant, signed_in, "consent.html", "Allow access?", status, error)

    def _form(
        self,
        visit: Visit,
        grant: Any,
        signed_in: SignIn | None,
        template: str,
        title: str,
        status: int,
        error: str | None,
    ) -> Response:
        browser_id = self._browser.id(visit.request)
        account = signed_in.account if signed_in else None
        response = page(
            template,
            title,
            status,
            error,
            grant.redirect_uri,
            client=grant.request.client.registered.name,
            sentences=described(grant.request.scope),
            email=account.email if account else "",
            destination=origin(grant.redirect_uri),
            action=f"{AUTHORIZE_PATH}?{urlencode(visit.query)}",
            form_token=self._browser.form_token(browser_id, account.id if account else None),
        )
        self._browser.remember_id(response, browser_id)
        return response


def _is_too_old(visit: Visit, signed_in: SignIn) -> bool:
    max_age = dict(visit.query).get("max_age", "")
    if not max_age.isdecimal() or len(max_age) > 9:
        return False
    # A sign-in of this very moment satisfies max_age=0, else nobody could ever get past it.
    return (now() - signed_in.authenticated_at).total_seconds() > max(int(max_age), 30)
