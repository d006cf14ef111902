"""Parcels: commands to the carrier, its answers and events, and signals to the order."""

from datetime import datetime

from domain.fulfilment import ParcelStatus
from schemas.base import Address, Open, Payload
from schemas.orders import ParcelPlan


class FulfilmentInput(Payload):
    """The input of FulfilmentWorkflow: one parcel from one warehouse."""

    order_id: str
    parcel: ParcelPlan
    parcels_in_order: int
    address: Address
    shipping_method: str
    on_hold: bool = False


class HoldParcel(Payload):
    """Put the parcel on hold, or release it."""

    on: bool


class BookShipment(Payload):
    """Book the parcel with the carrier; the idempotency key is `<workflow id>:book`."""

    order_id: str
    parcel: ParcelPlan
    address: Address
    shipping_method: str
    idempotency_key: str


class ShipmentBooked(Payload):
    """The carrier's answer: accepted, with its ids; or refused for good, with the reason."""

    accepted: bool
    shipment_id: str | None = None
    tracking_number: str | None = None
    tracking_url: str | None = None
    code: str | None = None
    message: str | None = None


class CancelShipment(Payload):
    """Cancel the booking."""

    shipment_id: str
    idempotency_key: str


class ShipmentCancelled(Payload):
    """Whether the carrier could still cancel it; False once the parcel was dispatched."""

    cancelled: bool


class RecordParcel(Payload):
    """Record the parcel's status, the order's derived status and the event, in one transaction.

    When the goods have left the warehouse, their reservation becomes a shipment in the same transaction. Repeat-safe
    by (order, parcel, status, round): a parcel that was on hold is booked in another round.
    """

    order_id: str
    number: int
    status: ParcelStatus
    round: int = 1
    shipment_id: str | None = None
    tracking_number: str | None = None
    tracking_url: str | None = None
    actor: str
    occurred_at: datetime | None = None
    data: dict[str, object] = {}


class CarrierEvent(Payload):
    """A verified webhook of the carrier about a shipment."""

    event_id: str
    status: Open[ParcelStatus]
    occurred_at: datetime
    location: str | None = None


class ParcelUpdated(Payload):
    """The signal of FulfilmentWorkflow to the order about its parcel."""

    number: int
    status: Open[ParcelStatus]
    tracking_number: str | None = None
    code: str | None = None
    message: str | None = None


class ParcelResult(Payload):
    """How the parcel ended."""

    number: int
    status: ParcelStatus
