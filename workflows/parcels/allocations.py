"""Waking the parcels, of any order, whose backorder was allocated."""

from collections.abc import Sequence

from schemas.stock import StockAllocated
from workflows.names import fulfilment_workflow_id
from workflows.parcels.parcel_preparation import ParcelPreparation
from workflows.signals import signal_if_open


async def signal_allocations(allocations: Sequence[StockAllocated]) -> None:
    """Signal each; one that cannot be signalled checks by itself."""
    for allocated in allocations:
        parcel = fulfilment_workflow_id(allocated.order_id, allocated.parcel)
        await signal_if_open(parcel, ParcelPreparation.stock_allocated.__name__)
