"""The texts of mails about accounts: a sentence and perhaps a link, put into one template."""

from dataclasses import dataclass
from datetime import timedelta

from adapters.mail.order_texts import TEMPLATES, MailText
from adapters.settings import Settings
from schemas.account_mails import AccountMailKind, WaitingMail

_NOT_YOU = "If this was not you, you can ignore this mail."
_NOT_YOU_BUT_DONE = "If this was not you, reset your password now and contact us."


@dataclass(frozen=True)
class _Text:
    subject: str
    sentence: str
    note: str
    path: str = ""


_TEXTS = {
    AccountMailKind.VERIFY_EMAIL: _Text(
        "Please confirm your e-mail address",
        "Welcome. Please confirm your e-mail address.",
        _NOT_YOU,
        "/account/email",
    ),
    AccountMailKind.ALREADY_REGISTERED: _Text(
        "You already have an account",
        "Someone tried to register with your e-mail address, but you already have an account. "
        "Please sign in, or reset your password if you have forgotten it.",
        "If this was not you, you can ignore this mail. Your account has not changed.",
    ),
    AccountMailKind.RESET_PASSWORD: _Text(
        "Reset your password",
        "We received a request to reset your password.",
        _NOT_YOU,
        "/account/password",
    ),
    AccountMailKind.CHANGE_EMAIL: _Text(
        "Please confirm your new e-mail address",
        "Please confirm this address as the new e-mail address of your account.",
        _NOT_YOU,
        "/account/email",
    ),
    AccountMailKind.EMAIL_CHANGED: _Text(
        "Your e-mail address was changed",
        "Your account now uses another e-mail address. We no longer write to this one.",
        _NOT_YOU_BUT_DONE,
    ),
    AccountMailKind.PASSWORD_CHANGED: _Text(
        "Your password was changed",
        "Your password was changed. You were signed out on all other devices.",
        _NOT_YOU_BUT_DONE,
    ),
    AccountMailKind.ACCOUNT_CLOSED: _Text(
        "Your account is closed",
        "Your account is closed and your personal data is erased. We keep the order records that the law requires.",
        "If this was not you, contact us.",
    ),
    AccountMailKind.CART_REMINDER: _Text(
        "You left something in your cart",
        "There are still items in your cart. Prices and stock may change.",
        "You receive this mail because you subscribed to it. You can unsubscribe in your profile at any time.",
    ),
}


def lifetime(settings: Settings, kind: AccountMailKind) -> timedelta:
    """How long the mail's link works."""
    if kind is AccountMailKind.RESET_PASSWORD:
        return timedelta(minutes=settings.reset_link_minutes)
    return timedelta(hours=settings.verification_link_hours)


def link(settings: Settings, kind: AccountMailKind, secret: str) -> str:
    """The address of a page with one button, so that a mail scanner that follows links does not use the link up."""
    return f"{settings.public_url}{_TEXTS[kind].path}?token={secret}"


def write(settings: Settings, mail: WaitingMail, name: str | None, address: str | None, secret: str | None) -> MailText:
    """The mail; an unknown name is left out."""
    text = _TEXTS[mail.kind]
    minutes = int(lifetime(settings, mail.kind).total_seconds() // 60)
    values = {
        "name": name,
        "subject": text.subject,
        "sentence": text.sentence,
        "note": text.note,
        "link": address,
        "secret": secret,
        "works_for": f"{minutes} minutes" if minutes < 120 else f"{minutes // 60} hours",
    }
    return MailText(
        subject=text.subject,
        text=TEMPLATES.get_template("account.txt").render(values),
        html=TEMPLATES.get_template("account.html").render(values),
    )
