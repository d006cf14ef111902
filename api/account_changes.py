"""What an account's owner changes about it, on proof: the password once more, or the secret of a mailed link."""

from dataclasses import dataclass
from datetime import UTC, datetime

import sqlalchemy as sa
import structlog
from pydantic import SecretStr
from pymongo.errors import PyMongoError
from uuid_utils import uuid7

from adapters.carts.store import CartStore
from adapters.mysql.identity.account_closing import close_account
from adapters.mysql.identity.api_keys import ApiKeys
from adapters.mysql.identity.email_tokens import EmailTokens
from adapters.mysql.identity.security_events import SecurityEvents
from adapters.mysql.identity.users import Accounts, normalise_email
from api.errors import HttpProblem
from api.login_throttle import LoginThrottle
from api.passwords import Passwords
from api.sessions import Sessions
from domain.actors import user_actor
from domain.carts import user_owner
from domain.errors import EmailTaken, InvalidLink
from domain.events import SecurityEventType
from schemas.account_mails import AccountMailKind
from schemas.problem_codes import ProblemCode
from schemas.users import Account, RegisterUser, Role

_PROVES_AN_ADDRESS = frozenset({AccountMailKind.VERIFY_EMAIL, AccountMailKind.CHANGE_EMAIL})
_RESETS = frozenset({AccountMailKind.RESET_PASSWORD})
_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class AccountChanges:
    """Each change with the sessions it ends and its line in the audit log; `address` is the client's IP address."""

    engine: sa.Engine
    accounts: Accounts
    passwords: Passwords
    email_tokens: EmailTokens
    sessions: Sessions
    throttle: LoginThrottle
    api_keys: ApiKeys
    security: SecurityEvents
    carts: CartStore

    def register(self, new: RegisterUser, address: str) -> Account:
        """Open a customer's account."""
        account = Account(
            id=str(uuid7()),
            email=new.email,
            name=new.name,
            password_hash=self.passwords.hash(new.password.get_secret_value()),
            roles=[Role.CUSTOMER],
            token_version=1,
            active=True,
            created_at=datetime.now(UTC),
        )
        created = self.accounts.create(account)
        self._record(SecurityEventType.ACCOUNT_REGISTERED, created, address)
        return created

    def confirm_password(self, user: Account, password: SecretStr, address: str) -> None:
        """Compare the password, throttled like a sign-in; raises 403 `wrong_password`, or TooManyAttempts."""
        self.throttle.check(user.email, address, user.id)
        if not self.passwords.matches(password.get_secret_value(), user.password_hash):
            self.throttle.failed(user.email, address, user.id)
            raise HttpProblem(403, ProblemCode.WRONG_PASSWORD, "The password is wrong.")
        self.throttle.succeeded(user.email, address, proven=user.email_verified)

    def use_verification_link(self, secret: SecretStr, address: str) -> tuple[Account, str | None]:
        """Verify or change an account's e-mail address; the account as it is now, and its old address if it changed.

        Raises InvalidLink, also when another account has proven the address first.
        """
        link = self.email_tokens.redeem(secret.get_secret_value(), _PROVES_AN_ADDRESS)
        account = self.accounts.by_id(link.user_id) if link else None
        if link is None or account is None or not account.active:
            raise _invalid_link()
        if link.purpose is AccountMailKind.VERIFY_EMAIL:
            if account.email != link.email:
                raise _invalid_link()
            verified = self._verified(account)
            self._record(SecurityEventType.EMAIL_VERIFIED, account, address)
            return verified, None
        try:
            changed = self.accounts.change_email(account.id, link.email)
        except EmailTaken as error:
            raise _invalid_link() from error
        # What was mailed to the old address must not open the account any more.
        self.email_tokens.forget_all(account.id)
        self._record(SecurityEventType.EMAIL_CHANGED, account, address)
        return changed, account.email

    def use_reset_link(self, secret: SecretStr, password: SecretStr, address: str) -> Account:
        """Give the account a new password and end all its sessions; raises InvalidLink."""
        link = self.email_tokens.redeem(secret.get_secret_value(), _RESETS)
        account = self.accounts.by_id(link.user_id) if link else None
        if link is None or account is None or not account.active or account.email != normalise_email(link.email):
            raise _invalid_link()
        # Whoever has the link has the mailbox, but somebody else may have registered it, and made a key meanwhile.
        self._verified(account)
        if not account.email_verified:
            self.api_keys.revoke(account.id)
        changed = self._set_password(account, password)
        self.throttle.forgive(account.email)
        self._record(SecurityEventType.PASSWORD_RESET, account, address)
        return changed

    def change_password(self, user: Account, current: SecretStr, new: SecretStr, address: str) -> Account:
        """Replace the password; raises what `confirm_password` raises."""
        self.confirm_password(user, current, address)
        changed = self._set_password(user, new)
        self._record(SecurityEventType.PASSWORD_CHANGED, user, address)
        return changed

    def close(self, user: Account, password: SecretStr, address: str) -> None:
        """Erase the account's personal data and its cart; raises what `confirm_password` raises."""
        self.confirm_password(user, password, address)
        self.sessions.end_all(user.id)
        close_account(self.engine, user.id)
        closed = self.accounts.by_id(user.id)
        if closed is not None:
            self.sessions.changed(closed)
        if user.email_verified:
            self.throttle.forgive(user.email)
        try:
            self.carts.forget(user_owner(user.id))
        except PyMongoError as error:  # the account is closed all the same; the cart reminder finds what is left of it
            _log.warning("the cart of a closed account could not be deleted yet", error=str(error)[:200])
        self._record(SecurityEventType.ACCOUNT_CLOSED, user, address)

    def _set_password(self, user: Account, password: SecretStr) -> Account:
        """Replace the password, end every session and void every mailed link; the account as it is then."""
        self.accounts.set_password_hash(user.id, self.passwords.hash(password.get_secret_value()))
        self.email_tokens.forget_all(user.id)
        self.sessions.end_all(user.id)
        return self.accounts.by_id(user.id) or user

    def _verified(self, account: Account) -> Account:
        try:
            return self.accounts.mark_email_verified(account.id)
        except EmailTaken as error:
            raise _invalid_link() from error

    def _record(self, kind: SecurityEventType, account: Account, address: str) -> None:
        self.security.record(kind, user_id=account.id, actor=user_actor(account.id), address=address)


def _invalid_link() -> InvalidLink:
    return InvalidLink("The link is not valid. It works once and for a limited time; ask for a new one.")
