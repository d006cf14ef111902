"""What is done at the carrier, and what is kept of a parcel."""

from typing import TYPE_CHECKING

from temporalio import activity

from activities.failures import typed_failures
from schemas.fulfilment import (
    BookShipment,
    CancelShipment,
    ParcelResult,
    RecordParcel,
    ShipmentBooked,
    ShipmentCancelled,
)

if TYPE_CHECKING:
    from adapters.carrier import Carrier
    from adapters.mysql.orders.fulfilment import Parcels


class FulfilmentActivities:
    """Calls to the carrier are regular activities; parcel records are local ones."""

    def __init__(self, carrier: "Carrier", parcels: "Parcels") -> None:
        self._carrier = carrier
        self._parcels = parcels

    @activity.defn
    def book_shipment(self, command: BookShipment) -> ShipmentBooked:
        """Ask the carrier to take the parcel; its refusal is a result, its outage is retried."""
        with typed_failures():
            return self._carrier.book(command)

    @activity.defn
    def cancel_shipment(self, command: CancelShipment) -> ShipmentCancelled:
        """Call the booking back: the undo of booking, which the carrier refuses once the parcel has left."""
        with typed_failures():
            return self._carrier.cancel(command)

    @activity.defn
    def record_parcel(self, command: RecordParcel) -> ParcelResult:
        """Write what became of the parcel, with its stock and its event."""
        with typed_failures():
            return self._parcels.record(command)
