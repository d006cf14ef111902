"""Where a parcel goes: settled once it is being booked, and open to its order until then."""

from domain.fulfilment import ParcelStatus
from schemas.address_changes import HoldForAddress, NewAddress
from schemas.fulfilment import AddressHold
from workflows.parcels.parcel_record import ParcelRecord
from workflows.timeline import Timeline


class Destination:
    """While the order changes its address the parcel is held: it is not booked before it knows where to."""

    def __init__(self, parcel: ParcelRecord, timeline: Timeline) -> None:
        self._parcel = parcel
        self._timeline = timeline
        self._settled = False
        self.held = False

    def settle(self) -> None:
        """It is being booked, or may have been: what the carrier knows of it stays."""
        self._settled = True

    async def hold(self, request: HoldForAddress) -> None:
        """Hold it, unless it is too late for that; answers the order."""
        self.held = not self._settled and self._parcel.status in (ParcelStatus.PLANNED, ParcelStatus.ON_HOLD)
        await self._parcel.signal_order(address_hold=AddressHold(step=request.step, held=self.held))

    def release(self, new: NewAddress) -> None:
        """It may be booked, to the new address if there is one."""
        self.held = False
        if new.address is not None and new.plan is not None:
            self._parcel.address, self._parcel.plan = new.address, new.plan
            self._timeline.add("its address was changed")
