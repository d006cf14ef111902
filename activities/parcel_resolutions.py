"""What is done about parcels that were lost or returned, recorded."""

from typing import TYPE_CHECKING

from temporalio import activity

from activities.failures import typed_failures
from schemas.parcel_resolutions import (
    CloseResolution,
    ResolutionClosed,
    ResolutionOpened,
    ResolveParcel,
    WithdrawResolution,
)
from schemas.replacements import ParcelReplaced

if TYPE_CHECKING:
    from adapters.mysql.orders.parcel_resolutions import ParcelResolutions


class ParcelResolutionActivities:
    """Short transactions on our own database; run as local activities."""

    def __init__(self, resolutions: "ParcelResolutions") -> None:
        self._resolutions = resolutions

    @activity.defn
    def open_resolution(self, command: ResolveParcel) -> ResolutionOpened:
        """Record what is to be done, so that nothing else is done about the parcel meanwhile."""
        with typed_failures():
            return self._resolutions.open(command)

    @activity.defn
    def replace_parcel(self, command: ResolveParcel) -> ParcelReplaced:
        """Plan another parcel with the same goods, reserved from stock, and record that this is done."""
        with typed_failures():
            return self._resolutions.replace(command)

    @activity.defn
    def withdraw_resolution(self, command: WithdrawResolution) -> None:
        """Forget what could not be done."""
        with typed_failures():
            self._resolutions.withdraw(command)

    @activity.defn
    def close_resolution(self, command: CloseResolution) -> ResolutionClosed:
        """Record what was done, with the goods that are back in stock."""
        with typed_failures():
            return ResolutionClosed(allocated=self._resolutions.close(command))
