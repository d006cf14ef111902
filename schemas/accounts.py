"""Requests of an account's owner about the account."""

from typing import Annotated

from pydantic import EmailStr, Field, SecretStr

from schemas.base import Payload, Request, Text

NewPassword = Annotated[SecretStr, Field(min_length=10, max_length=128)]
KnownPassword = Annotated[SecretStr, Field(min_length=1, max_length=128)]
MailedCode = Annotated[SecretStr, Field(min_length=20, max_length=200)]


class ChangeProfile(Request):
    """`PATCH /v1/users/me`: fields left out stay as they are."""

    name: Text | None = None
    marketing_emails: Annotated[bool, Field(strict=True)] | None = None


class ChangePassword(Request):
    """`PUT /v1/users/me/password`."""

    current_password: KnownPassword
    new_password: NewPassword


class ChangeEmail(Request):
    """`POST /v1/users/me/email`: the address changes once the link mailed to the new address is used."""

    email: EmailStr
    password: KnownPassword


class CloseAccount(Request):
    """`DELETE /v1/users/me`."""

    password: KnownPassword


class VerifyEmail(Request):
    """`POST /v1/email-verifications`: the code of a mailed link."""

    token: MailedCode


class EmailVerified(Payload):
    """The address that is now verified."""

    email: str


class AskForPasswordReset(Request):
    """`POST /v1/password-resets`."""

    email: EmailStr


class ResetPassword(Request):
    """`PUT /v1/password-resets`. The code is sent in the body, because URLs end up in logs."""

    token: MailedCode
    password: NewPassword
