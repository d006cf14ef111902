"""The pages that links in our mails lead to. Opening one changes nothing, because mail scanners do; its button does.

The page of an application can do the same with the JSON routes. A form needs no token of ours against forgery: the
secret of the link is one.
"""

from typing import Annotated

from fastapi import APIRouter, Form
from fastapi.responses import HTMLResponse
from pydantic import BaseModel, ConfigDict, SecretStr, ValidationError

from api.deps import Changes, ClientAddress, Mails
from api.oauth.pages import page
from api.permissions import public
from api.routes.emails import verify_email
from api.routes.passwords import reset_password
from domain.errors import InvalidLink
from schemas.accounts import ResetPassword, VerifyEmail

router = APIRouter(prefix="/account", include_in_schema=False)
_CONFIRM, _PASSWORD = "Confirm your e-mail address", "Choose a new password"
_INVALID = "The link is not valid. It works once and for a limited time; ask for a new one."


class LinkForm(BaseModel):
    """What a page's form sends; checked by hand, so that a page says what is wrong."""

    model_config = ConfigDict(extra="ignore")

    token: SecretStr = SecretStr("")
    password: SecretStr = SecretStr("")


@router.get("/email", dependencies=[public])
def show_email_page(token: str = "") -> HTMLResponse:
    """Ask for the one click that verifies or changes an e-mail address."""
    return page("account_email.html", _CONFIRM, token=token)


@router.post("/email", dependencies=[public])
async def submit_email_page(
    form: Annotated[LinkForm, Form()], changes: Changes, mails: Mails, address: ClientAddress
) -> HTMLResponse:
    """Verify or change it."""
    try:
        proven = await verify_email(VerifyEmail(token=form.token), changes, mails, address)
    except (ValidationError, InvalidLink):
        return page("account_done.html", _CONFIRM, 422, _INVALID, message="Nothing was changed.")
    return page("account_done.html", "Thank you", message=f"{proven.email} is confirmed.")


@router.get("/password", dependencies=[public])
def show_password_page(token: str = "") -> HTMLResponse:
    """Ask for a new password."""
    return page("account_password.html", _PASSWORD, token=token)


@router.post("/password", dependencies=[public])
async def submit_password_page(
    form: Annotated[LinkForm, Form()], changes: Changes, mails: Mails, address: ClientAddress
) -> HTMLResponse:
    """Set it."""
    try:
        reset = ResetPassword(token=form.token, password=form.password)
    except ValidationError:
        wrong = "A password has 10 to 128 characters."
        return page("account_password.html", _PASSWORD, 422, wrong, token=form.token.get_secret_value())
    try:
        await reset_password(reset, changes, mails, address)
    except InvalidLink:
        return page("account_done.html", _PASSWORD, 422, _INVALID, message="Nothing was changed.")
    return page(
        "account_done.html", "Your password was changed", message="You are signed out everywhere. Please sign in again."
    )
