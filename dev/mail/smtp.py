"""The SMTP side: accepts every mail for every recipient."""

import asyncio
import logging

from aiosmtpd.smtp import SMTP, Envelope, Session

from dev.mail.mailbox import Mailbox
from dev.service import log_line

_LOGGER = logging.getLogger("dev.mail.smtp")


class Catcher:
    """aiosmtpd's handler: a mail is accepted only once it is stored."""

    def __init__(self, mailbox: Mailbox) -> None:
        self._mailbox = mailbox

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802 (aiosmtpd's)
        """Store the mail and acknowledge it."""
        content = envelope.original_content or b""
        name = self._mailbox.add(content, envelope.mail_from or "", list(envelope.rcpt_tos))
        log_line(_LOGGER, "mail", id=name, to=envelope.rcpt_tos, bytes=len(content))
        return f"250 2.0.0 Ok: queued as {name}"


async def listen(mailbox: Mailbox, host: str, port: int) -> asyncio.Server:
    """Open the SMTP port in this event loop; 25 MB is what large providers accept too."""

    def session() -> SMTP:
        return SMTP(Catcher(mailbox), data_size_limit=25_000_000, enable_SMTPUTF8=True, ident="dev mail catcher")

    return await asyncio.get_running_loop().create_server(session, host, port)
