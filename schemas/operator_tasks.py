"""What needs an operator: what it is, why, since when, until when, and what acts on it."""

from datetime import datetime
from enum import StrEnum

from schemas.base import Open, Payload

TEXT_LENGTH, ABOUT_LENGTH, ROUTE_LENGTH = 1000, 200, 255


class OperatorTaskCode(StrEnum):
    """What kind of thing waits: the values of the search attribute `NeedsOperator` and the label of the metrics."""

    COMPENSATION_BLOCKED = "compensation_blocked"
    RISK_REVIEW = "risk_review"
    PROVIDER_UNANSWERED = "provider_unanswered"
    CARRIER_UNANSWERED = "carrier_unanswered"
    STORE_UNANSWERED = "store_unanswered"
    MAIL_UNSENT = "mail_unsent"
    PARCEL_UNKNOWN = "parcel_unknown"
    PARCEL_LOST = "parcel_lost"
    DISPUTE_EVIDENCE = "dispute_evidence"
    DISPUTE_HOLD = "dispute_hold"
    REFUND_FAILED = "refund_failed"
    PAYMENT_DIFFERENCE = "payment_difference"
    OTHER = "other"


class OperatorTask(Payload):
    """One thing that waits for a person.

    `until`: when a rule decides instead, or it is too late. `route`: the route or update that acts on it; without one
    it ends by itself once its cause is gone. `outlasts`: it goes on waiting when its workflow has ended, until somebody
    resolves it.
    """

    code: Open[OperatorTaskCode]
    about: str = ""
    text: str
    since: datetime
    until: datetime | None = None
    route: str | None = None
    outlasts: bool = False


class RecordOperatorTasks(Payload):
    """All that needs an operator in a workflow now; whatever else was recorded of it is resolved.

    Repeat-safe and safe out of order: a revision that is not the newest changes nothing.
    """

    workflow_id: str
    revision: int
    order_id: str | None
    tasks: list[OperatorTask]


class OperatorTasksRecorded(Payload):
    """How many of the workflow's tasks are open."""

    open: int
