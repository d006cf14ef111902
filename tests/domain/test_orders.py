"""The life of an order: one table of moves, and statuses derived from parcels and money."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import IllegalMove
from domain.fulfilment import ParcelStatus
from domain.orders import (
    ALLOWED_MOVES,
    FINAL_STATUSES,
    FulfilmentStatus,
    OrderStatus,
    PaymentStatus,
    check_move,
    fulfilment_status,
    payment_status,
    status_after_parcels,
    status_after_replacement,
)

P = ParcelStatus


def test_every_status_is_in_the_table() -> None:
    assert set(ALLOWED_MOVES) == set(OrderStatus)


def test_a_final_status_is_left_by_what_was_never_paid_for_or_is_shipped_again() -> None:
    left_for: dict[OrderStatus, set[OrderStatus]] = {
        # What was delivered and could not be captured is not over: it needs an operator.
        OrderStatus.DELIVERED: {OrderStatus.COMPENSATION_BLOCKED},
        OrderStatus.FAILED: {OrderStatus.DELIVERED},
    }
    for status in FINAL_STATUSES:
        assert ALLOWED_MOVES[status] == left_for.get(status, set())


@pytest.mark.parametrize("parcel", P)
def test_only_a_replacement_that_is_delivered_moves_an_order_that_has_failed(parcel: ParcelStatus) -> None:
    after = OrderStatus.DELIVERED if parcel is P.DELIVERED else OrderStatus.FAILED
    assert status_after_replacement(OrderStatus.FAILED, parcel, [P.LOST]) is after
    assert status_after_parcels(OrderStatus.FAILED, [P.LOST, parcel]) is OrderStatus.FAILED
    assert status_after_replacement(OrderStatus.CANCELLED, parcel, [parcel]) is OrderStatus.CANCELLED


def test_an_illegal_move_is_refused_with_a_sentence() -> None:
    with pytest.raises(IllegalMove, match="An order that is delivered cannot become pending"):
        check_move(OrderStatus.DELIVERED, OrderStatus.PENDING)


@pytest.mark.parametrize(
    ("sums", "status"),
    [
        ((0, 0, 0, 0), PaymentStatus.NOT_PAID),
        ((100, 0, 0, 0), PaymentStatus.AUTHORIZED),
        ((100, 0, 0, 100), PaymentStatus.VOIDED),
        ((100, 60, 0, 0), PaymentStatus.PARTIALLY_CAPTURED),
        ((100, 60, 0, 40), PaymentStatus.CAPTURED),
        ((100, 100, 0, 0), PaymentStatus.CAPTURED),
        ((100, 100, 30, 0), PaymentStatus.PARTIALLY_REFUNDED),
        ((100, 100, 100, 0), PaymentStatus.REFUNDED),
        ((100, 60, 60, 0), PaymentStatus.PARTIALLY_REFUNDED),
        ((100, 60, 60, 40), PaymentStatus.REFUNDED),
        ((100, 60, 20, 40), PaymentStatus.PARTIALLY_REFUNDED),
    ],
)
def test_payment_status_follows_the_ledger(sums: tuple[int, int, int, int], status: PaymentStatus) -> None:
    assert payment_status(*sums) is status


EFFECTS = st.lists(st.tuples(st.sampled_from(["authorized", "captured", "voided", "refunded"]), st.integers(1, 100)))


@given(EFFECTS)
def test_payment_status_says_what_is_held_and_what_is_kept(effects: list[tuple[str, int]]) -> None:
    sums = dict.fromkeys(("authorized", "captured", "refunded", "voided"), 0)
    for effect, amount in effects:
        held, kept = sums["authorized"] - sums["captured"] - sums["voided"], sums["captured"] - sums["refunded"]
        sums[effect] += min(amount, {"authorized": amount, "captured": held, "voided": held, "refunded": kept}[effect])
    held, kept = sums["authorized"] - sums["captured"] - sums["voided"], sums["captured"] - sums["refunded"]
    moved = (bool(sums["captured"]), bool(sums["refunded"]), held > 0, kept > 0)
    assert (
        payment_status(**sums)
        is {
            # captured, refunded, held, kept
            (False, False, False, False): PaymentStatus.VOIDED if sums["authorized"] else PaymentStatus.NOT_PAID,
            (False, False, True, False): PaymentStatus.AUTHORIZED,
            (True, False, True, True): PaymentStatus.PARTIALLY_CAPTURED,
            (True, False, False, True): PaymentStatus.CAPTURED,
            (True, True, True, True): PaymentStatus.PARTIALLY_REFUNDED,
            (True, True, True, False): PaymentStatus.PARTIALLY_REFUNDED,
            (True, True, False, True): PaymentStatus.PARTIALLY_REFUNDED,
            (True, True, False, False): PaymentStatus.REFUNDED,
        }[moved]
    )


@pytest.mark.parametrize(
    ("parcels", "status"),
    [
        ([P.PLANNED, P.BOOKED], FulfilmentStatus.UNFULFILLED),
        ([P.DISPATCHED, P.BOOKED], FulfilmentStatus.PARTIALLY_SHIPPED),
        ([P.DISPATCHED, P.IN_TRANSIT], FulfilmentStatus.SHIPPED),
        ([P.DELIVERED, P.BOOKED], FulfilmentStatus.PARTIALLY_DELIVERED),
        ([P.DELIVERED, P.DELIVERED], FulfilmentStatus.DELIVERED),
        ([P.DELIVERED, P.CANCELLED], FulfilmentStatus.DELIVERED),
        ([P.REFUSED], FulfilmentStatus.UNFULFILLED),
    ],
)
def test_fulfilment_status_follows_the_parcels(parcels: list[ParcelStatus], status: FulfilmentStatus) -> None:
    assert fulfilment_status(parcels) is status


@given(st.sampled_from(list(OrderStatus)), st.lists(st.sampled_from(list(ParcelStatus)), min_size=1, max_size=4))
def test_parcels_never_ask_for_an_illegal_move(current: OrderStatus, parcels: list[ParcelStatus]) -> None:
    if current is OrderStatus.CONFIRMED:  # its parcels are booked, which makes it processing, before they move
        current = status_after_parcels(current, [P.BOOKED])
        check_move(OrderStatus.CONFIRMED, current)
    check_move(current, status_after_parcels(current, parcels))


def test_an_order_being_compensated_is_not_moved_by_its_parcels() -> None:
    for current, parcel in product([OrderStatus.CANCELLING, OrderStatus.FAILED], ParcelStatus):
        assert status_after_parcels(current, [parcel]) is current


@pytest.mark.parametrize(
    ("parcels", "status", "order"),
    [
        ([P.RETURNED], FulfilmentStatus.RETURNED, OrderStatus.SHIPPED),
        ([P.RETURNED, P.LOST, P.CANCELLED], FulfilmentStatus.RETURNED, OrderStatus.SHIPPED),
        ([P.LOST], FulfilmentStatus.SHIPPED, OrderStatus.SHIPPED),
        ([P.RETURNED, P.IN_TRANSIT], FulfilmentStatus.SHIPPED, OrderStatus.SHIPPED),
        ([P.RETURNED, P.BOOKED], FulfilmentStatus.PARTIALLY_SHIPPED, OrderStatus.SHIPPED),
        ([P.RETURNED, P.DELIVERED], FulfilmentStatus.PARTIALLY_DELIVERED, OrderStatus.DELIVERED),
        ([P.IN_TRANSIT, P.DELIVERED], FulfilmentStatus.PARTIALLY_DELIVERED, OrderStatus.SHIPPED),
        ([P.LOST, P.DELIVERED, P.CANCELLED], FulfilmentStatus.PARTIALLY_DELIVERED, OrderStatus.DELIVERED),
    ],
)
def test_what_came_back_or_was_lost_is_not_delivered(
    parcels: list[P], status: FulfilmentStatus, order: OrderStatus
) -> None:
    assert fulfilment_status(parcels) is status
    assert status_after_parcels(OrderStatus.SHIPPED, parcels) is order
