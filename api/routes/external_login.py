"""Sign-in with an account elsewhere. It ends with tokens of ours, as the token endpoint would have answered them."""

from typing import Annotated

from fastapi import APIRouter, Path, Request, Response
from fastapi.concurrency import run_in_threadpool

from adapters.mysql.identity.oauth_clients import FIRST_PARTY_CLIENT
from api.client_address import client_address
from api.deps import All
from api.errors import problems
from api.oauth.grants import SignIn
from api.permissions import public
from domain.actors import user_actor
from domain.events import SecurityEventType
from schemas.oauth import TokenResponse

router = APIRouter(prefix="/v1/auth", tags=["identity"])
Provider = Annotated[str, Path(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")]


@router.get("/{provider}/login", dependencies=[public], status_code=302, responses=problems(404, 503))
async def begin_external_login(provider: Provider, request: Request, everything: All) -> Response:
    """Send the browser to the provider, to come back to `/v1/auth/{provider}/callback`."""
    # Authlib's client keeps state, nonce and PKCE verifier in the session, which is our signed cookie.
    request.scope["session"] = {}
    response: Response = await everything.external_sign_in.redirect(provider, request)
    everything.browser.remember_external(response, request.session)
    response.headers["Cache-Control"] = "no-store"
    return response


@router.get(
    "/{provider}/callback",
    dependencies=[public],
    response_model=TokenResponse,
    responses=problems(400, 403, 404, 503),
)
async def finish_external_login(provider: Provider, request: Request, everything: All) -> Response:
    """Where the provider sends the browser back to: tokens for the account it vouches for."""
    request.scope["session"] = everything.browser.external(request)
    claims = await everything.external_sign_in.claims(provider, request)
    response = await run_in_threadpool(_sign_in, everything, provider, claims, client_address(request))
    everything.browser.remember_external(response, {})
    return response


def _sign_in(everything: All, provider: str, claims: dict[str, object], address: str) -> Response:
    account, is_new_link = everything.external_sign_in.account(provider, claims)
    actor = user_actor(account.id)
    if is_new_link:
        everything.security.record(
            SecurityEventType.EXTERNAL_LINKED, user_id=account.id, actor=actor, address=address, provider=provider
        )
    everything.security.record(
        SecurityEventType.LOGIN_SUCCEEDED, user_id=account.id, actor=actor, address=address, provider=provider
    )
    return everything.authorization.token_response(SignIn.begin(account), FIRST_PARTY_CLIENT, address)
