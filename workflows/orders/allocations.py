"""Waking the parcels, of any order, whose backorder was allocated."""

from collections.abc import Sequence
from contextlib import suppress

from temporalio import workflow
from temporalio.exceptions import FailureError

from schemas.stock import StockAllocated
from workflows.names import fulfilment_workflow_id
from workflows.orders.fulfilment import FulfilmentWorkflow
from workflows.waiting import shielded


async def signal_allocations(allocations: Sequence[StockAllocated]) -> None:
    """Signal each; one that cannot be signalled checks by itself."""
    for allocated in allocations:
        parcel = workflow.get_external_workflow_handle(fulfilment_workflow_id(allocated.order_id, allocated.parcel))
        with suppress(FailureError):
            await shielded(parcel.signal(FulfilmentWorkflow.stock_allocated))
