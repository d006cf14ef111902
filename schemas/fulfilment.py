"""Parcels: what a warehouse is told, what the carrier tells, what the order is told."""

from datetime import datetime

from domain.fulfilment import ParcelStatus
from schemas.base import Address, Payload
from schemas.orders import ParcelPlan


class FulfilmentInput(Payload):
    """What FulfilmentWorkflow is started with: one parcel from one warehouse."""

    order_id: str
    parcel: ParcelPlan
    parcels_in_order: int
    address: Address
    shipping_method: str
    on_hold: bool = False


class HoldParcel(Payload):
    """The parcel is not to leave, or may leave again."""

    on: bool


class BookShipment(Payload):
    """Ask the carrier to take the parcel; the idempotency key is `<workflow id>:book`."""

    order_id: str
    parcel: ParcelPlan
    address: Address
    shipping_method: str
    idempotency_key: str


class ShipmentBooked(Payload):
    """The carrier's answer: taken, with its ids; or refused for good, with its reason."""

    accepted: bool
    shipment_id: str | None = None
    tracking_number: str | None = None
    tracking_url: str | None = None
    code: str | None = None
    message: str | None = None


class CancelShipment(Payload):
    """Call the booking back."""

    shipment_id: str
    idempotency_key: str


class ShipmentCancelled(Payload):
    """Whether the carrier could still stop it; False once the parcel has left."""

    cancelled: bool


class RecordParcel(Payload):
    """Write what became of the parcel, the order's derived status and the event, in one transaction.

    When `status` says that the goods have left, their reservation becomes a shipment in the same transaction.
    Repeat-safe by (order, parcel, status, round): a parcel that was on hold is booked in another round.
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
    """A verified webhook of the carrier about one shipment."""

    event_id: str
    status: ParcelStatus
    occurred_at: datetime
    location: str | None = None


class ParcelUpdated(Payload):
    """What FulfilmentWorkflow tells the order of its parcel."""

    number: int
    status: ParcelStatus
    tracking_number: str | None = None
    code: str | None = None
    message: str | None = None


class ParcelResult(Payload):
    """How the parcel ended."""

    number: int
    status: ParcelStatus
