"""The end of a parcel that is shipped in the place of another and is stopped: no order's workflow looks after that."""

from activities.stock import StockActivities
from domain.actors import SYSTEM_ACTOR
from schemas.fulfilment import FulfilmentInput
from schemas.stock import ReleaseStock
from workflows.parcels.allocations import signal_allocations
from workflows.stores import on_store
from workflows.timeline import Timeline


async def release_stock_of(job: FulfilmentInput, timeline: Timeline) -> None:
    """Release what is reserved for it."""
    number = job.parcel.number
    reason = f"parcel {number} was cancelled or failed"
    command = ReleaseStock(order_id=job.order_id, actor=SYSTEM_ACTOR, reason=reason, parcels=[number])
    released = await on_store(StockActivities.release_stock, command, "release the stock", timeline)
    timeline.add(f"{released.units} unit(s) released")
    await signal_allocations(released.allocated)
