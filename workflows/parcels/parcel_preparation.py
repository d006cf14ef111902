"""What a parcel is signalled and asked before it is booked: that its goods are there, paid for, and picked, and where
they go.
"""

from temporalio import workflow

from schemas.address_changes import HoldForAddress, NewAddress
from schemas.picking import ParcelPicked, PickParcel
from workflows.parcels.backorder import Backorder
from workflows.parcels.destination import Destination
from workflows.parcels.picking import Picking
from workflows.timeline import Timeline


class ParcelPreparation:
    """The part of FulfilmentWorkflow that receives these."""

    _backorder: Backorder
    _destination: Destination
    _picking: Picking
    _timeline: Timeline
    _on_hold: bool
    _cancelled: bool
    _stopping: str

    @workflow.signal
    def stock_allocated(self) -> None:
        """The parcel's backorder was allocated; MySQL is asked before it is believed."""
        self._backorder.signalled = True

    @workflow.signal
    def hold_for_payment(self) -> None:
        """The order is not paid for at this moment: do not book, whatever is allocated or picked."""
        self._backorder.awaits_payment = True
        self._timeline.add("waits for the payment of the order")

    @workflow.signal
    def release_for_payment(self) -> None:
        """The order is paid for again."""
        self._backorder.awaits_payment = False

    @workflow.signal
    async def hold_for_address(self, request: HoldForAddress) -> None:
        """The order is about to change its address: do not book; the order learns whether that came in time."""
        await self._destination.hold(request)

    @workflow.signal
    def release_for_address(self, new: NewAddress) -> None:
        """The order's address is changed, or stays."""
        self._destination.release(new)

    @workflow.update
    async def pick(self, pick: PickParcel) -> ParcelPicked:
        """Warehouse staff say what they have picked; answers once that is recorded."""
        return await self._picking.confirm(pick)

    @pick.validator
    def _may_pick(self, pick: PickParcel) -> None:
        self._picking.check_may(pick, on_hold=self._on_hold, stopping=self._cancelled or bool(self._stopping))
