"""Has mails about accounts sent that wait in MySQL, for whoever else than the API adds one."""

from temporalio.client import Client
from temporalio.common import WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError

from schemas.account_mails import AccountMailInput
from workflows.account_mails import AccountMailWorkflow
from workflows.names import NOTIFICATIONS_QUEUE, account_mail_workflow_id


class MailClient:
    """Talks to Temporal through the process's client."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def start(self, mail_id: str, summary: str) -> bool:
        """Begin to send the mail; False when that was begun before. Raises RPCError when Temporal is away."""
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
