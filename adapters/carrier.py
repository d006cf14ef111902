"""The carrier over its HTTP API: books, cancels and finds shipments, no retries of its own."""

from typing import Any

import httpx2
from pydantic import ValidationError

from adapters.carrier_answers import Meaning, Operation, meaning_of
from adapters.settings import Settings
from domain.fulfilment import ParcelStatus, parcel_reference
from domain.money import Money
from domain.outside_errors import CarrierKeyRefused, CarrierUnavailable, Misuse
from domain.shipping import Rate, cheapest_rate
from schemas import base
from schemas.fulfilment import (
    BookShipment,
    CancelShipment,
    ShipmentBooked,
    ShipmentCancelled,
    ShipmentState,
)

OF_A_COMMAND = httpx2.Timeout(20.0, connect=3.0)
# What only asks can be repeated soon. A booking asks up to twice, and all of it fits into one attempt of its activity.
OF_A_QUESTION = httpx2.Timeout(10.0, connect=3.0)
_KEY_REFUSED = frozenset({httpx2.codes.UNAUTHORIZED, httpx2.codes.FORBIDDEN})
# As long as their columns. An id is used in calls, so one that does not fit makes the answer unreadable. What is only
# shown is left out: a link or a tracking number that is cut is wrong. Texts are cut.
_ID, _TRACKING_NUMBER, _URL, _CODE, _TEXT = 100, 100, 500, 64, 500
_AMOUNT = 2**63 - 1


class Carrier:
    """Books, cancels and finds shipments.

    Its refusal is a result. An outage raises CarrierUnavailable: the outcome is then unknown, and sending the same
    command again, with its idempotency key, is safe. A request the carrier calls wrong raises Misuse. Which answer is
    which, `adapters/carrier_answers.py` says.
    """

    def __init__(self, settings: Settings) -> None:
        self._client = httpx2.Client(
            base_url=settings.carrier_api_base,
            headers={"Authorization": f"Bearer {settings.carrier_api_key.get_secret_value()}"},
            timeout=OF_A_COMMAND,
        )

    def book(self, command: BookShipment) -> ShipmentBooked:
        """Ask the carrier to take the parcel, at the cheapest rate that keeps what its customer was promised.

        An address it never delivers to is a refusal, and so is a parcel that it has no such rate for. Rates change: an
        attempt that is repeated may be quoted others than the one whose booking was never answered, which counts.
        """
        shipment = _shipment(command)
        meaning, body = self._call(Operation.RATES, "POST", "/v1/rates", json=shipment, timeout=OF_A_QUESTION)
        if meaning is Meaning.REFUSAL:
            return self._booked_before(command) or _refused(body)
        rate = cheapest_rate((_rate(one) for one in _list_in(body)), command.shipping_method)
        if rate is None:
            return self._booked_before(command) or _without_rate(command)
        meaning, body = self._call(
            Operation.BOOK, "POST", "/v1/shipments", key=command.idempotency_key, json={**shipment, "rate": rate.id}
        )
        if meaning is Meaning.REFUSAL:
            return _refused(body)
        if meaning is Meaning.DONE_BEFORE:
            return self._booked_with_another_rate(command)
        return ShipmentBooked(accepted=True, **_known(body))

    def cancel(self, command: CancelShipment) -> ShipmentCancelled:
        """Cancel the shipment, which works until the parcel is dispatched."""
        path = f"/v1/shipments/{command.shipment_id}/cancel"
        meaning, _body = self._call(Operation.CANCEL, "POST", path, key=command.idempotency_key)
        return ShipmentCancelled(cancelled=meaning is Meaning.ANSWER)

    def retrieve(self, reference: str) -> ShipmentState | None:
        """The parcel's shipment as the carrier has it now; None when it knows none.

        A parcel that was on hold has several: the one that is not cancelled counts, or else the newest.
        """
        meaning, body = self._call(
            Operation.RETRIEVE, "GET", "/v1/shipments", params={"reference": reference}, timeout=OF_A_QUESTION
        )
        if meaning is Meaning.REFUSAL:
            return None
        states = [_state(one) for one in _list_in(body)]
        standing = (state for state in states if state.status is not ParcelStatus.CANCELLED)
        return next(standing, states[0] if states else None)

    def close(self) -> None:
        """Close the connections kept for the next call."""
        self._client.close()

    def _booked_before(self, command: BookShipment) -> ShipmentBooked | None:
        """What an attempt before this one has booked; an earlier booking of the parcel is cancelled by now."""
        state = self.retrieve(parcel_reference(command.order_id, command.parcel.number))
        if state is None or state.status is ParcelStatus.CANCELLED:
            return None
        return ShipmentBooked(accepted=True, **state.known)

    def _booked_with_another_rate(self, command: BookShipment) -> ShipmentBooked:
        state = self.retrieve(parcel_reference(command.order_id, command.parcel.number))
        if state is None:
            raise Misuse("the carrier knows the key of this booking, and no shipment of it", "idempotency_key_reused")
        return ShipmentBooked(accepted=True, **state.known)

    def _call(
        self, operation: Operation, method: str, path: str, *, key: str | None = None, **request: Any
    ) -> tuple[Meaning, dict[str, Any]]:
        """Send it once; what comes back is an answer or a refusal, everything else is raised."""
        headers = {"Idempotency-Key": key} if key else {}
        try:
            answer = self._client.request(method, path, headers=headers, **request)
        except httpx2.TransportError as outage:
            raise CarrierUnavailable(f"{type(outage).__name__}: {outage}") from outage
        body = _body(answer)
        code = _cut(body.get("code"), _CODE)
        meaning = meaning_of(operation, answer.status_code, code)
        said = f"the carrier answered {answer.status_code}: {_cut(body.get('message'), _TEXT) or answer.text[:200]}"
        if meaning is Meaning.OUTAGE:
            outage_of = CarrierKeyRefused if answer.status_code in _KEY_REFUSED else CarrierUnavailable
            raise outage_of(said, _retry_after(answer))
        if meaning is Meaning.MISTAKE:
            raise Misuse(said, code or "carrier_refused")
        return meaning, body


def _shipment(command: BookShipment) -> dict[str, Any]:
    parcel, address = command.parcel, command.address
    items = [{"sku": line.sku, "quantity": line.quantity} for line in parcel.lines]
    return {
        "reference": parcel_reference(command.order_id, parcel.number),
        "ship_from": {"country": parcel.country, "warehouse": parcel.warehouse},
        "ship_to": address.model_dump(exclude_none=True),
        "parcels": [{"weight_grams": max(1, parcel.weight_grams), "items": items}],
    }


def _refused(body: dict[str, Any]) -> ShipmentBooked:
    message = _cut(body.get("message"), _TEXT) or "The carrier refused."
    return ShipmentBooked(accepted=False, code=_cut(body.get("code"), _CODE), message=message)


def _without_rate(command: BookShipment) -> ShipmentBooked:
    message = f"The carrier does not take this parcel by {command.shipping_method}."
    return ShipmentBooked(accepted=False, code="no_rate", message=message)


def _rate(body: dict[str, Any]) -> Rate:
    cost, service = _cost(body), body.get("service")
    if cost is None or not isinstance(service, str):
        raise _unreadable("a rate has no price or no service")
    return Rate(_id(body), service, Money(cost.amount, cost.currency))


def _known(body: dict[str, Any]) -> dict[str, Any]:
    """What it says of a shipment. Its price and what else is only shown is left out where it cannot be read."""
    rate = body.get("rate")
    rate = rate if isinstance(rate, dict) else {}
    return {
        "shipment_id": _id(body),
        "tracking_number": _if_fits(body.get("tracking_number"), _TRACKING_NUMBER),
        "tracking_url": _if_fits(body.get("tracking_url"), _URL),
        "label_url": _link(body.get("label_url")),
        "service": _if_fits(rate.get("service"), _CODE),
        "rate_id": _if_fits(rate.get("id"), _ID),
        "cost": _cost(rate),
    }


def _id(body: dict[str, Any]) -> str:
    name = body.get("id")
    if not isinstance(name, str) or not 1 <= len(name) <= _ID:
        raise _unreadable("it has no usable id")
    return name


def _cost(rate: dict[str, Any]) -> base.Money | None:
    try:
        cost = base.Money.model_validate(rate, strict=True)
    except ValidationError:
        return None
    return cost if 0 <= cost.amount <= _AMOUNT else None


def _list_in(body: dict[str, Any]) -> list[dict[str, Any]]:
    found = body.get("data")
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise _unreadable("it has no list")
    return found


def _state(shipment: dict[str, Any]) -> ShipmentState:
    status = shipment.get("status")
    if not isinstance(status, str) or not status:
        raise _unreadable("it has no status")
    more = {"occurred_at": shipment.get("occurred_at"), "location": _cut(shipment.get("location"), _TEXT)}
    name = "status" if status in set(ParcelStatus) else "carrier_status"
    try:
        return ShipmentState.model_validate({**_known(shipment), name: status[:_CODE], **more})
    except ValidationError as error:
        raise _unreadable("its moment is no time") from error


def _body(answer: httpx2.Response) -> dict[str, Any]:
    try:
        body = answer.json()
    except ValueError:
        body = None
    if isinstance(body, dict):
        return body
    if answer.is_success:
        raise _unreadable("it is no JSON object")
    return {}


def _unreadable(why: str) -> CarrierUnavailable:
    return CarrierUnavailable(f"the carrier's answer cannot be read: {why}")


def _if_fits(value: object, longest: int) -> str | None:
    return value if isinstance(value, str) and 1 <= len(value) <= longest else None


def _link(value: object) -> str | None:
    """Staff follow it, so it must lead to a page."""
    return _if_fits(value, _URL) if isinstance(value, str) and value.startswith(("https://", "http://")) else None


def _cut(value: object, longest: int) -> str | None:
    return value[:longest] if isinstance(value, str) and value else None


def _retry_after(answer: httpx2.Response) -> float | None:
    seconds = answer.headers.get("retry-after", "")
    return float(seconds) if seconds.isdecimal() else None
