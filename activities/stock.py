"""Reservations, apart from placing and shipping, which belong to the order's own transactions."""

from typing import TYPE_CHECKING

from temporalio import activity

from activities.failures import typed_failures
from schemas.stock import (
    AllocationMissing,
    CheckAllocation,
    ExtendReservation,
    ReleaseStock,
    ReservationExtended,
    StockReleased,
)

if TYPE_CHECKING:
    from adapters.mysql.orders.reservations import Reservations


class StockActivities:
    """Short transactions on our own database; run as local activities."""

    def __init__(self, reservations: "Reservations") -> None:
        self._reservations = reservations

    @activity.defn
    def release_stock(self, command: ReleaseStock) -> StockReleased:
        """Release what is still reserved for the order: the compensation of reserving."""
        with typed_failures():
            return self._reservations.release(command)

    @activity.defn
    def extend_reservation(self, command: ExtendReservation) -> ReservationExtended:
        """Extend the reservation of a running order."""
        with typed_failures():
            extended = self._reservations.extend(command.order_id)
            return ReservationExtended(reservation_seconds=int(extended.total_seconds()))

    @activity.defn
    def check_allocation(self, command: CheckAllocation) -> AllocationMissing:
        """The units still to be allocated before the parcel can be booked."""
        with typed_failures():
            return AllocationMissing(units=self._reservations.missing(command.order_id, command.parcel))
