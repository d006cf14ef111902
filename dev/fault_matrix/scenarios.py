"""The ways an order can go, and which of them leads to which activity."""

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import product
from typing import TYPE_CHECKING

from dev.fault_matrix.faults import Fault, Kind
from domain.orders import OrderStatus
from schemas.checkout import OnShortage

if TYPE_CHECKING:
    from dev.fault_matrix.play import Play

Deed = Callable[["Play"], Coroutine[None, None, None]]


async def _nothing(_: "Play") -> None:
    """The order goes by itself."""


@dataclass(frozen=True)
class Scenario:
    """How the order is placed, what people do about it, and how it ends when nobody cancels it."""

    name: str
    ends: OrderStatus = OrderStatus.DELIVERED
    units: int = 1
    there: int = 5
    fields: Mapping[str, object] = field(default_factory=dict)
    postal_code: str = "10117"
    people: Deed = _nothing
    arrives: int = 0
    refunds: int = 0
    disputed: bool = False
    credit: int = 0


DELIVERED = Scenario("delivered")
DECLINED = Scenario("declined", OrderStatus.FAILED, fields={"payment_method": "pm_card_chargeDeclined"})
_SECURE = {"payment_method": "pm_card_threeDSecure2Required"}
AT_THE_BANK = Scenario("confirmed at the bank", fields=_SECURE, people=lambda play: play.go_to_the_bank())
NEVER_AT_THE_BANK = Scenario("never at the bank", OrderStatus.FAILED, fields={**_SECURE, "authentication_seconds": 1})
TAKEN_IN_PART = Scenario(
    "taken in part",
    units=3,
    there=2,
    fields={"on_shortage": OnShortage.ASK},
    people=lambda play: play.take_what_there_is(),
)
# The carrier moves no parcel to this postal code by itself, so it can always be called back.
CALLED_BACK = Scenario(
    "called back", OrderStatus.CANCELLED, postal_code="11111", people=lambda play: play.call_back_when_booked()
)
BACKORDERED = Scenario("backordered", there=0, arrives=1, people=lambda play: play.deliver_the_goods())
DISPUTED = Scenario("disputed", disputed=True, people=lambda play: play.answer_and_give_in())
REFUNDED = Scenario("refunded", refunds=700, people=lambda play: play.refund())
PENDING_REFUND = Scenario(
    "refunded by a slow bank",
    fields={"payment_method": "pm_card_pendingRefund"},
    refunds=700,
    people=lambda play: play.refund(),
)
# Less than the order costs, so that the card pays the rest.
_WITH_CREDIT = {"use_store_credit": True}
PAID_WITH_CREDIT = Scenario("paid with store credit", fields=_WITH_CREDIT, credit=900)
CREDIT_BACK = Scenario(
    "called back, with store credit",
    OrderStatus.CANCELLED,
    fields=_WITH_CREDIT,
    credit=900,
    postal_code="11111",
    people=lambda play: play.call_back_when_booked(),
)

# What an order that goes well does not need; every other activity is met on the way to a delivered one.
_LEADS_TO: Mapping[str, Scenario] = {
    "record_decline": DECLINED,
    "look_at_payment": AT_THE_BANK,
    "abandon_payment": NEVER_AT_THE_BANK,
    "take_available": TAKEN_IN_PART,
    "void_payment": CALLED_BACK,
    "release_stock": CALLED_BACK,
    "cancel_shipment": CALLED_BACK,
    "look_for_goods": BACKORDERED,
    "hold_credit": PAID_WITH_CREDIT,
    "capture_credit": PAID_WITH_CREDIT,
    "release_credit": CREDIT_BACK,
    "open_refund": REFUNDED,
    "refund_payment": REFUNDED,
    "look_at_refund": PENDING_REFUND,
    "settle_refund": REFUNDED,
    "look_at_dispute": DISPUTED,
    "record_dispute": DISPUTED,
    "submit_evidence": DISPUTED,
    "accept_dispute": DISPUTED,
    "note_dispute_action": DISPUTED,
}
NOT_OF_AN_ORDER = {
    "expire_reservations": "a schedule's, of all orders at once",
    "reconcile_stock": "a schedule's, of all stock at once",
    "reconcile_payments": "a schedule's, of all payments at once",
    "finish_reconciliation": "a schedule's, of all payments at once",
    "examine_payments": "of money that is nobody's; tests/workflows/test_late_money.py",
    "catch_up_ledger": "of money that is nobody's; tests/workflows/test_late_money.py",
    "close_returned": "of money that is nobody's; tests/workflows/test_late_money.py",
    "correct_payment_status": "an operator's repair; tests/workflows/test_payment_reconciliation.py",
    "decide_difference": "an operator's repair; tests/workflows/test_payment_reconciliation.py",
    "settle_difference": "an operator's repair; tests/workflows/test_payment_reconciliation.py",
    "extend_reservation": "after a day; tests/workflows/test_stock.py skips there",
}


class Course(StrEnum):
    """What the customer does while it goes wrong."""

    GOES_ON = "goes on"
    CANCELLED = "is cancelled"


@dataclass(frozen=True)
class Cell:
    """One fault at one activity of one order."""

    fault: Fault
    course: Course
    scenario: Scenario


def cells(activities: list[str]) -> list[Cell]:
    """Every activity of an order × every fault × both courses."""
    mine = [name for name in activities if name not in NOT_OF_AN_ORDER]
    return [
        Cell(Fault(name, kind), course, _LEADS_TO.get(name, DELIVERED))
        for name, kind, course in product(mine, Kind, Course)
    ]
