"""Mails about accounts. The secret of a link is made here, just before it is mailed.

So it is nowhere but in the mail: Temporal's history holds only the mail's id, MySQL only the secret's digest.
"""

from datetime import timedelta
from typing import TYPE_CHECKING

from temporalio import activity

from activities.failures import typed_failures
from domain.outside_errors import Misuse, Unavailable
from schemas.account_mails import WITH_LINK, AccountMailInput, AccountMailKind, AccountMailSent, WaitingMail
from schemas.users import Account

if TYPE_CHECKING:
    from adapters.mail.mailer import Mailer
    from adapters.mysql.identity.account_mails import WaitingMails
    from adapters.mysql.identity.email_tokens import EmailTokens
    from adapters.mysql.identity.users import Accounts


# Registering with somebody's address costs nothing: more registrations than these send no mail.
_WELCOMED_IN_A_DAY = 5
_DAY = timedelta(days=1)


class AccountMailActivities:
    """Calls to the mail server are regular activities; `lifetimes` says how long the link of each kind works."""

    def __init__(
        self,
        waiting: "WaitingMails",
        accounts: "Accounts",
        tokens: "EmailTokens",
        mailer: "Mailer",
        lifetimes: dict[AccountMailKind, timedelta],
    ) -> None:
        self._waiting = waiting
        self._accounts = accounts
        self._tokens = tokens
        self._mailer = mailer
        self._lifetimes = lifetimes

    @activity.defn
    def send_account_mail(self, mail: AccountMailInput) -> AccountMailSent:
        """Send the mail if it still waits and still makes sense.

        A crash between the mail server's answer and our record sends it again, with another link; both links work.
        """
        with typed_failures():
            waiting = self._waiting.get(mail.mail_id)
            if waiting is None:
                return AccountMailSent()
            message_id = self._send(waiting)
            self._waiting.remove(waiting.id)
            return AccountMailSent(message_id=message_id)

    def _send(self, mail: WaitingMail) -> str | None:
        owner = self._accounts.owner_of(mail.email)
        if mail.kind is AccountMailKind.WELCOME:
            return self._welcome(mail, owner)
        if mail.kind in WITH_LINK:
            return self._send_link(mail, owner)
        if mail.kind is AccountMailKind.CART_REMINDER:
            return self._remind(mail, owner)
        # Mails about an account that only claims the address are not for the address's owner.
        return self._mail(mail, None, None) if owner is None or owner.id == mail.user_id else None

    def _remind(self, mail: WaitingMail, owner: Account | None) -> str | None:
        """Only to customers who still want it, at a verified address."""
        subscribed = owner is not None and owner.id == mail.user_id and owner.active and owner.marketing_emails
        return self._mail(mail, owner.name, None) if owner is not None and subscribed else None

    def _welcome(self, mail: WaitingMail, owner: Account | None) -> str | None:
        """Ask for verification of the address; where it has an owner already, write to the owner instead."""
        if self._accounts.count_registered(mail.email, _DAY) > _WELCOMED_IN_A_DAY:
            return None
        if owner is None or owner.id == mail.user_id:
            return self._send_link(mail.model_copy(update={"kind": AccountMailKind.VERIFY_EMAIL}), owner)
        return self._mail(mail.model_copy(update={"kind": AccountMailKind.ALREADY_REGISTERED}), owner.name, None)

    def _send_link(self, mail: WaitingMail, owner: Account | None) -> str | None:
        """Mail a link, unless nobody may have it."""
        account = self._recipient(mail, owner)
        if account is None:
            return None
        secret = self._tokens.issue(account.id, mail.kind, mail.email, self._lifetimes[mail.kind])
        if secret is None:
            return None
        try:
            return self._mail(mail, account.name, secret)
        except (Misuse, Unavailable):
            self._tokens.withdraw(secret)
            raise

    def _recipient(self, mail: WaitingMail, owner: Account | None) -> Account | None:
        """The account the link is for, as of now: much may have changed since the request."""
        if mail.kind is AccountMailKind.RESET_PASSWORD:
            holder = self._accounts.by_email(mail.email)
            return holder if holder is not None and holder.active else None
        account = self._accounts.by_id(mail.user_id) if mail.user_id else None
        # A verified address cannot be verified again.
        if account is None or not account.active or owner is not None:
            return None
        return account if mail.kind is AccountMailKind.CHANGE_EMAIL or account.email == mail.email else None

    def _mail(self, mail: WaitingMail, name: str | None, secret: str | None) -> str:
        message = self._mailer.compose_account_mail(mail, name, secret)
        try:
            self._mailer.send(message)
        except Misuse:
            self._waiting.remove(mail.id)  # it will never be sent, so its address is deleted
            raise
        return str(message["Message-ID"])
