"""E-mail addresses: proven by a mailed link, changed by a link to the new one."""

from typing import Annotated

from fastapi import APIRouter, Body
from fastapi.concurrency import run_in_threadpool

from api.confirmation import confirm_password, use_verification_link
from api.deps import All
from api.errors import problems
from api.permissions import CurrentUser, public, require
from api.routes.users import ClientAddress
from schemas.account_mails import AccountMailKind
from schemas.accounts import ChangeEmail, EmailVerified, VerifyEmail

router = APIRouter(prefix="/v1", tags=["identity"])
_CHANGE = {"email": "ada@elsewhere.example", "password": "a long enough secret"}
_CODE = {"token": "R0nXk2wqvY7yqgJm0dX2u3m0v0Zf8dGJ1mG6yVx3h4A"}


@router.post(
    "/users/me/email-verification",
    status_code=202,
    dependencies=[require("profile:write")],
    responses=problems(401, 403, 503),
)
async def ask_for_email_verification(user: CurrentUser, everything: All) -> None:
    """Have the link that verifies the e-mail address mailed once more, unless it is verified already."""
    if not user.email_verified:
        await everything.account_mails.send(AccountMailKind.VERIFY_EMAIL, user.email, user.id)


@router.post("/email-verifications", dependencies=[public], responses=problems(422, 503))
async def verify_email(
    proof: Annotated[VerifyEmail, Body(openapi_examples={"code": {"value": _CODE}})],
    everything: All,
    address: ClientAddress,
) -> EmailVerified:
    """Use the code of a mailed link: the address it went to is the account's from now on. The one left is told."""
    account, left = await run_in_threadpool(use_verification_link, everything, proof.token, address)
    if left is not None:
        await everything.account_mails.try_to_send(AccountMailKind.EMAIL_CHANGED, left, account.id)
    return EmailVerified(email=account.email)


@router.post(
    "/users/me/email",
    status_code=202,
    dependencies=[require("profile:write")],
    responses=problems(401, 403, 422, 429, 503),
)
async def ask_for_change_of_email(
    change: Annotated[ChangeEmail, Body(openapi_examples={"change": {"value": _CHANGE}})],
    user: CurrentUser,
    everything: All,
    address: ClientAddress,
) -> None:
    """Have a link mailed to the new address; using it moves the account there.

    An address that another account has proven gets no mail, and the answer does not tell.
    """
    await run_in_threadpool(confirm_password, everything, user, change.password, address)
    await everything.account_mails.send(AccountMailKind.CHANGE_EMAIL, change.email, user.id)
