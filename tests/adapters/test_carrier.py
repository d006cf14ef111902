"""What the carrier adapter makes of each answer."""

from collections.abc import Callable, Iterator

import httpx2
import pytest
import uuid_utils

from adapters.carrier import OF_A_COMMAND, OF_A_QUESTION, Carrier
from adapters.settings import Settings
from domain.fulfilment import parcel_of_reference, parcel_reference
from domain.outside_errors import CarrierKeyRefused, CarrierUnavailable, Misuse
from schemas.base import Address, Money
from schemas.fulfilment import BookShipment, CancelShipment
from schemas.parcels import ParcelLine, ParcelPlan
from tests.fixture_types import Json
from workflows.options import CARRIER

WAITING, UNDELIVERABLE, EXPRESS_ALONE = "11111", "00000", "22222"
SetFault = Callable[..., None]


@pytest.fixture
def carrier(settings: Settings) -> Iterator[Carrier]:
    carrier = Carrier(settings)
    yield carrier
    carrier.close()


@pytest.fixture
def set_fault(settings: Settings) -> Iterator[SetFault]:
    address = f"{settings.carrier_api_base}/_control/faults"

    def set_one(kind: str, operation: str, seconds: float = 0) -> None:
        fault = {"kind": kind, "match": {"operation": operation}, "times": 1, "seconds": seconds}
        httpx2.post(address, json=fault).raise_for_status()

    yield set_one
    httpx2.delete(address)


def booking(postal_code: str = WAITING, **fields: object) -> BookShipment:
    order_id = str(uuid_utils.uuid7())
    parcel = ParcelPlan(
        number=2,
        warehouse="AMS",
        country="NL",
        lines=[ParcelLine(sku="A-1", quantity=3)],
        amount=5000,
        weight_grams=1500,
    )
    address = Address(
        name="Zoë Müller", line1="Hauptstraße 1", city="Köln", postal_code=postal_code, country="DE", line2="2. Stock"
    )
    command = BookShipment(
        order_id=order_id,
        parcel=parcel,
        address=address,
        shipping_method="express",
        idempotency_key=f"fulfilment-{order_id}-2:book",
    )
    return command.model_copy(update=fields)


def cancellation(shipment_id: str | None) -> CancelShipment:
    assert shipment_id is not None
    return CancelShipment(shipment_id=shipment_id, idempotency_key=f"{shipment_id}:cancel")


def shipment(settings: Settings, shipment_id: str | None) -> dict[str, object]:
    headers = {"Authorization": f"Bearer {settings.carrier_api_key.get_secret_value()}"}
    answer = httpx2.get(f"{settings.carrier_api_base}/v1/shipments/{shipment_id}", headers=headers)
    found: dict[str, object] = answer.raise_for_status().json()
    return found


def shipments(settings: Settings, command: BookShipment) -> list[Json]:
    reference = parcel_reference(command.order_id, command.parcel.number)
    found: list[Json] = httpx2.get(f"{settings.carrier_api_base}/_ledger", params={"reference": reference}).json()[
        "data"
    ]
    return found


def with_weight(command: BookShipment, grams: int) -> BookShipment:
    return command.model_copy(update={"parcel": command.parcel.model_copy(update={"weight_grams": grams})})


def test_booked_parcel_has_the_carriers_ids_and_a_reference_that_leads_back(
    carrier: Carrier, settings: Settings
) -> None:
    command = booking()
    booked = carrier.book(command)
    assert booked.accepted
    assert booked.tracking_number
    assert booked.tracking_url
    assert httpx2.get(booked.label_url or "").raise_for_status().content.startswith(b"%PDF")
    there = shipment(settings, booked.shipment_id)
    assert parcel_of_reference(str(there["reference"])) == (command.order_id, 2)
    assert there["ship_from"] == {"country": "NL", "warehouse": "AMS"}
    assert there["parcels"] == [{"weight_grams": 1500, "items": [{"sku": "A-1", "quantity": 3}]}]


def test_booking_again_finds_the_same_shipment(carrier: Carrier) -> None:
    command = booking()
    assert carrier.book(command) == carrier.book(command)


def test_undeliverable_address_is_a_refusal_with_the_carriers_reason(carrier: Carrier) -> None:
    refused = carrier.book(booking(UNDELIVERABLE))
    assert (refused.accepted, refused.code, refused.shipment_id) == (False, "address_undeliverable", None)
    assert refused.message


def test_a_parcel_that_is_not_dispatched_can_be_cancelled_twice(carrier: Carrier) -> None:
    command = cancellation(carrier.book(booking()).shipment_id)
    assert carrier.cancel(command).cancelled
    assert carrier.cancel(command).cancelled


def test_a_dispatched_parcel_cannot_be_cancelled(carrier: Carrier, settings: Settings) -> None:
    booked = carrier.book(booking())
    moved = httpx2.post(
        f"{settings.carrier_api_base}/_control/shipments/{booked.shipment_id}/advance",
        json={"to": "dispatched"},
    )
    moved.raise_for_status()
    assert not carrier.cancel(cancellation(booked.shipment_id)).cancelled


@pytest.mark.parametrize("kind", ["fail_before", "500", "error_after", "timeout_before", "timeout_after"])
@pytest.mark.parametrize("operation", ["rates", "book"])
def test_outage_is_raised_and_the_retry_books_once(
    carrier: Carrier, set_fault: SetFault, settings: Settings, operation: str, kind: str
) -> None:
    set_fault(kind, operation)
    command = booking()
    with pytest.raises(CarrierUnavailable):
        carrier.book(command)
    assert carrier.book(command) == carrier.book(command)
    assert len(shipments(settings, command)) == 1


def test_rate_limit_says_how_long_to_wait(carrier: Carrier, set_fault: SetFault) -> None:
    set_fault("429", "book", seconds=7)
    with pytest.raises(CarrierUnavailable) as outage:
        carrier.book(booking())
    assert outage.value.retry_after == 7


def test_carrier_that_is_not_there_is_an_outage(settings: Settings) -> None:
    with pytest.raises(CarrierUnavailable):
        Carrier(settings.model_copy(update={"carrier_api_base": "http://127.0.0.1:1"})).book(booking())


def test_a_wrong_key_is_an_outage_and_an_unknown_shipment_our_mistake(carrier: Carrier, settings: Settings) -> None:
    stranger = settings.model_copy(update={"carrier_api_key": type(settings.carrier_api_key)("stranger")})
    with pytest.raises(CarrierKeyRefused):
        Carrier(stranger).book(booking())
    with pytest.raises(Misuse) as unknown:
        carrier.cancel(cancellation("shp_nobody"))
    assert unknown.value.code == "shipment_not_found"


# --- rates


@pytest.mark.parametrize(
    ("method", "postal_code", "service", "cost"),
    [
        ("standard", WAITING, "standard", 840),
        ("express", WAITING, "express", 2220),
        ("pickup", WAITING, "pickup", 0),  # by far the cheapest, and nobody else's
        ("standard", EXPRESS_ALONE, "express", 2220),  # faster than promised
    ],
)
def test_a_parcel_is_booked_by_the_cheapest_rate_that_keeps_its_promise(
    *, carrier: Carrier, settings: Settings, method: str, postal_code: str, service: str, cost: int
) -> None:
    booked = carrier.book(booking(postal_code, shipping_method=method))
    assert (booked.service, booked.cost) == (service, Money(amount=cost, currency="EUR"))
    there = shipment(settings, booked.shipment_id)
    assert there["rate"] == {"id": booked.rate_id, "service": service, "amount": cost, "currency": "EUR"}


@pytest.mark.parametrize(
    ("method", "postal_code", "grams"), [("pickup", EXPRESS_ALONE, 1500), ("pickup", WAITING, 20_001)]
)
def test_a_parcel_without_a_rate_that_keeps_its_promise_is_refused(
    *, carrier: Carrier, settings: Settings, method: str, postal_code: str, grams: int
) -> None:
    command = with_weight(booking(postal_code, shipping_method=method), grams)
    refused = carrier.book(command)
    assert (refused.accepted, refused.code, refused.shipment_id) == (False, "no_rate", None)
    assert refused.message
    assert shipments(settings, command) == []


def test_a_repeat_that_is_quoted_no_rate_any_more_finds_what_was_booked(carrier: Carrier, settings: Settings) -> None:
    command = booking(shipping_method="pickup")
    booked = carrier.book(command)
    without_rates = with_weight(command, 25_000)
    assert carrier.book(without_rates) == booked
    carrier.cancel(cancellation(booked.shipment_id))
    assert carrier.book(without_rates).code == "no_rate"
    assert len(shipments(settings, command)) == 1


def test_a_repeat_that_is_refused_finds_what_was_booked(
    carrier: Carrier, settings: Settings, set_fault: SetFault
) -> None:
    command = booking()
    booked = carrier.book(command)
    address = f"{settings.carrier_api_base}/_control/faults"
    refusal = {"kind": "422", "match": {"operation": "rates"}, "code": "address_undeliverable"}
    httpx2.post(address, json=refusal).raise_for_status()
    assert carrier.book(command) == booked


def test_another_booking_after_a_cancelled_one_is_another_shipment(carrier: Carrier, settings: Settings) -> None:
    command = booking()
    first = carrier.book(command)
    carrier.cancel(cancellation(first.shipment_id))
    second_command = command.model_copy(update={"idempotency_key": f"{command.idempotency_key}-2"})
    second = carrier.book(second_command)
    assert second.shipment_id != first.shipment_id
    assert second.label_url != first.label_url
    assert carrier.book(second_command) == second
    assert len(shipments(settings, command)) == 2


def test_all_calls_of_a_booking_fit_into_its_activity() -> None:
    longest = [sum(one.as_dict()[part] or 0 for part in ("connect", "read")) for one in (OF_A_COMMAND, OF_A_QUESTION)]
    command, question = longest
    assert question + command + question < CARRIER["start_to_close_timeout"].total_seconds()
