"""The mails to staff about what needs an operator and was not answered in time."""

from collections.abc import Sequence

from adapters.mail.order_texts import TEMPLATES, MailText
from schemas.operator_tasks import UnansweredTask


def write(tasks: Sequence[UnansweredTask], public_url: str, *, escalated: bool) -> MailText:
    """One mail about all of them, what has waited longest first."""
    count = f"{len(tasks)} {'task' if len(tasks) == 1 else 'tasks'}"
    subject = f"Escalation: {count} unanswered" if escalated else f"Reminder: {count} waiting for an operator"
    values = {"tasks": tasks, "subject": subject, "list_url": f"{public_url}/v1/ops/tasks"}
    return MailText(
        subject=subject,
        text=TEMPLATES.get_template("operator_tasks.txt").render(values),
        html=TEMPLATES.get_template("operator_tasks.html").render(values),
    )
