"""What the carrier and staff do about a parcel that is lost."""

from dev.fault_matrix.actions import is_booked, move_parcel
from dev.fault_matrix.order import REASON, STAFF, OrderUnderTest
from schemas.parcel_resolutions import ResolutionAction, ResolveParcel
from temporal_clients.parcel_resolutions import ParcelResolutionClient

_PATIENCE_SECONDS = 120.0


async def lose_and_refund(run: OrderUnderTest) -> None:
    """The carrier loses the parcel, and staff refund it, twice."""
    await run.order_when(is_booked)
    await move_parcel(run, "lost")
    await run.handle.result()
    run.arm(run.order_id)
    command = ResolveParcel(order_id=run.order_id, parcel=1, action=ResolutionAction.REFUND, reason=REASON, actor=STAFF)
    for _ in range(2):
        answer = await ParcelResolutionClient(run.environment.client, _PATIENCE_SECONDS).resolve(command)
        if answer.code is not None:
            run.errors.append(f"resolution: it was refused as {answer.code}")
