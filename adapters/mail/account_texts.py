"""What the owner of an account is told: one sentence and perhaps a link, put into the one template."""

from dataclasses import dataclass
from datetime import timedelta

from adapters.mail.order_texts import TEMPLATES, MailText
from adapters.settings import Settings
from schemas.account_mails import AccountMailKind, WaitingMail

_NOT_YOU = "If this was not you, you need do nothing: without the link nothing happens."
_NOT_YOU_BUT_DONE = "If this was not you, reset your password now and write to us."


@dataclass(frozen=True)
class _Said:
    subject: str
    sentence: str
    note: str
    path: str = ""


_SAID = {
    AccountMailKind.VERIFY_EMAIL: _Said(
        "Please confirm your e-mail address",
        "Welcome! Please confirm that this address is yours.",
        _NOT_YOU,
        "/account/email",
    ),
    AccountMailKind.ALREADY_REGISTERED: _Said(
        "You already have an account",
        "You, or somebody who typed your address, registered with it, but you already have an account here. "
        "Sign in to it, or reset your password if you have forgotten it.",
        "If this was not you, you need do nothing: your account and its password are as they were.",
    ),
    AccountMailKind.RESET_PASSWORD: _Said(
        "Reset your password",
        "You, or somebody who typed your address, asked for a new password.",
        _NOT_YOU,
        "/account/password",
    ),
    AccountMailKind.CHANGE_EMAIL: _Said(
        "Please confirm your new e-mail address",
        "Please confirm that your account shall move to this address.",
        _NOT_YOU,
        "/account/email",
    ),
    AccountMailKind.EMAIL_CHANGED: _Said(
        "Your e-mail address was changed",
        "Your account has moved to another e-mail address. This one is no longer used.",
        _NOT_YOU_BUT_DONE,
    ),
    AccountMailKind.PASSWORD_CHANGED: _Said(
        "Your password was changed",
        "Your password was changed, and you were signed out everywhere else.",
        _NOT_YOU_BUT_DONE,
    ),
    AccountMailKind.ACCOUNT_CLOSED: _Said(
        "Your account is closed",
        "Your account is closed and your personal data is erased. What the law has us keep of your orders stays.",
        "If this was not you, write to us.",
    ),
    AccountMailKind.CART_REMINDER: _Said(
        "You left something in your cart",
        "There is still something in your cart. We keep it for you, but prices and stock may change.",
        "You get this because you asked for such mails; switch them off in your profile at any time.",
    ),
}


def lifetime(settings: Settings, kind: AccountMailKind) -> timedelta:
    """How long the link of such a mail works."""
    if kind is AccountMailKind.RESET_PASSWORD:
        return timedelta(minutes=settings.reset_link_minutes)
    return timedelta(hours=settings.verification_link_hours)


def link(settings: Settings, kind: AccountMailKind, secret: str) -> str:
    """Where the mail leads: a page with one button, so that a mail scanner that follows links uses nothing up."""
    return f"{settings.public_url}{_SAID[kind].path}?token={secret}"


def write(settings: Settings, mail: WaitingMail, name: str | None, address: str | None, secret: str | None) -> MailText:
    """The mail; a name that is not known is left out."""
    said = _SAID[mail.kind]
    minutes = int(lifetime(settings, mail.kind).total_seconds() // 60)
    told = {
        "name": name,
        "subject": said.subject,
        "sentence": said.sentence,
        "note": said.note,
        "link": address,
        "secret": secret,
        "works_for": f"{minutes} minutes" if minutes < 120 else f"{minutes // 60} hours",
    }
    return MailText(
        subject=said.subject,
        text=TEMPLATES.get_template("account.txt").render(told),
        html=TEMPLATES.get_template("account.html").render(told),
    )
