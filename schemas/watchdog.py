"""The watchdog: orders that take longer than expected, and what needs an operator and is not answered."""

from enum import StrEnum

from schemas.base import Payload
from schemas.operator_tasks import OperatorTaskCode


class SafeDecision(StrEnum):
    """What may be done about a task that nobody has answered, because it can harm nothing and be done again."""

    RETRY_COMPENSATION = "retry_compensation"
    ASK_CARRIER = "ask_carrier"
    CANCEL_BACKORDER = "cancel_backorder"


# Whatever is not among them waits for a person, however long.
SAFE_DECISIONS = {
    OperatorTaskCode.COMPENSATION_BLOCKED: SafeDecision.RETRY_COMPENSATION,
    OperatorTaskCode.PARCEL_UNKNOWN: SafeDecision.ASK_CARRIER,
    OperatorTaskCode.BACKORDER_OVERDUE: SafeDecision.CANCEL_BACKORDER,
}
# Done once: each attempt that fails is an event of its order, and a mail.
DECIDED_ONCE = frozenset({OperatorTaskCode.COMPENSATION_BLOCKED})


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
