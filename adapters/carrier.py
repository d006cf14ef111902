"""The carrier over its HTTP API: books and cancels shipments, no retries of its own."""

from typing import Any

import httpx2

from adapters.settings import Settings
from domain.errors import CarrierUnavailable, Misuse
from domain.fulfilment import parcel_reference
from schemas.fulfilment import BookShipment, CancelShipment, ShipmentBooked, ShipmentCancelled

_TIMEOUT = httpx2.Timeout(20.0, connect=3.0)


class Carrier:
    """Books and cancels shipments.

    Its refusal is a result. An outage raises CarrierUnavailable: the outcome is then unknown, and sending the same
    command again, with its idempotency key, is safe. A request the carrier calls wrong raises Misuse.
    """

    def __init__(self, settings: Settings) -> None:
        self._client = httpx2.Client(
            base_url=settings.carrier_api_base,
            headers={"Authorization": f"Bearer {settings.carrier_api_key.get_secret_value()}"},
            timeout=_TIMEOUT,
        )

    def book(self, command: BookShipment) -> ShipmentBooked:
        """Ask the carrier to take the parcel; an address it never delivers to is a refusal."""
        answer = self._post("/v1/shipments", command.idempotency_key, _booking(command))
        body = _body(answer)
        if answer.status_code == httpx2.codes.UNPROCESSABLE_CONTENT:
            code = str(body.get("code") or "refused")
            return ShipmentBooked(accepted=False, code=code, message=body.get("message") or "The carrier refused.")
        _expect_success(answer, body)
        return ShipmentBooked(
            accepted=True,
            shipment_id=body["id"],
            tracking_number=body["tracking_number"],
            tracking_url=body["tracking_url"],
        )

    def cancel(self, command: CancelShipment) -> ShipmentCancelled:
        """Cancel the shipment, which works until the parcel is dispatched."""
        answer = self._post(f"/v1/shipments/{command.shipment_id}/cancel", command.idempotency_key, None)
        if answer.status_code == httpx2.codes.CONFLICT:
            return ShipmentCancelled(cancelled=False)
        _expect_success(answer, _body(answer))
        return ShipmentCancelled(cancelled=True)

    def close(self) -> None:
        """Close the connections kept for the next call."""
        self._client.close()

    def _post(self, path: str, idempotency_key: str, body: dict[str, Any] | None) -> httpx2.Response:
        try:
            answer = self._client.post(path, json=body, headers={"Idempotency-Key": idempotency_key})
        except httpx2.TransportError as outage:
            raise CarrierUnavailable(f"{type(outage).__name__}: {outage}") from outage
        if answer.status_code == httpx2.codes.TOO_MANY_REQUESTS or answer.status_code >= 500:
            raise CarrierUnavailable(f"the carrier answered {answer.status_code}", _retry_after(answer))
        return answer


def _booking(command: BookShipment) -> dict[str, Any]:
    parcel, address = command.parcel, command.address
    items = [{"sku": line.sku, "quantity": line.quantity} for line in parcel.lines]
    return {
        "reference": parcel_reference(command.order_id, parcel.number),
        "service": command.shipping_method,
        "ship_from": {"country": parcel.country, "warehouse": parcel.warehouse},
        "ship_to": address.model_dump(exclude_none=True),
        "parcels": [{"weight_grams": max(1, parcel.weight_grams), "items": items}],
    }


def _expect_success(answer: httpx2.Response, body: dict[str, Any]) -> None:
    if not answer.is_success:
        message = body.get("message") or answer.text[:200]
        raise Misuse(
            f"the carrier answered {answer.status_code}: {message}", str(body.get("code") or "carrier_refused")
        )


def _body(answer: httpx2.Response) -> dict[str, Any]:
    try:
        body = answer.json()
    except ValueError:
        body = None
    if isinstance(body, dict):
        return body
    if answer.is_success:
        raise CarrierUnavailable("the carrier's answer could not be read")
    return {}


def _retry_after(answer: httpx2.Response) -> float | None:
    seconds = answer.headers.get("retry-after", "")
    return float(seconds) if seconds.isdecimal() else None
