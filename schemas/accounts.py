"""What the owner of an account sends about it."""

from typing import Annotated

from pydantic import EmailStr, Field, SecretStr

from schemas.base import Payload, Request, Text

NewPassword = Annotated[SecretStr, Field(min_length=10, max_length=128)]
KnownPassword = Annotated[SecretStr, Field(min_length=1, max_length=128)]
MailedCode = Annotated[SecretStr, Field(min_length=20, max_length=200)]


class ChangeProfile(Request):
    """`PATCH /v1/users/me`: what is left out stays."""

    name: Text | None = None
    marketing_emails: Annotated[bool, Field(strict=True)] | None = None


class ChangePassword(Request):
    """`PUT /v1/users/me/password`."""

    current_password: KnownPassword
    new_password: NewPassword


class ChangeEmail(Request):
    """`POST /v1/users/me/email`: nothing changes until the link mailed to the new address is used."""

    email: EmailStr
    password: KnownPassword


class CloseAccount(Request):
    """`DELETE /v1/users/me`."""

    password: KnownPassword


class VerifyEmail(Request):
    """`POST /v1/email-verifications`: the code of a mailed link."""

    token: MailedCode


class EmailVerified(Payload):
    """The address that is now proven to be the account's."""

    email: str


class AskForPasswordReset(Request):
    """`POST /v1/password-resets`."""

    email: EmailStr


class ResetPassword(Request):
    """`PUT /v1/password-resets`. The code stands in the body, because addresses end up in logs."""

    token: MailedCode
    password: NewPassword
