"""What needs an operator: what it is, why, since when, until when, and what acts on it."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import Field, StringConstraints

from schemas.base import Open, Payload, Request

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
    PARCEL_EXCEPTION = "parcel_exception"
    PARCEL_LOST = "parcel_lost"
    PARCEL_LATE = "parcel_late"
    BACKORDER_OVERDUE = "backorder_overdue"
    ORDER_OVERDUE = "order_overdue"
    DELIVERY_FAILED = "delivery_failed"
    DISPUTE_EVIDENCE = "dispute_evidence"
    DISPUTE_HOLD = "dispute_hold"
    REFUND_FAILED = "refund_failed"
    PAYMENT_DIFFERENCE = "payment_difference"
    ORDER_WITHOUT_WORKFLOW = "order_without_workflow"
    WORKFLOW_OF_ENDED_ORDER = "workflow_of_ended_order"
    OTHER = "other"


class OperatorTask(Payload):
    """One thing that waits for a person.

    `until`: when a rule decides instead, or it is too late. `route`: the route or update that acts on it; without one
    it ends by itself once its cause is gone. `outlasts`: it goes on waiting when its workflow has ended, until somebody
    resolves it. `parcel`: the number of the parcel that it is about, of an order.
    """

    code: Open[OperatorTaskCode]
    about: str = ""
    parcel: int | None = None
    text: str
    since: datetime
    until: datetime | None = None
    route: str | None = None
    outlasts: bool = False


class OperatorTaskView(Payload):
    """What needs an operator, as staff see it; without `order_id` it is about no order."""

    id: int
    order_id: str | None
    parcel: Annotated[int | None, Field(description="The parcel of the order that it is about.")] = None
    workflow_id: str
    code: Open[OperatorTaskCode]
    text: str
    since: datetime
    until: Annotated[datetime | None, Field(description="When a rule decides instead, or it is too late.")] = None
    escalated_at: Annotated[datetime | None, Field(description="When it was escalated, unanswered for too long.")] = (
        None
    )
    route: Annotated[str | None, Field(description="What acts on it; none where it ends with its cause.")] = None
    resolvable: Annotated[bool, Field(description="Whether `POST /v1/ops/tasks/{id}/resolve` ends it.")] = False


class UnansweredTask(Payload):
    """One that waits for longer than there was to answer it; `decided_at`: when a rule has last decided about it, which
    has not ended it.
    """

    id: int
    workflow_id: str
    order_id: str | None
    code: Open[OperatorTaskCode]
    parcel: int | None
    text: str
    since: datetime
    route: str | None
    decided_at: datetime | None


class OperatorTaskPage(Payload):
    """`GET /v1/ops/tasks`: what has waited longest comes first; `next_cursor` is None on the last page."""

    items: list[OperatorTaskView]
    next_cursor: str | None = None


class ResolutionRequest(Request):
    """`POST /v1/ops/tasks/{id}/resolve`: what was done about it."""

    reason: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500)]


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
