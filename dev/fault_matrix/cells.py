"""The cells of the matrix: one fault at one activity of one kind of order."""

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from dev.fault_matrix.faults import Fault
from dev.fault_matrix.order import OrderUnderTest
from domain.orders import OrderStatus

Action = Callable[[OrderUnderTest], Coroutine[None, None, None]]


async def no_action(_: OrderUnderTest) -> None:
    """Nobody does anything about the order."""


class Target(StrEnum):
    """The workflow that the fault strikes, by what its id contains."""

    ORDER = "the order"
    FOLLOW_UP = "a workflow started after the order has ended"
    LATE_EVENT = "a workflow that a webhook about the payment starts after the order has ended"


@dataclass(frozen=True)
class Scenario:
    """How the order is placed, what is done about it, and how it ends unless it is cancelled.

    Compensation that is blocked is `retried` by an operator, or else settled by hand.
    """

    name: str
    ends: OrderStatus = OrderStatus.DELIVERED
    units: int = 1
    in_stock: int = 5
    warehouse: str = "BER"
    fields: Mapping[str, object] = field(default_factory=dict)
    postal_code: str = "10117"
    country: str = "DE"
    action: Action = no_action
    receives: int = 0
    refunds: int = 0
    target: Target = Target.ORDER
    credit: int = 0
    retried: bool = False


class Course(StrEnum):
    """Whether the customer cancels when the fault strikes."""

    GOES_ON = "goes on"
    CANCELLED = "is cancelled"


@dataclass(frozen=True)
class Cell:
    """One fault at one activity of one order."""

    fault: Fault
    course: Course
    scenario: Scenario
