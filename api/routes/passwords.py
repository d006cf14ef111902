"""Passwords: changed with the old one, reset with a mailed link."""

from typing import Annotated

from fastapi import APIRouter, Body
from fastapi.concurrency import run_in_threadpool

from adapters.mysql.identity.oauth_clients import FIRST_PARTY_CLIENT, FIRST_PARTY_SCOPE
from api.deps import Changes, ClientAddress, Mails, Security, TokenService
from api.errors import problems
from api.permissions import CurrentUser, public, require
from domain.actors import GUEST_ACTOR
from domain.events import SecurityEventType
from schemas.account_mails import AccountMailKind
from schemas.accounts import AskForPasswordReset, ChangePassword, ResetPassword
from schemas.oauth import TokenResponse

router = APIRouter(prefix="/v1", tags=["identity"])
_CHANGE = {"current_password": "a long enough secret", "new_password": "another long secret"}
_RESET = {"token": "R0nXk2wqvY7yqgJm0dX2u3m0v0Zf8dGJ1mG6yVx3h4A", "password": "another long secret"}


@router.put("/users/me/password", dependencies=[require("profile:write")], responses=problems(401, 403, 422, 429, 503))
async def change_own_password(
    change: Annotated[ChangePassword, Body(openapi_examples={"change": {"value": _CHANGE}})],
    user: CurrentUser,
    changes: Changes,
    mails: Mails,
    tokens: TokenService,
    address: ClientAddress,
) -> TokenResponse:
    """Change the password. All sessions end; the token in the answer continues this one."""
    changed = await run_in_threadpool(
        changes.change_password, user, change.current_password, change.new_password, address
    )
    await mails.try_to_send(AccountMailKind.PASSWORD_CHANGED, changed.email, changed.id)
    return TokenResponse(
        access_token=tokens.issue(changed, FIRST_PARTY_CLIENT, FIRST_PARTY_SCOPE),
        expires_in=tokens.lifetime_seconds,
        scope=FIRST_PARTY_SCOPE,
    )


@router.post("/password-resets", status_code=202, dependencies=[public], responses=problems(503))
async def request_password_reset(
    body: Annotated[AskForPasswordReset, Body(openapi_examples={"ask": {"value": {"email": "ada@shop.example"}}})],
    mails: Mails,
    security: Security,
    address: ClientAddress,
) -> None:
    """Mail a link that resets the password. The answer is the same whether or not the address has an account.

    The link is for the account that has verified the address, otherwise for the newest account with it.
    """
    await mails.send(AccountMailKind.RESET_PASSWORD, body.email)
    await run_in_threadpool(
        security.record, SecurityEventType.PASSWORD_RESET_REQUESTED, user_id=None, actor=GUEST_ACTOR, address=address
    )


@router.put("/password-resets", status_code=204, dependencies=[public], responses=problems(422, 503))
async def reset_password(
    reset: Annotated[ResetPassword, Body(openapi_examples={"reset": {"value": _RESET}})],
    changes: Changes,
    mails: Mails,
    address: ClientAddress,
) -> None:
    """Set a new password with the code from the mailed link. It works once; all sessions end."""
    account = await run_in_threadpool(changes.use_reset_link, reset.token, reset.password, address)
    await mails.try_to_send(AccountMailKind.PASSWORD_CHANGED, account.email, account.id)
