"""Account mails: their kinds, and what Temporal gets of each, which is neither an address nor a link."""

from enum import StrEnum

from schemas.base import Payload


class AccountMailKind(StrEnum):
    """The purpose of a mail and, where it has a link, of the link."""

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
    """Send this queued mail; the workflow id is `account-mail-<mail_id>`."""

    mail_id: str


class AccountMailSent(Payload):
    """The result; `message_id` is None when there was nothing to send, or it had been sent before."""

    message_id: str | None = None


class WaitingMail(Payload):
    """A mail that is to be sent. Without a user id it goes to the owner of the address, if there is one."""

    id: str
    kind: AccountMailKind
    user_id: str | None
    email: str


class LinkToken(Payload):
    """The account, purpose and address of a mailed link that has been used."""

    user_id: str
    purpose: AccountMailKind
    email: str
