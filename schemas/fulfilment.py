"""Parcels: commands to the carrier, its answers and events, and signals to the order."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from domain.fulfilment import ParcelStatus
from schemas.base import Address, Money, Open, Payload
from schemas.checkout import CancelledLine
from schemas.parcels import ParcelPlan
from schemas.picking import ParcelPicked, PickParcel
from schemas.stock import StockAllocated


class FulfilmentInput(Payload):
    """The input of FulfilmentWorkflow: one parcel from one warehouse.

    With `adopt` it replaces one that died: what the carrier and our own record say comes before anything is booked.
    With `stop` its order wants it stopped, so that nothing is booked any more.
    """

    order_id: str
    parcel: ParcelPlan
    parcels_in_order: int
    address: Address
    shipping_method: str
    on_hold: bool = False
    adopt: bool = False
    stop: bool = False


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


class Shipment(Payload):
    """What is known of the carrier's booking of a parcel: its ids and label, its service, and what it costs us."""

    shipment_id: str | None = None
    tracking_number: str | None = None
    tracking_url: str | None = None
    label_url: str | None = None
    service: str | None = None
    rate_id: str | None = None
    cost: Money | None = None

    @property
    def known(self) -> dict[str, Any]:
        """All of this, for another message about the same shipment."""
        return {name: getattr(self, name) for name in Shipment.model_fields}


class ShipmentBooked(Shipment):
    """The carrier's answer: accepted, with the shipment; or refused for good, with the reason."""

    accepted: bool
    code: str | None = None
    message: str | None = None


class CancelShipment(Payload):
    """Cancel the booking."""

    shipment_id: str
    idempotency_key: str


class ShipmentCancelled(Payload):
    """Whether the carrier could still cancel it; False once the parcel was dispatched."""

    cancelled: bool


class RecordParcel(Shipment):
    """Record the parcel's status, the order's derived status and the event, in one transaction.

    When the goods have left the warehouse, their reservation becomes a shipment in the same transaction. Repeat-safe
    by (order, parcel, status, round): a parcel that was on hold is booked in another round.
    """

    order_id: str
    number: int
    status: ParcelStatus
    round: int = 1
    actor: str
    occurred_at: datetime | None = None
    data: dict[str, object] = {}


class CarrierEvent(Payload):
    """A verified webhook of the carrier about a shipment.

    A status that is not one of ours is the `carrier_status`, and there is no `status`: it moves nothing. It is no value
    of a newer release, which a worker would wait for.
    """

    event_id: str
    status: Open[ParcelStatus] | None = None
    carrier_status: str | None = None
    occurred_at: datetime
    location: str | None = None


class FindShipment(Payload):
    """Ask the carrier what it knows of the parcel, by our reference."""

    order_id: str
    number: int


class ShipmentState(Shipment):
    """What the carrier says of a parcel when it is asked; the moment and place are those of its last event."""

    shipment_id: str
    status: Open[ParcelStatus] | None = None
    carrier_status: str | None = None  # one that is not ours
    occurred_at: datetime | None = None
    location: str | None = None


class ShipmentFound(Payload):
    """The carrier's answer about a parcel; None when it knows no shipment of it."""

    shipment: ShipmentState | None = None


class ParcelOutcome(StrEnum):
    """What an operator answers about a parcel of which nobody knows whether it was dispatched."""

    STOPPED = "stopped"
    DISPATCHED = "dispatched"
    RETRY = "retry"


class ParcelSettlement(Payload):
    """An operator's answer about a parcel: it is stopped, it was dispatched, or the carrier is to be asked again."""

    outcome: Open[ParcelOutcome]
    actor: str
    reason: str


class ReduceParcel(Payload):
    """Take these units out of a parcel that was not dispatched, and release their stock; repeat-safe by `step`."""

    order_id: str
    number: int
    step: str
    lines: list[CancelledLine]
    actor: str
    reason: str


class ParcelReduced(Payload):
    """What is left of the parcel, with its smaller amount; and the parcels of other orders that are complete with the
    stock it released.
    """

    plan: ParcelPlan
    allocated: list[StockAllocated] = []


class Reduction(Payload):
    """The answer to ReduceParcel; without `reduced` the carrier did not give the parcel back."""

    step: str
    reduced: ParcelReduced | None = None


class AddressHold(Payload):
    """The answer to HoldForAddress; not `held` is a parcel that was booked, or is being booked."""

    step: str
    held: bool


class ParcelUpdated(Payload):
    """The signal of FulfilmentWorkflow to the order about its parcel.

    With `unknown` the order has asked to stop the parcel and the carrier does not say whether it was dispatched; a
    later signal, without it, says how that ended. With `reduction` it only answers a ReduceParcel, and with
    `address_hold` a HoldForAddress; with `short_pick` it only says that not everything in it was there when it was
    picked. With `replaces` the order has not planned it: it is shipped in the place of that parcel.
    """

    number: int
    status: Open[ParcelStatus]
    unknown: bool = False
    tracking_number: str | None = None
    code: str | None = None
    message: str | None = None
    reduction: Reduction | None = None
    short_pick: PickParcel | None = None
    replaces: int | None = None
    address_hold: AddressHold | None = None


class ParcelResult(Payload):
    """How the parcel ended."""

    number: int
    status: ParcelStatus


class ParcelRecorded(Payload):
    """The parcel's status now; `not_reserved` when it was dispatched and nothing was reserved for it any more.

    `refunded_at`: when a parcel that was lost or returned is refunded by itself, unless somebody decides before.
    """

    number: int
    status: ParcelStatus
    not_reserved: bool = False
    refunded_at: datetime | None = None


class RecordedParcel(Shipment):
    """What is recorded of a parcel: its status and shipment, its present booking, how often it was in trouble, and
    what was picked.
    """

    status: ParcelStatus
    booking: int = 1
    exceptions: int = 0
    picked: ParcelPicked | None = None
    refunded_at: datetime | None = None
