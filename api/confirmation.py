"""Proof that it is really the account's owner: the password once more, or the secret of a mailed link."""

from pydantic import SecretStr

from adapters.mysql.identity.users import normalise_email
from api.deps import Services
from api.errors import HttpProblem
from domain.actors import user_actor
from domain.errors import EmailTaken, InvalidLink
from domain.events import SecurityEventType
from schemas.account_mails import AccountMailKind
from schemas.users import Account

_PROVES_AN_ADDRESS = frozenset({AccountMailKind.VERIFY_EMAIL, AccountMailKind.CHANGE_EMAIL})
_RESETS = frozenset({AccountMailKind.RESET_PASSWORD})


def confirm_password(everything: Services, user: Account, password: SecretStr, address: str) -> None:
    """Compare the password, throttled like a sign-in; raises 403 `wrong_password`, or TooManyAttempts."""
    everything.throttle.check(user.email, address, user.id)
    if not everything.passwords.matches(password.get_secret_value(), user.password_hash):
        everything.throttle.failed(user.email, address, user.id)
        raise HttpProblem(403, "wrong_password", "The password is wrong.")
    everything.throttle.succeeded(user.email, address, proven=user.email_verified)


def use_verification_link(everything: Services, secret: SecretStr, address: str) -> tuple[Account, str | None]:
    """Prove or move an account's e-mail address; the account as it is now, and the address it has left, if any.

    Raises InvalidLink, also when another account has proven the address first.
    """
    link = everything.email_tokens.redeem(secret.get_secret_value(), _PROVES_AN_ADDRESS)
    account = everything.accounts.by_id(link.user_id) if link else None
    if link is None or account is None or not account.active:
        raise _invalid_link()
    if link.purpose is AccountMailKind.VERIFY_EMAIL:
        if account.email != link.email:
            raise _invalid_link()
        proven = _proven(everything, account)
        everything.security.record(
            SecurityEventType.EMAIL_VERIFIED, user_id=account.id, actor=_actor(account), address=address
        )
        return proven, None
    try:
        moved = everything.accounts.change_email(account.id, link.email)
    except EmailTaken as error:
        raise _invalid_link() from error
    # What was mailed to the address that was left must not open the account any more.
    everything.email_tokens.forget_all(account.id)
    everything.security.record(
        SecurityEventType.EMAIL_CHANGED, user_id=account.id, actor=_actor(account), address=address
    )
    return moved, account.email


def use_reset_link(everything: Services, secret: SecretStr, password: SecretStr, address: str) -> Account:
    """Give the account a new password and end all its sessions; raises InvalidLink."""
    link = everything.email_tokens.redeem(secret.get_secret_value(), _RESETS)
    account = everything.accounts.by_id(link.user_id) if link else None
    if link is None or account is None or not account.active or account.email != normalise_email(link.email):
        raise _invalid_link()
    # Whoever has the link has the mailbox, but who registered it may have been somebody else, and made a key meanwhile.
    _proven(everything, account)
    if not account.email_verified:
        everything.api_keys.revoke(account.id)
    changed = set_password(everything, account, password)
    everything.throttle.forgive(account.email)
    everything.security.record(
        SecurityEventType.PASSWORD_RESET, user_id=account.id, actor=_actor(account), address=address
    )
    return changed


def set_password(everything: Services, user: Account, password: SecretStr) -> Account:
    """Replace the password, end every session and void every mailed link; the account as it is then."""
    everything.accounts.set_password_hash(user.id, everything.passwords.hash(password.get_secret_value()))
    everything.email_tokens.forget_all(user.id)
    everything.sessions.end_all(user.id)
    changed = everything.accounts.by_id(user.id)
    return changed or user


def _proven(everything: Services, account: Account) -> Account:
    try:
        return everything.accounts.mark_email_verified(account.id)
    except EmailTaken as error:
        raise _invalid_link() from error


def _actor(account: Account) -> str:
    return user_actor(account.id)


def _invalid_link() -> InvalidLink:
    return InvalidLink("The link is not valid. It works once, and not for long; ask for a new one.")
