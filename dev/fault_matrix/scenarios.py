"""The ways an order can go, and which of them leads to which activity."""

from collections.abc import Mapping
from itertools import product

from dev.carrier_simulator.wire import WAITING_POSTAL_CODE
from dev.fault_matrix import actions, addresses, picking
from dev.fault_matrix.cells import Cell, Course, Scenario, Target
from dev.fault_matrix.failed_deliveries import lose_and_refund, lose_and_ship_again
from dev.fault_matrix.faults import CARRIER_OPERATIONS, RETRIED, CarrierAnswer, Fault, Kind
from dev.shop import PICKING
from domain.orders import OrderStatus
from schemas.checkout import OnShortage

DELIVERED = Scenario("delivered")
DECLINED = Scenario("declined", OrderStatus.FAILED, fields={"payment_method": "pm_card_chargeDeclined"})
_SECURE = {"payment_method": "pm_card_threeDSecure2Required"}
AUTHENTICATED = Scenario("authenticated", fields=_SECURE, action=actions.authenticate)
NEVER_AUTHENTICATED = Scenario(
    "never authenticated", OrderStatus.FAILED, fields={**_SECURE, "authentication_seconds": 1}
)
PARTLY_AVAILABLE = Scenario(
    "partly available",
    units=3,
    in_stock=2,
    fields={"on_shortage": OnShortage.ASK},
    action=actions.take_available,
)
# The carrier moves no parcel to this postal code by itself, so its shipment can always be cancelled.
PARCEL_CANCELLED = Scenario(
    "parcel cancelled", OrderStatus.CANCELLED, postal_code=WAITING_POSTAL_CODE, action=actions.cancel_when_booked
)
UNIT_CANCELLED = Scenario(
    "one of its units cancelled", units=3, postal_code=WAITING_POSTAL_CODE, action=actions.cancel_a_unit
)
SHORT_PICKED = Scenario(
    "one of its units missing",
    units=3,
    warehouse=PICKING,
    postal_code=WAITING_POSTAL_CODE,
    action=picking.pick_all_but_one,
)
# The events of all its moves are lost: only who asks the carrier learns of them.
CANCELLED_TOO_LATE = Scenario(
    "cancelled too late", postal_code=WAITING_POSTAL_CODE, action=actions.cancel_when_delivered_unseen
)
PARCEL_DIED = Scenario(
    "parcel's workflow died", OrderStatus.FAILED, postal_code=WAITING_POSTAL_CODE, action=actions.terminate_when_booked
)
PARCEL_DIED_LATE = Scenario(
    "parcel's workflow died on its way", postal_code=WAITING_POSTAL_CODE, action=actions.terminate_when_dispatched
)
PAYMENT_DIED = Scenario(
    "payment's workflow died",
    OrderStatus.FAILED,
    postal_code=WAITING_POSTAL_CODE,
    action=actions.terminate_payment,
    retried=True,
)
BACKORDERED = Scenario("backordered", in_stock=0, receives=1, action=actions.receive_goods)
# From where tax is higher, so that less is captured than was authorized.
ADDRESS_CHANGED = Scenario("address changed", in_stock=0, receives=1, country="DK", action=addresses.move_to_germany)
DEARER_ADDRESS = Scenario("dearer address", in_stock=0, receives=1, action=addresses.move_to_denmark)
_FOLLOW_UP = Target.FOLLOW_UP
DISPUTED = Scenario("disputed", target=_FOLLOW_UP, action=actions.dispute_and_accept)
REFUNDED = Scenario("refunded", refunds=700, target=_FOLLOW_UP, action=actions.refund)
PENDING_REFUND = Scenario(
    "refunded by a slow bank",
    fields={"payment_method": "pm_card_pendingRefund"},
    refunds=700,
    target=_FOLLOW_UP,
    action=actions.refund,
)
# Less than the order costs, so that the card pays the rest.
_WITH_CREDIT = {"use_store_credit": True}
PAID_WITH_CREDIT = Scenario("paid with store credit", fields=_WITH_CREDIT, credit=900)
CREDIT_VOIDED = Scenario(
    "parcel cancelled, with store credit",
    OrderStatus.CANCELLED,
    fields=_WITH_CREDIT,
    credit=900,
    postal_code=WAITING_POSTAL_CODE,
    action=actions.cancel_when_booked,
)

LONG_BACKORDERED = Scenario("backordered for long", in_stock=0, receives=1, action=actions.receive_goods_late)
# The payment method of a backordered order is kept, so that the payment can be reauthorized.
REAUTHORIZED = Scenario(
    "reauthorized",
    in_stock=0,
    receives=1,
    fields={"authorization_seconds": 7 * 86_400},
    action=actions.receive_goods_after_expiry,
)
ORPHANED_PAYMENT = Scenario(
    "orphaned payment",
    OrderStatus.CANCELLED,
    fields={**_SECURE, "authentication_seconds": 600},
    target=Target.LATE_EVENT,
    action=actions.cancel_and_pay_anyway,
)
FAILED_REFUND = Scenario(
    "refunded again after a failed refund",
    refunds=700,
    target=Target.LATE_EVENT,
    action=actions.refund_again_after_failure,
)
# All of the order: one unit, shipping and tax.
LOST = Scenario(
    "lost and refunded",
    OrderStatus.FAILED,
    postal_code=WAITING_POSTAL_CODE,
    refunds=2903,
    target=Target.LATE_EVENT,
    action=lose_and_refund,
)
SHIPPED_AGAIN = Scenario(
    "lost and shipped again",
    postal_code=WAITING_POSTAL_CODE,
    target=Target.LATE_EVENT,
    action=lose_and_ship_again,
)
REFUNDED_AT_DASHBOARD = Scenario(
    "refunded at the dashboard", refunds=700, target=_FOLLOW_UP, action=actions.refund_at_dashboard
)
WRONG_STATUS = Scenario("with a wrong payment status", target=_FOLLOW_UP, action=actions.corrupt_payment_status)

# Activities that an order without trouble does not need; a delivered order reaches every other one.
_LEADS_TO: Mapping[str, Scenario] = {
    "record_decline": DECLINED,
    "retrieve_payment": AUTHENTICATED,
    "abandon_payment": NEVER_AUTHENTICATED,
    "take_available": PARTLY_AVAILABLE,
    "void_payment": PARCEL_CANCELLED,
    "release_stock": PARCEL_CANCELLED,
    "cancel_shipment": PARCEL_CANCELLED,
    "retrieve_shipment": CANCELLED_TOO_LATE,
    "read_parcel": PARCEL_DIED,
    "reduce_parcel": UNIT_CANCELLED,
    "record_pick": SHORT_PICKED,
    "record_operator_tasks": DISPUTED,
    "check_allocation": BACKORDERED,
    "change_address": ADDRESS_CHANGED,
    "authorize_credit": PAID_WITH_CREDIT,
    "capture_credit": PAID_WITH_CREDIT,
    "void_credit": CREDIT_VOIDED,
    "open_refund": REFUNDED,
    "refund_payment": REFUNDED,
    "retrieve_refund": PENDING_REFUND,
    "settle_refund": REFUNDED,
    "reverse_refund": FAILED_REFUND,
    "open_resolution": LOST,
    "close_resolution": LOST,
    "replace_parcel": SHIPPED_AGAIN,
    "retrieve_dispute": DISPUTED,
    "record_dispute": DISPUTED,
    "submit_evidence": DISPUTED,
    "accept_dispute": DISPUTED,
    "note_dispute_action": DISPUTED,
    "extend_reservation": LONG_BACKORDERED,
    "examine_payments": ORPHANED_PAYMENT,
    "catch_up_ledger": ORPHANED_PAYMENT,
    "close_returned": ORPHANED_PAYMENT,
    "decide_difference": REFUNDED_AT_DASHBOARD,
    "settle_difference": REFUNDED_AT_DASHBOARD,
    "correct_payment_status": WRONG_STATUS,
}
# Where an order reaches an activity more than once, these strike another of its calls: the one whose command has an
# idempotency key that ends so, or that of another kind of order.
_OTHER_CALLS = (
    ("authorize_payment", "reauthorize-1", REAUTHORIZED),
    ("authorize_payment", "address-1", DEARER_ADDRESS),
    ("void_payment", "address-1:void", DEARER_ADDRESS),
    ("record_payment", "capture-1:expired", REAUTHORIZED),
    ("capture_payment", "capture-1:reauthorize-1", REAUTHORIZED),
    ("void_payment", "", ORPHANED_PAYMENT),
    ("examine_payments", "", PAYMENT_DIED),
    ("cancel_shipment", "", CANCELLED_TOO_LATE),
    ("reduce_parcel", "", SHORT_PICKED),
    ("retrieve_shipment", "", PARCEL_DIED_LATE),
    ("catch_up_ledger", "", REFUNDED_AT_DASHBOARD),
)
# The outside systems that these call know nothing of our columns.
_CALL_OUTSIDE = frozenset(
    {
        "authorize_payment",
        "retrieve_payment",
        "abandon_payment",
        "capture_payment",
        "void_payment",
        "book_shipment",
        "cancel_shipment",
        "retrieve_shipment",
    }
)
EXCLUDED = {
    "expire_reservations": "scheduled, for all orders at once",
    "reconcile_stock": "scheduled, for all stock at once",
    "reconcile_payments": "scheduled, for all payments at once",
    "finish_reconciliation": "scheduled, for all payments at once",
    "sweep_orders": "scheduled, for all orders at once",
    "watch_orders": "scheduled, for all orders at once: tests/workflows/test_watchdog.py",
    "decide_overdue": "the same",
    "read_retention": "scheduled, for all data at once: tests/workflows/test_retention.py",
    "purge_rows": "the same",
    "record_schedule_run": "of scheduled workflows alone: tests/workflows/test_schedule_runs.py",
    "adopt_order": "for orders without a workflow: tests/workflows/test_adoption.py",
    "is_running": "the same",
    "withdraw_resolution": "for refunds that are refused: tests/workflows/test_failed_deliveries.py",
}


def cells(activities: list[str]) -> list[Cell]:
    """Every activity of an order × every fault × both courses; some of them at another of its calls as well.

    And every answer of the carrier to every command. Only the workflow of an order that runs can be terminated, and
    only its own steps on our stores meet an error of its own data.
    """
    names = [name for name in dict.fromkeys(activities) if name not in EXCLUDED]
    calls = [(name, "", _LEADS_TO.get(name, DELIVERED)) for name in names]
    running = [call for call in [*calls, *_OTHER_CALLS] if call[2].target is Target.ORDER]
    on_stores = [call for call in calls if call in running and call[0] not in _CALL_OUTSIDE]
    of_the_carrier = [
        (name, operation, scenario) for name, _, scenario in calls for operation in CARRIER_OPERATIONS.get(name, ())
    ]
    faults: list[tuple[tuple[str, str, Scenario], Kind | CarrierAnswer]] = [
        *product([*calls, *_OTHER_CALLS], RETRIED),
        *product(on_stores, [Kind.INVALID_DATA]),
        *product(running, [Kind.ORDER_TERMINATED]),
        *product(of_the_carrier, CarrierAnswer),
    ]
    return [
        Cell(Fault(name, kind, step), course, scenario)
        for ((name, step, scenario), kind), course in product(faults, Course)
    ]
