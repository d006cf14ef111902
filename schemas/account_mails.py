"""Mails about an account: what each is for, and what Temporal is told of it – no address, no link."""

from enum import StrEnum

from schemas.base import Payload


class AccountMailKind(StrEnum):
    """What a mail is for; of those with a link, it is also what the link may be used for."""

    WELCOME = "welcome"  # sent as VERIFY_EMAIL, or as ALREADY_REGISTERED when the address is another account's
    VERIFY_EMAIL = "verify_email"
    ALREADY_REGISTERED = "already_registered"
    RESET_PASSWORD = "reset_password"  # noqa: S105 - a kind of mail
    CHANGE_EMAIL = "change_email"
    EMAIL_CHANGED = "email_changed"
    PASSWORD_CHANGED = "password_changed"  # noqa: S105 - a kind of mail
    ACCOUNT_CLOSED = "account_closed"
    CART_REMINDER = "cart_reminder"


WITH_LINK = frozenset({AccountMailKind.VERIFY_EMAIL, AccountMailKind.RESET_PASSWORD, AccountMailKind.CHANGE_EMAIL})


class AccountMailInput(Payload):
    """Send this waiting mail; the workflow id is `account-mail-<mail_id>`."""

    mail_id: str


class AccountMailSent(Payload):
    """What became of it; `message_id` is None when there was nothing to say, or it had been said before."""

    message_id: str | None = None


class WaitingMail(Payload):
    """A mail that waits to be sent. Without a user id it is for whoever the address belongs to, if anybody."""

    id: str
    kind: AccountMailKind
    user_id: str | None
    email: str


class LinkToken(Payload):
    """What a mailed link stood for when it was used."""

    user_id: str
    purpose: AccountMailKind
    email: str
