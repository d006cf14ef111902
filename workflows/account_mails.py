"""AccountMailWorkflow sends one mail about an account, however long the mail server is away."""

from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy

from activities.account_mails import AccountMailActivities
from schemas.account_mails import AccountMailInput, AccountMailSent

_MAIL_SECONDS = timedelta(seconds=60)
_UNTIL_SENT = RetryPolicy(
    initial_interval=timedelta(seconds=1), backoff_coefficient=2, maximum_interval=timedelta(minutes=1)
)


@workflow.defn
class AccountMailWorkflow:
    """It knows the mail's id and nothing else: neither the address nor the link may stand in a history."""

    @workflow.run
    async def run(self, mail: AccountMailInput) -> AccountMailSent:
        """Send the mail."""
        return await workflow.execute_activity_method(
            AccountMailActivities.send_account_mail,
            mail,
            start_to_close_timeout=_MAIL_SECONDS,
            retry_policy=_UNTIL_SENT,
            summary="mail about an account",
        )
