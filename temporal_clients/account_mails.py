"""Sends mails about accounts: recorded in MySQL, then sent by a workflow."""

import asyncio

import anyio.to_thread
import structlog
from temporalio.client import Client
from temporalio.common import WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError

from adapters.mysql.identity.account_mails import WaitingMails
from adapters.mysql.identity.users import normalise_email
from schemas.account_mails import AccountMailInput, AccountMailKind
from temporal_clients.errors import TemporalAway, is_temporal_away
from workflows.names import NOTIFICATIONS_QUEUE, account_mail_workflow_id
from workflows.notifications import AccountMailWorkflow

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


class MailClient:
    """Starts AccountMailWorkflows."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def start(self, mail_id: str, summary: str) -> bool:
        """Start sending the mail; False when that was started before. Raises RPCError when Temporal is away."""
        try:
            await self._client.start_workflow(
                AccountMailWorkflow.run,
                AccountMailInput(mail_id=mail_id),
                id=account_mail_workflow_id(mail_id),
                task_queue=NOTIFICATIONS_QUEUE,
                id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
                static_summary=summary,
            )
        except WorkflowAlreadyStartedError:
            return False
        return True
