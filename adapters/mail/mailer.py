"""Mails to customers over SMTP.

Blocking on purpose: the activity that sends also reads MySQL with a blocking driver and has a thread of its own, so
an async client would only move the wait onto the worker's event loop.
"""

import ssl
from collections.abc import Sequence
from datetime import UTC, datetime
from email.errors import HeaderParseError
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime, parseaddr

import aiosmtplib

from adapters.mail import account_texts, staff_texts
from adapters.mail.order_texts import MailText, write
from adapters.settings import Settings
from domain.outside_errors import Misuse, Unavailable
from schemas.account_mails import WaitingMail
from schemas.notifications import NotificationInput
from schemas.operator_tasks import UnansweredTask
from schemas.orders import OrderView

_SECONDS = 15.0


class Mailer:
    """Writes the mail for an event and hands it to the mail server."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        name, address = parseaddr(settings.mail_from)
        self._sender = Address(name, addr_spec=address)
        self._tls = ssl.create_default_context(cafile=settings.smtp_ca_file)

    def compose(self, order: OrderView, event: NotificationInput) -> EmailMessage:
        """The mail for this event. Its Message-ID follows from the event, so that a mailbox can drop a repeat."""
        recipient = _recipient(order.shipping_address.name, order.email)
        message = self._message(recipient, event.event_id, write(order, event))
        message["X-Order-Id"] = order.id
        message["X-Order-Event-Seq"] = str(event.seq)
        message["X-Event-Id"] = event.event_id
        return message

    def compose_account_mail(self, mail: WaitingMail, name: str | None, secret: str | None) -> EmailMessage:
        """The mail about an account, with the secret of its link when it is of a kind that has one."""
        link = account_texts.link(self._settings, mail.kind, secret) if secret else None
        content = account_texts.write(self._settings, mail, name, link, secret)
        return self._message(_recipient(name or "", mail.email), mail.id, content)

    def send_to_staff(self, tasks: Sequence[UnansweredTask], *, escalated: bool) -> None:
        """Mail staff what they have not answered, where an address is named for that; raises as `send` does."""
        settings = self._settings
        address = (settings.escalation_mail if escalated else None) or settings.operations_mail
        if address is None:
            return
        content = staff_texts.write(tasks, settings.public_url, escalated=escalated)
        unique = (
            f"{'escalation' if escalated else 'reminder'}-{tasks[0].id}-{tasks[-1].id}-{datetime.now(UTC):%H%M%S%f}"
        )
        self.send(self._message(_recipient("", address), unique, content))

    def _message(self, recipient: Address, unique: str, content: MailText) -> EmailMessage:
        message = EmailMessage()
        message["From"] = self._sender
        message["To"] = recipient
        message["Subject"] = content.subject
        message["Message-ID"] = f"<{unique}@{self._sender.domain}>"
        message["Date"] = format_datetime(datetime.now(UTC))
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(content.text)
        message.add_alternative(content.html, subtype="html")
        return message

    def send(self, message: EmailMessage) -> None:
        """Hand the message over; raises Unavailable when it may work later, Misuse when this mail never will."""
        settings = self._settings
        password = settings.smtp_password
        client = aiosmtplib.SMTP(
            hostname=settings.smtp_host,
            port=settings.smtp_port,
            username=settings.smtp_username,
            password=password.get_secret_value() if password else None,
            use_tls=settings.smtp_tls,
            start_tls=settings.smtp_starttls,
            tls_context=self._tls,
            timeout=_SECONDS,
        )
        try:
            client.send_message_sync(message)
        except aiosmtplib.SMTPRecipientsRefused as refusal:
            codes = [recipient.code for recipient in refusal.recipients]
            if all(code >= 500 for code in codes):
                raise Misuse(
                    f"the mail server refuses the recipient for good: {codes}", "recipient_refused"
                ) from refusal
            raise Unavailable(f"the mail server refuses the recipient for now: {codes}") from refusal
        except (aiosmtplib.SMTPDataError, aiosmtplib.SMTPNotSupported, UnicodeError) as refusal:
            if isinstance(refusal, aiosmtplib.SMTPDataError) and refusal.code < 500:
                raise Unavailable(f"the mail server refuses the mail for now: {refusal}") from refusal
            raise Misuse(f"the mail server refuses the mail for good: {refusal}", "mail_refused") from refusal
        except (aiosmtplib.SMTPException, OSError) as outage:
            raise Unavailable(f"{type(outage).__name__}: {outage}") from outage


def _recipient(name: str, address: str) -> Address:
    try:
        return Address(name, addr_spec=address)
    except (ValueError, IndexError, HeaderParseError) as error:
        raise Misuse("the address is none that mail can be sent to", "recipient_refused") from error
