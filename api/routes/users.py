"""Accounts: registration, one's own profile, and the end of it."""

from datetime import UTC, datetime
from typing import Annotated

import structlog
from fastapi import APIRouter, Body, Depends, Response
from fastapi.concurrency import run_in_threadpool
from pymongo.errors import PyMongoError
from uuid_utils import uuid7

from adapters.mysql.identity.account_closing import close_account
from api.client_address import client_address
from api.confirmation import confirm_password
from api.deps import AccountStore, All, Services
from api.errors import problems
from api.permissions import CurrentUser, public, require
from domain.actors import user_actor
from domain.carts import user_owner
from domain.events import SecurityEventType
from schemas.account_mails import AccountMailKind
from schemas.accounts import ChangeProfile, CloseAccount
from schemas.users import Account, RegisterUser, Role, UserView

router = APIRouter(prefix="/v1/users", tags=["identity"])
ME = "/v1/users/me"
_log = structlog.get_logger(__name__)
ClientAddress = Annotated[str, Depends(client_address)]
_EXAMPLE = {"email": "ada@shop.example", "password": "a long enough secret", "name": "Ada Lovelace"}


@router.post("", status_code=201, dependencies=[public], responses=problems(422, 503))
async def register_user(
    new: Annotated[RegisterUser, Body(openapi_examples={"customer": {"value": _EXAMPLE}})],
    response: Response,
    everything: All,
    address: ClientAddress,
) -> UserView:
    """Open a customer's account; sign in at `/oauth2/token`. A link that verifies the e-mail address is mailed.

    Whether the address has an account already is told by mail alone, to whoever reads it: the answer is the same, and
    the new account can be used like any other, but never becomes the address's.
    """
    account = await run_in_threadpool(_register, everything, new, address)
    # Whom the address belongs to is only asked when the mail is sent, so that the answer takes as long either way.
    await everything.account_mails.try_to_send(AccountMailKind.WELCOME, account.email, account.id)
    response.headers["Location"] = ME
    return _view(account)


@router.get("/me", dependencies=[require("profile:read")], responses=problems(401, 503))
def read_own_profile(user: CurrentUser) -> UserView:
    """Who I am."""
    return _view(user)


@router.patch("/me", dependencies=[require("profile:write")], responses=problems(401, 403, 503))
def change_own_profile(
    change: Annotated[ChangeProfile, Body(openapi_examples={"name": {"value": {"name": "Ada King"}}})],
    user: CurrentUser,
    accounts: AccountStore,
) -> UserView:
    """Change what is given; e-mail address and password have addresses of their own.

    Mails that nobody needs to get, such as reminders of the cart, are sent only to who has switched `marketing_emails`
    on, and has proven the address.
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
    everything: All,
    address: ClientAddress,
) -> None:
    """Close the account for good: personal data is erased, sessions end, orders are kept."""
    await run_in_threadpool(_close, everything, user, proof, address)
    # Without the user's id: nothing may lead from the mail back to who it was.
    await everything.account_mails.try_to_send(AccountMailKind.ACCOUNT_CLOSED, user.email)


def _register(everything: Services, new: RegisterUser, address: str) -> Account:
    account = Account(
        id=str(uuid7()),
        email=new.email,
        name=new.name,
        password_hash=everything.passwords.hash(new.password.get_secret_value()),
        roles=[Role.CUSTOMER],
        token_version=1,
        active=True,
        created_at=datetime.now(UTC),
    )
    kept = everything.accounts.create(account)
    everything.security.record(
        SecurityEventType.ACCOUNT_REGISTERED, user_id=kept.id, actor=user_actor(kept.id), address=address
    )
    return kept


def _close(everything: Services, user: Account, proof: CloseAccount, address: str) -> None:
    confirm_password(everything, user, proof.password, address)
    everything.sessions.end_all(user.id)
    close_account(everything.connections.engine, user.id)
    closed = everything.accounts.by_id(user.id)
    if closed is not None:
        everything.sessions.changed(closed)
    if user.email_verified:
        everything.throttle.forgive(user.email)
    try:
        everything.carts.forget(user_owner(user.id))
    except PyMongoError as error:  # the account is closed nevertheless; the reminder of carts finds what is left of it
        _log.warning("the cart of a closed account could not be deleted yet", error=str(error)[:200])
    everything.security.record(
        SecurityEventType.ACCOUNT_CLOSED, user_id=user.id, actor=user_actor(user.id), address=address
    )


def _view(account: Account) -> UserView:
    return UserView.model_validate(account.model_dump())
