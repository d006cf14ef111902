"""Sending a mail to an account's owner: it is recorded in MySQL, then a workflow is started that sends it."""

import asyncio

import anyio.to_thread
import structlog
from temporalio.client import Client
from temporalio.service import RPCError

from adapters.mysql.identity.account_mails import WaitingMails
from adapters.mysql.identity.users import normalise_email
from schemas.account_mails import AccountMailKind
from temporal_clients.errors import TemporalAway, is_temporal_away
from temporal_clients.mails import MailClient

_PATIENCE_SECONDS = 3.0
_log = structlog.get_logger(__name__)


class AccountMails:
    """Starts the mails about accounts."""

    def __init__(self, client: Client, waiting: WaitingMails) -> None:
        self._starter = MailClient(client)
        self._waiting = waiting

    async def send(self, kind: AccountMailKind, email: str, user_id: str | None = None) -> None:
        """Have the mail sent; without a user id to the account that the address belongs to, if any.

        It takes as long for an unknown address: which account it belongs to is only asked when it is sent. Raises
        TemporalAway.
        """
        mail_id = await anyio.to_thread.run_sync(self._waiting.add, kind, normalise_email(email), user_id)
        try:
            # Around the call and not in it: a client that has yet to connect knows no time-out of its own.
            async with asyncio.timeout(_PATIENCE_SECONDS):
                await self._starter.start(mail_id, kind.value)
        except (RPCError, RuntimeError, TimeoutError) as error:
            await anyio.to_thread.run_sync(self._waiting.remove, mail_id)
            if isinstance(error, TimeoutError) or is_temporal_away(error):
                raise TemporalAway from error
            raise

    async def try_to_send(self, kind: AccountMailKind, email: str, user_id: str | None = None) -> None:
        """The same for a mail that nothing depends on: while Temporal is away it is not sent."""
        try:
            await self.send(kind, email, user_id)
        except TemporalAway:
            _log.warning("a mail about an account was not sent: Temporal is away", kind=kind.value)
