"""Starts the sending of account mails that are pending in MySQL."""

from temporalio.client import Client
from temporalio.common import WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError

from schemas.account_mails import AccountMailInput
from workflows.names import NOTIFICATIONS_QUEUE, account_mail_workflow_id
from workflows.notifications import AccountMailWorkflow


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
