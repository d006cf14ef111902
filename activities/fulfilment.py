"""Shipments at the carrier, and the records of parcels."""

from typing import TYPE_CHECKING

from temporalio import activity

from activities.failures import typed_failures
from domain.fulfilment import parcel_reference
from schemas.fulfilment import (
    BookShipment,
    CancelShipment,
    FindShipment,
    ParcelRecorded,
    ParcelReduced,
    RecordedParcel,
    RecordParcel,
    ReduceParcel,
    ShipmentBooked,
    ShipmentCancelled,
    ShipmentFound,
)
from schemas.picking import ParcelPicked, RecordPick

if TYPE_CHECKING:
    from adapters.carrier import Carrier
    from adapters.mysql.orders.fulfilment import Parcels
    from adapters.mysql.orders.picking import Picks


class FulfilmentActivities:
    """Calls to the carrier are regular activities; parcel records are local ones."""

    def __init__(self, carrier: "Carrier", parcels: "Parcels", picks: "Picks") -> None:
        self._carrier = carrier
        self._parcels = parcels
        self._picks = picks

    @activity.defn
    def book_shipment(self, command: BookShipment) -> ShipmentBooked:
        """Book a shipment; the carrier's refusal is a result, its outage is retried."""
        with typed_failures():
            return self._carrier.book(command)

    @activity.defn
    def cancel_shipment(self, command: CancelShipment) -> ShipmentCancelled:
        """Cancel the shipment: the compensation of booking it, which the carrier refuses after dispatch."""
        with typed_failures():
            return self._carrier.cancel(command)

    @activity.defn
    def retrieve_shipment(self, command: FindShipment) -> ShipmentFound:
        """Ask the carrier what it knows of the parcel: no shipment is an answer too."""
        with typed_failures():
            return ShipmentFound(shipment=self._carrier.retrieve(parcel_reference(command.order_id, command.number)))

    @activity.defn
    def record_parcel(self, command: RecordParcel) -> ParcelRecorded:
        """Record a change of the parcel, with its stock and its event."""
        with typed_failures():
            return self._parcels.record(command)

    @activity.defn
    def reduce_parcel(self, command: ReduceParcel) -> ParcelReduced:
        """Take cancelled units out of the parcel, with their stock, its amount and its event."""
        with typed_failures():
            return self._parcels.reduce(command)

    @activity.defn
    def record_pick(self, command: RecordPick) -> ParcelPicked:
        """Record what was picked of the parcel, and write off what was missing."""
        with typed_failures():
            return self._picks.record(command)

    @activity.defn
    def read_parcel(self, command: FindShipment) -> RecordedParcel:
        """What is recorded of the parcel, for a workflow that replaces one."""
        with typed_failures():
            return self._parcels.read(command.order_id, command.number)
