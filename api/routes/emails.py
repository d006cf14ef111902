"""E-mail addresses: verified by a mailed link, changed by a link to the new one."""

from typing import Annotated

from fastapi import APIRouter, Body
from fastapi.concurrency import run_in_threadpool

from api.deps import Changes, ClientAddress, Mails
from api.errors import problems
from api.permissions import CurrentUser, public, require
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
async def request_email_verification(user: CurrentUser, mails: Mails) -> None:
    """Mail the link that verifies your e-mail address again, unless it is verified already."""
    if not user.email_verified:
        await mails.send(AccountMailKind.VERIFY_EMAIL, user.email, user.id)


@router.post("/email-verifications", dependencies=[public], responses=problems(422, 503))
async def verify_email(
    proof: Annotated[VerifyEmail, Body(openapi_examples={"code": {"value": _CODE}})],
    changes: Changes,
    mails: Mails,
    address: ClientAddress,
) -> EmailVerified:
    """Use the code from a mailed link: its address becomes the account's. The old address is notified."""
    account, old = await run_in_threadpool(changes.use_verification_link, proof.token, address)
    if old is not None:
        await mails.try_to_send(AccountMailKind.EMAIL_CHANGED, old, account.id)
    return EmailVerified(email=account.email)


@router.post(
    "/users/me/email",
    status_code=202,
    dependencies=[require("profile:write")],
    responses=problems(401, 403, 422, 429, 503),
)
async def request_change_of_email(
    change: Annotated[ChangeEmail, Body(openapi_examples={"change": {"value": _CHANGE}})],
    user: CurrentUser,
    changes: Changes,
    mails: Mails,
    address: ClientAddress,
) -> None:
    """Mail a link to the new address; using it changes the account's address.

    An address that another account has verified gets no mail, and the answer is the same.
    """
    await run_in_threadpool(changes.confirm_password, user, change.password, address)
    await mails.send(AccountMailKind.CHANGE_EMAIL, change.email, user.id)
