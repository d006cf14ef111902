"""What the carrier adapter makes of every status of every operation, of answers it cannot use, and of being asked."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import httpx2
import pytest

from adapters.carrier import Carrier
from adapters.settings import Settings
from domain.fulfilment import ParcelStatus, parcel_reference
from domain.outside_errors import CarrierKeyRefused, CarrierUnavailable, Misuse
from domain.shipping import SHIPPING_METHODS
from schemas.fulfilment import BookShipment
from tests.adapters.test_carrier import booking, cancellation

OUTAGE, KEY_REFUSED, MISTAKE = CarrierUnavailable, CarrierKeyRefused, Misuse
ANYTHING = "a_code_nobody_knows"
Arm = Callable[..., None]
Advance = Callable[..., None]


@pytest.fixture
def carrier(settings: Settings) -> Iterator[Carrier]:
    carrier = Carrier(settings)
    yield carrier
    carrier.close()


@pytest.fixture
def arm(settings: Settings) -> Iterator[Arm]:
    address = f"{settings.carrier_api_base}/_control/faults"

    def one(kind: str, operation: str, **more: object) -> None:
        httpx2.post(address, json={"kind": kind, "match": {"operation": operation}, **more}).raise_for_status()

    yield one
    httpx2.delete(address)


@pytest.fixture
def advance(settings: Settings) -> Advance:
    def move(shipment_id: str | None, to: str) -> None:
        address = f"{settings.carrier_api_base}/_control/shipments/{shipment_id}/advance"
        httpx2.post(address, json={"to": to, "silent": True}).raise_for_status()

    return move


def reference_of(command: BookShipment) -> str:
    return parcel_reference(command.order_id, command.parcel.number)


def call(carrier: Carrier, operation: str, command: BookShipment) -> object:
    """The operation for a parcel that is booked already, so that each could succeed."""
    shipment_id = carrier.book(command).shipment_id if operation == "cancel" else None
    if operation in ("rates", "book"):
        return carrier.book(command)
    return carrier.cancel(cancellation(shipment_id)) if shipment_id else carrier.retrieve(reference_of(command))


@pytest.mark.parametrize("operation", ["rates", "book", "cancel", "find"])
@pytest.mark.parametrize(
    ("status", "code", "meaning"),
    [
        (400, ANYTHING, MISTAKE),
        (401, ANYTHING, KEY_REFUSED),
        (403, ANYTHING, KEY_REFUSED),
        (404, None, OUTAGE),
        (404, ANYTHING, OUTAGE),
        (408, ANYTHING, OUTAGE),
        (409, "request_in_progress", OUTAGE),
        (409, "idempotency_key_in_use", OUTAGE),
        (422, ANYTHING, MISTAKE),
        (422, "idempotency_key_reused", MISTAKE),
        (425, ANYTHING, OUTAGE),
        (429, ANYTHING, OUTAGE),
        (500, ANYTHING, OUTAGE),
    ],
)
def test_what_an_error_means(
    *, carrier: Carrier, arm: Arm, operation: str, status: int, code: str | None, meaning: type[Exception]
) -> None:
    arm(str(status), operation, code=code)
    with pytest.raises(meaning) as raised:
        call(carrier, operation, booking())
    assert type(raised.value) is meaning
    if meaning is MISTAKE:
        assert getattr(raised.value, "code", None) == code


def test_only_a_known_code_refuses_a_booking(carrier: Carrier, arm: Arm) -> None:
    for operation in ("rates", "book"):
        arm("422", operation, code="address_undeliverable")
        assert not carrier.book(booking()).accepted
    arm("409", "book", code=ANYTHING)
    with pytest.raises(Misuse):
        carrier.book(booking())


@pytest.mark.parametrize("code", ["already_dispatched", ANYTHING])
def test_any_conflict_but_a_running_request_is_too_late_to_cancel(carrier: Carrier, arm: Arm, code: str) -> None:
    shipment_id = carrier.book(booking()).shipment_id
    arm("409", "cancel", code=code)
    assert not carrier.cancel(cancellation(shipment_id)).cancelled


@pytest.mark.parametrize("code", ["rate_expired", "idempotency_key_reused"])
def test_a_rate_that_expired_is_asked_for_again_and_an_unknown_key_is_a_mistake(
    carrier: Carrier, arm: Arm, code: str
) -> None:
    command = booking()
    arm("422", "book", code=code)
    with pytest.raises(OUTAGE if code == "rate_expired" else MISTAKE):
        carrier.book(command)
    assert carrier.book(command).accepted


@pytest.mark.parametrize(
    ("kind", "field"),
    [("malformed", "id"), *(("lacking", field) for field in ("id", "service", "amount", "currency"))]
    + [("too_long", field) for field in ("id", "amount", "currency")],
)
def test_rates_that_cannot_be_read_are_an_outage(carrier: Carrier, arm: Arm, kind: str, field: str) -> None:
    command = booking()
    arm(kind, "rates", field=field)
    with pytest.raises(CarrierUnavailable, match="cannot be read"):
        carrier.book(command)
    assert carrier.book(command).accepted


@pytest.mark.parametrize("operation", ["book", "find"])
@pytest.mark.parametrize(
    ("kind", "field"), [("malformed", "id"), ("lacking", "id"), ("too_long", "id"), ("lacking", "status")]
)
def test_an_answer_that_cannot_be_used_is_an_outage(
    *, carrier: Carrier, arm: Arm, operation: str, kind: str, field: str
) -> None:
    command = booking()
    if operation == "find":
        carrier.book(command)
    arm(kind, operation, field=field)
    if (operation, field) == ("book", "status"):
        assert carrier.book(command).accepted  # a booking needs no status
        return
    with pytest.raises(CarrierUnavailable, match="cannot be read"):
        call(carrier, operation, command)
    assert call(carrier, operation, command)


@pytest.mark.parametrize("kind", ["lacking", "too_long"])
@pytest.mark.parametrize("field", ["tracking_number", "tracking_url", "label_url", "rate"])
def test_what_is_only_shown_and_does_not_fit_is_left_out(carrier: Carrier, arm: Arm, kind: str, field: str) -> None:
    arm(kind, "book", field=field)
    booked = carrier.book(booking())
    assert booked.accepted
    assert getattr(booked, "cost" if field == "rate" else field) is None
    assert booked.tracking_number or booked.tracking_url


def test_texts_are_cut_to_their_columns(carrier: Carrier, arm: Arm) -> None:
    command = booking()
    carrier.book(command)
    arm("too_long", "find", field="location")
    state = carrier.retrieve(reference_of(command))
    assert state is not None
    assert state.location == "x" * 500
    arm("400", "book", code="c" * 200)
    with pytest.raises(Misuse) as mistake:
        carrier.book(booking())
    assert mistake.value.code == "c" * 64


def test_a_parcel_is_found_by_our_reference(carrier: Carrier, advance: Advance) -> None:
    command = booking()
    assert carrier.retrieve(reference_of(command)) is None
    booked = carrier.book(command)
    state = carrier.retrieve(reference_of(command))
    assert state is not None
    assert (state.shipment_id, state.tracking_number) == (booked.shipment_id, booked.tracking_number)
    assert state.status is ParcelStatus.BOOKED
    advance(booked.shipment_id, "out_for_delivery")
    moved = carrier.retrieve(reference_of(command))
    assert moved is not None
    assert (moved.status, moved.location) == (ParcelStatus.OUT_FOR_DELIVERY, "Delivery depot")
    assert moved.occurred_at is not None
    assert datetime.now(UTC) - moved.occurred_at < timedelta(minutes=5)


def test_of_several_shipments_the_one_that_is_not_cancelled_counts(carrier: Carrier) -> None:
    command = booking()
    first = carrier.book(command)
    carrier.cancel(cancellation(first.shipment_id))
    cancelled = carrier.retrieve(reference_of(command))
    assert cancelled is not None
    assert cancelled.status is ParcelStatus.CANCELLED
    again = carrier.book(command.model_copy(update={"idempotency_key": f"{command.idempotency_key}-2"}))
    found = carrier.retrieve(reference_of(command))
    assert found is not None
    assert found.shipment_id == again.shipment_id


@pytest.mark.parametrize("status", ["returned", "lost"])
def test_a_parcel_that_never_arrives_is_found_as_such(carrier: Carrier, advance: Advance, status: str) -> None:
    command = booking()
    advance(carrier.book(command).shipment_id, status)
    state = carrier.retrieve(reference_of(command))
    assert state is not None
    assert state.status is ParcelStatus(status)


@pytest.mark.parametrize("method", sorted(SHIPPING_METHODS))
def test_the_carrier_takes_every_shipping_method_that_is_sold(carrier: Carrier, method: str) -> None:
    assert carrier.book(booking(shipping_method=method)).accepted
