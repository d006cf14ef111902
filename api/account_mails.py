"""Having an account's owner told: the mail is noted in MySQL, then a workflow is started that sends it."""

import asyncio

import structlog
from fastapi.concurrency import run_in_threadpool
from temporalio.client import Client
from temporalio.service import RPCError

from adapters.mysql.identity.account_mails import WaitingMails
from adapters.mysql.identity.users import normalise_email
from api.errors import Unavailable, is_temporal_away
from schemas.account_mails import AccountMailInput, AccountMailKind
from workflows.names import NOTIFICATIONS_QUEUE, account_mail_workflow_id
from workflows.notifications import AccountMailWorkflow

_PATIENCE_SECONDS = 3.0
_log = structlog.get_logger(__name__)


class AccountMails:
    """Starts the mails about accounts."""

    def __init__(self, temporal: Client, waiting: WaitingMails) -> None:
        self._temporal = temporal
        self._waiting = waiting

    async def send(self, kind: AccountMailKind, email: str, user_id: str | None = None) -> None:
        """Have the mail sent; without a user id to whoever the address belongs to, if anybody.

        It takes as long for a stranger's address: who it belongs to is only asked when it is sent. Raises
        Unavailable when Temporal is away.
        """
        mail_id = await run_in_threadpool(self._waiting.add, kind, normalise_email(email), user_id)
        try:
            # Around the call and not in it: a client that has yet to connect knows no time-out of its own.
            async with asyncio.timeout(_PATIENCE_SECONDS):
                await self._temporal.start_workflow(
                    AccountMailWorkflow.run,
                    AccountMailInput(mail_id=mail_id),
                    id=account_mail_workflow_id(mail_id),
                    task_queue=NOTIFICATIONS_QUEUE,
                    static_summary=kind.value,
                )
        except (RPCError, RuntimeError, TimeoutError) as error:
            await run_in_threadpool(self._waiting.remove, mail_id)
            if isinstance(error, TimeoutError) or is_temporal_away(error):
                raise Unavailable from error
            raise

    async def try_to_send(self, kind: AccountMailKind, email: str, user_id: str | None = None) -> None:
        """The same for a mail without which the rest still holds: while Temporal is away it is not sent."""
        try:
            await self.send(kind, email, user_id)
        except Unavailable:
            _log.warning("a mail about an account was not sent: Temporal is away", kind=kind.value)
