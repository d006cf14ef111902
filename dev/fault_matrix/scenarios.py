"""The ways an order can go, and which of them leads to which activity."""

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import product
from typing import TYPE_CHECKING

from dev.carrier_simulator.wire import WAITING_POSTAL_CODE
from dev.fault_matrix import people
from dev.fault_matrix.faults import Fault, Kind
from domain.orders import OrderStatus
from schemas.checkout import OnShortage

if TYPE_CHECKING:
    from dev.fault_matrix.play import Play

Deed = Callable[["Play"], Coroutine[None, None, None]]


class Strikes(StrEnum):
    """What the fault meets: the id of its workflow is known by this."""

    THE_ORDER = "the order"
    WHAT_FOLLOWS = "what is begun when the order has ended"
    THE_PAYMENT = "what is begun about its payment when the order has ended"


@dataclass(frozen=True)
class Scenario:
    """How the order is placed, what people do about it, and how it ends when nobody cancels it."""

    name: str
    ends: OrderStatus = OrderStatus.DELIVERED
    units: int = 1
    there: int = 5
    fields: Mapping[str, object] = field(default_factory=dict)
    postal_code: str = "10117"
    people: Deed = people.nothing
    arrives: int = 0
    refunds: int = 0
    strikes: Strikes = Strikes.THE_ORDER
    credit: int = 0


DELIVERED = Scenario("delivered")
DECLINED = Scenario("declined", OrderStatus.FAILED, fields={"payment_method": "pm_card_chargeDeclined"})
_SECURE = {"payment_method": "pm_card_threeDSecure2Required"}
AT_THE_BANK = Scenario("confirmed at the bank", fields=_SECURE, people=people.go_to_the_bank)
NEVER_AT_THE_BANK = Scenario("never at the bank", OrderStatus.FAILED, fields={**_SECURE, "authentication_seconds": 1})
TAKEN_IN_PART = Scenario(
    "taken in part",
    units=3,
    there=2,
    fields={"on_shortage": OnShortage.ASK},
    people=people.take_what_there_is,
)
# The carrier moves no parcel to this postal code by itself, so it can always be called back.
CALLED_BACK = Scenario(
    "called back", OrderStatus.CANCELLED, postal_code=WAITING_POSTAL_CODE, people=people.call_back_when_booked
)
BACKORDERED = Scenario("backordered", there=0, arrives=1, people=people.deliver_the_goods)
_LATER = Strikes.WHAT_FOLLOWS
DISPUTED = Scenario("disputed", strikes=_LATER, people=people.answer_and_give_in)
REFUNDED = Scenario("refunded", refunds=700, strikes=_LATER, people=people.refund)
PENDING_REFUND = Scenario(
    "refunded by a slow bank",
    fields={"payment_method": "pm_card_pendingRefund"},
    refunds=700,
    strikes=_LATER,
    people=people.refund,
)
# Less than the order costs, so that the card pays the rest.
_WITH_CREDIT = {"use_store_credit": True}
PAID_WITH_CREDIT = Scenario("paid with store credit", fields=_WITH_CREDIT, credit=900)
CREDIT_BACK = Scenario(
    "called back, with store credit",
    OrderStatus.CANCELLED,
    fields=_WITH_CREDIT,
    credit=900,
    postal_code=WAITING_POSTAL_CODE,
    people=people.call_back_when_booked,
)

WAITED_FOR = Scenario("backordered for long", there=0, arrives=1, people=people.deliver_late)
# Goods that have yet to arrive are a reason to keep the method, so that the money can be held anew.
HELD_ANEW = Scenario(
    "held anew",
    there=0,
    arrives=1,
    fields={"authorization_seconds": 7 * 86_400},
    people=people.deliver_when_the_hold_has_ended,
)
PAID_TOO_LATE = Scenario(
    "paid too late",
    OrderStatus.CANCELLED,
    fields={**_SECURE, "authentication_seconds": 600},
    strikes=Strikes.THE_PAYMENT,
    people=people.cancel_and_pay_all_the_same,
)
REFUND_THAT_COMES_BACK = Scenario(
    "refunded twice, for the first came back",
    refunds=700,
    strikes=Strikes.THE_PAYMENT,
    people=people.refund_again_when_it_comes_back,
)
REFUNDED_ELSEWHERE = Scenario(
    "refunded at the dashboard", refunds=700, strikes=_LATER, people=people.refund_at_the_dashboard
)
WRONG_STATUS = Scenario("of a wrong status", strikes=_LATER, people=people.show_a_wrong_status)

# What an order that goes well does not need; every other activity is met on the way to a delivered one.
_LEADS_TO: Mapping[str, Scenario] = {
    "record_decline": DECLINED,
    "retrieve_payment": AT_THE_BANK,
    "abandon_payment": NEVER_AT_THE_BANK,
    "take_available": TAKEN_IN_PART,
    "void_payment": CALLED_BACK,
    "release_stock": CALLED_BACK,
    "cancel_shipment": CALLED_BACK,
    "check_allocation": BACKORDERED,
    "authorize_credit": PAID_WITH_CREDIT,
    "capture_credit": PAID_WITH_CREDIT,
    "void_credit": CREDIT_BACK,
    "open_refund": REFUNDED,
    "refund_payment": REFUNDED,
    "retrieve_refund": PENDING_REFUND,
    "settle_refund": REFUNDED,
    "reverse_refund": REFUND_THAT_COMES_BACK,
    "retrieve_dispute": DISPUTED,
    "record_dispute": DISPUTED,
    "submit_evidence": DISPUTED,
    "accept_dispute": DISPUTED,
    "note_dispute_action": DISPUTED,
    "extend_reservation": WAITED_FOR,
    "examine_payments": PAID_TOO_LATE,
    "catch_up_ledger": PAID_TOO_LATE,
    "close_returned": PAID_TOO_LATE,
    "decide_difference": REFUNDED_ELSEWHERE,
    "settle_difference": REFUNDED_ELSEWHERE,
    "correct_payment_status": WRONG_STATUS,
}
# Where an order meets an activity more than once, these strike another of its calls, told by what the idempotency key
# of its command ends in, or by another kind of order.
_AGAIN = (
    ("authorize_payment", "reauthorize-1", HELD_ANEW),
    ("record_payment", "capture-1:expired", HELD_ANEW),
    ("capture_payment", "capture-1:reauthorize-1", HELD_ANEW),
    ("void_payment", "", PAID_TOO_LATE),
    ("catch_up_ledger", "", REFUNDED_ELSEWHERE),
)
NOT_OF_AN_ORDER = {
    "expire_reservations": "a schedule's, of all orders at once",
    "reconcile_stock": "a schedule's, of all stock at once",
    "reconcile_payments": "a schedule's, of all payments at once",
    "finish_reconciliation": "a schedule's, of all payments at once",
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
    """Every activity of an order × every fault × both courses; some of them at another of its calls as well."""
    mine = [(name, "", _LEADS_TO.get(name, DELIVERED)) for name in activities if name not in NOT_OF_AN_ORDER]
    return [
        Cell(Fault(name, kind, step), course, scenario)
        for (name, step, scenario), kind, course in product([*mine, *_AGAIN], Kind, Course)
    ]
