"""Sign-in with an account of another provider. It ends with tokens of ours, like those of the token endpoint."""

from typing import Annotated

from fastapi import APIRouter, Path, Request, Response
from fastapi.concurrency import run_in_threadpool

from adapters.mysql.identity.oauth_clients import FIRST_PARTY_CLIENT
from api.deps import ClientAddress, ExternalProviders, OAuthServer, Security, SignInBrowser
from api.errors import problems
from api.oauth.grants import SignIn
from api.permissions import public
from domain.actors import user_actor
from domain.events import SecurityEventType
from schemas.oauth import TokenResponse

router = APIRouter(prefix="/v1/auth", tags=["identity"])
Provider = Annotated[str, Path(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")]


@router.get("/{provider}/login", dependencies=[public], status_code=302, responses=problems(404, 503))
async def begin_external_login(
    provider: Provider, request: Request, providers: ExternalProviders, browser: SignInBrowser
) -> Response:
    """Send the browser to the provider, to come back to `/v1/auth/{provider}/callback`."""
    # Authlib's client keeps state, nonce and PKCE verifier in the session, which is our signed cookie.
    request.scope["session"] = {}
    response: Response = await providers.redirect(provider, request)
    browser.remember_external(response, request.session)
    response.headers["Cache-Control"] = "no-store"
    return response


@router.get(
    "/{provider}/callback",
    dependencies=[public],
    response_model=TokenResponse,
    responses=problems(400, 403, 404, 503),
)
async def finish_external_login(
    provider: Provider,
    request: Request,
    providers: ExternalProviders,
    browser: SignInBrowser,
    security: Security,
    server: OAuthServer,
    address: ClientAddress,
) -> Response:
    """Where the provider sends the browser back to: tokens for the account it confirms."""

    def sign_in() -> Response:
        account, is_new_link = providers.account(provider, claims)
        who = {"user_id": account.id, "actor": user_actor(account.id), "address": address, "provider": provider}
        if is_new_link:
            security.record(SecurityEventType.EXTERNAL_LINKED, **who)
        security.record(SecurityEventType.LOGIN_SUCCEEDED, **who)
        return server.token_response(SignIn.begin(account), FIRST_PARTY_CLIENT, address)

    request.scope["session"] = browser.external(request)
    claims = await providers.claims(provider, request)
    response = await run_in_threadpool(sign_in)
    browser.remember_external(response, {})
    return response
