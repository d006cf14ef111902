"""The watchdog: orders that take longer than expected, and what needs an operator and is not answered."""

from dataclasses import dataclass
from enum import StrEnum

from schemas.base import Payload
from schemas.operator_tasks import OperatorTaskCode


class SafeDecision(StrEnum):
    """What may be done about a task that nobody has answered, because it can harm nothing and be done again."""

    RETRY_COMPENSATION = "retry_compensation"
    ASK_CARRIER = "ask_carrier"
    CANCEL_BACKORDER = "cancel_backorder"
    REFUND_PARCEL = "refund_parcel"


@dataclass(frozen=True)
class Rule:
    """When a rule decides: `when_due` only where the task says until when a person may; `once`, because each attempt
    that fails is an event of the order, and a mail.
    """

    decision: SafeDecision
    once: bool = False
    when_due: bool = False


# Whatever is not among them waits for a person, however long.
RULES = {
    OperatorTaskCode.COMPENSATION_BLOCKED: Rule(SafeDecision.RETRY_COMPENSATION, once=True),
    OperatorTaskCode.PARCEL_UNKNOWN: Rule(SafeDecision.ASK_CARRIER),
    OperatorTaskCode.BACKORDER_OVERDUE: Rule(SafeDecision.CANCEL_BACKORDER),
    OperatorTaskCode.DELIVERY_FAILED: Rule(SafeDecision.REFUND_PARCEL, when_due=True),
}


class OrdersWatched(Payload):
    """How many orders were found to be overdue, and how many earlier findings are over; some found by name."""

    overdue: int
    late_parcels: int
    backorders: int
    ended: int
    orders: list[str] = []


class StaffReminded(Payload):
    """Of how many tasks staff were reminded, and how many were escalated."""

    reminded: int
    escalated: int


class OverdueDecided(Payload):
    """About how many tasks a rule has decided, and how many of those decisions were refused."""

    decided: int
    refused: int
