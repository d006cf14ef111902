"""Accounts: registration, one's own profile, and the end of it."""

from typing import Annotated

from fastapi import APIRouter, Body, Response
from fastapi.concurrency import run_in_threadpool

from api.deps import AccountStore, Changes, ClientAddress, Mails
from api.errors import problems
from api.permissions import CurrentUser, public, require
from schemas.account_mails import AccountMailKind
from schemas.accounts import ChangeProfile, CloseAccount
from schemas.users import Account, RegisterUser, UserView

router = APIRouter(prefix="/v1/users", tags=["identity"])
ME = "/v1/users/me"
_EXAMPLE = {"email": "ada@shop.example", "password": "a long enough secret", "name": "Ada Lovelace"}


@router.post("", status_code=201, dependencies=[public], responses=problems(422, 503))
async def register_user(
    new: Annotated[RegisterUser, Body(openapi_examples={"customer": {"value": _EXAMPLE}})],
    response: Response,
    changes: Changes,
    mails: Mails,
    address: ClientAddress,
) -> UserView:
    """Open a customer's account; sign in at `/oauth2/token`. A link that verifies the e-mail address is mailed.

    Whether the address already has an account is said by mail alone, to its owner: the answer is the same, and the
    new account can be used like any other, but the address never becomes its own.
    """
    account = await run_in_threadpool(changes.register, new, address)
    # Whose address it is, is only looked up when the mail is sent, so that the answer takes as long either way.
    await mails.try_to_send(AccountMailKind.WELCOME, account.email, account.id)
    response.headers["Location"] = ME
    return _view(account)


@router.get("/me", dependencies=[require("profile:read")], responses=problems(401, 503))
def read_own_profile(user: CurrentUser) -> UserView:
    """Your own profile."""
    return _view(user)


@router.patch("/me", dependencies=[require("profile:write")], responses=problems(401, 403, 503))
def change_own_profile(
    change: Annotated[ChangeProfile, Body(openapi_examples={"name": {"value": {"name": "Ada King"}}})],
    user: CurrentUser,
    accounts: AccountStore,
) -> UserView:
    """Change the fields that are sent; e-mail address and password have routes of their own.

    Optional mails, such as cart reminders, are sent only to customers who have switched `marketing_emails` on and
    have verified their address.
    """
    if change.name is not None:
        user = accounts.rename(user.id, change.name)
    if change.marketing_emails is not None:
        user = accounts.set_marketing_emails(user.id, change.marketing_emails)
    return _view(user)


@router.delete("/me", status_code=204, dependencies=[require("profile:write")], responses=problems(401, 403, 429, 503))
async def close_own_account(
    proof: Annotated[CloseAccount, Body(openapi_examples={"close": {"value": {"password": "a long enough secret"}}})],
    user: CurrentUser,
    changes: Changes,
    mails: Mails,
    address: ClientAddress,
) -> None:
    """Close your account permanently: personal data is erased, sessions end, orders are kept."""
    await run_in_threadpool(changes.close, user, proof.password, address)
    # Without the user's id: nothing may lead from the mail back to who it was.
    await mails.try_to_send(AccountMailKind.ACCOUNT_CLOSED, user.email)


def _view(account: Account) -> UserView:
    return UserView.model_validate(account.model_dump())
