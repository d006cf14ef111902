"""Passwords: changed by who knows the old one, reset by who can read the account's mail."""

from typing import Annotated

from fastapi import APIRouter, Body
from fastapi.concurrency import run_in_threadpool

from adapters.mysql.identity.oauth_clients import FIRST_PARTY_CLIENT, FIRST_PARTY_SCOPE
from api.confirmation import confirm_password, set_password, use_reset_link
from api.deps import All, Services
from api.errors import problems
from api.permissions import CurrentUser, public, require
from api.routes.users import ClientAddress
from domain.actors import GUEST_ACTOR, user_actor
from domain.events import SecurityEventType
from schemas.account_mails import AccountMailKind
from schemas.accounts import AskForPasswordReset, ChangePassword, ResetPassword
from schemas.oauth import TokenResponse
from schemas.users import Account

router = APIRouter(prefix="/v1", tags=["identity"])
_CHANGE = {"current_password": "a long enough secret", "new_password": "another long secret"}
_RESET = {"token": "R0nXk2wqvY7yqgJm0dX2u3m0v0Zf8dGJ1mG6yVx3h4A", "password": "another long secret"}


@router.put("/users/me/password", dependencies=[require("profile:write")], responses=problems(401, 403, 422, 429, 503))
async def change_own_password(
    change: Annotated[ChangePassword, Body(openapi_examples={"change": {"value": _CHANGE}})],
    user: CurrentUser,
    everything: All,
    address: ClientAddress,
) -> TokenResponse:
    """Change the password. Every session ends; the answer's token is for going on with this one."""
    changed = await run_in_threadpool(_change, everything, user, change, address)
    await everything.account_mails.try_to_send(AccountMailKind.PASSWORD_CHANGED, changed.email, changed.id)
    tokens = everything.tokens
    return TokenResponse(
        access_token=tokens.issue(changed, FIRST_PARTY_CLIENT, FIRST_PARTY_SCOPE),
        expires_in=tokens.lifetime_seconds,
        scope=FIRST_PARTY_SCOPE,
    )


@router.post("/password-resets", status_code=202, dependencies=[public], responses=problems(503))
async def ask_for_password_reset(
    wanted: Annotated[AskForPasswordReset, Body(openapi_examples={"ask": {"value": {"email": "ada@shop.example"}}})],
    everything: All,
    address: ClientAddress,
) -> None:
    """Have a link mailed that resets the password. The answer is the same whether or not the address has an account.

    The link is for the account that has proven the address, else for the newest that carries it.
    """
    await everything.account_mails.send(AccountMailKind.RESET_PASSWORD, wanted.email)
    await run_in_threadpool(
        everything.security.record,
        SecurityEventType.PASSWORD_RESET_REQUESTED,
        user_id=None,
        actor=GUEST_ACTOR,
        address=address,
    )


@router.put("/password-resets", status_code=204, dependencies=[public], responses=problems(422, 503))
async def reset_password(
    reset: Annotated[ResetPassword, Body(openapi_examples={"reset": {"value": _RESET}})],
    everything: All,
    address: ClientAddress,
) -> None:
    """Set a new password with the code of the mailed link. It works once; every session ends."""
    account = await run_in_threadpool(use_reset_link, everything, reset.token, reset.password, address)
    await everything.account_mails.try_to_send(AccountMailKind.PASSWORD_CHANGED, account.email, account.id)


def _change(everything: Services, user: Account, change: ChangePassword, address: str) -> Account:
    confirm_password(everything, user, change.current_password, address)
    changed = set_password(everything, user, change.new_password)
    everything.security.record(
        SecurityEventType.PASSWORD_CHANGED, user_id=user.id, actor=user_actor(user.id), address=address
    )
    return changed
