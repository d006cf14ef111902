"""Telling the owner of an account: the link's secret is made here, just before it is mailed.

So it stands nowhere but in the mail: Temporal's history holds only the mail's id, MySQL only the secret's digest.
"""

from typing import TYPE_CHECKING

from temporalio import activity

from activities.failures import typed_failures
from domain.errors import Misuse, Unavailable
from schemas.account_mails import WITH_LINK, AccountMailInput, AccountMailKind, AccountMailSent, WaitingMail
from schemas.users import Account

if TYPE_CHECKING:
    from datetime import timedelta

    from adapters.mailer import Mailer
    from adapters.mysql.account_mails import WaitingMails
    from adapters.mysql.email_tokens import EmailTokens
    from adapters.mysql.users import Accounts


class AccountMailActivities:
    """Calls to the mail server are regular activities; `lifetimes` says how long the link of each kind works."""

    def __init__(
        self,
        waiting: "WaitingMails",
        accounts: "Accounts",
        tokens: "EmailTokens",
        mailer: "Mailer",
        lifetimes: dict[AccountMailKind, "timedelta"],
    ) -> None:
        self._waiting = waiting
        self._accounts = accounts
        self._tokens = tokens
        self._mailer = mailer
        self._lifetimes = lifetimes

    @activity.defn
    def send_account_mail(self, mail: AccountMailInput) -> AccountMailSent:
        """Send the mail if it still waits and still makes sense.

        A crash between the mail server's yes and our note sends it again, with another link; both links work.
        """
        with typed_failures():
            waiting = self._waiting.get(mail.mail_id)
            if waiting is None:
                return AccountMailSent()
            message_id = self._send(waiting) if waiting.kind in WITH_LINK else self._mail(waiting, None, None)
            self._waiting.remove(waiting.id)
            return AccountMailSent(message_id=message_id)

    def _send(self, mail: WaitingMail) -> str | None:
        """Mail a link; nothing when nobody should have it."""
        account = self._recipient(mail)
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

    def _recipient(self, mail: WaitingMail) -> Account | None:
        """The account the link is for, as things are now: much may have happened since it was asked for."""
        holder = self._accounts.by_email(mail.email)
        if mail.kind is AccountMailKind.RESET_PASSWORD:
            return holder if holder is not None and holder.active else None
        account = self._accounts.by_id(mail.user_id) if mail.user_id else None
        if account is None or not account.active:
            return None
        if mail.kind is AccountMailKind.CHANGE_EMAIL:
            return account if holder is None else None
        return account if account.email == mail.email and not account.email_verified else None

    def _mail(self, mail: WaitingMail, name: str | None, secret: str | None) -> str:
        message = self._mailer.compose_account_mail(mail, name, secret)
        try:
            self._mailer.send(message)
        except Misuse:
            self._waiting.remove(mail.id)  # it will never be sent: its address is not ours to keep
            raise
        return str(message["Message-ID"])
