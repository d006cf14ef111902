"""What the carrier and staff do about a parcel that is lost."""

from dev.fault_matrix.actions import is_booked, move_parcel
from dev.fault_matrix.order import REASON, STAFF, OrderUnderTest
from domain.fulfilment import ParcelStatus
from schemas.parcel_resolutions import ResolutionAction, ResolveParcel
from temporal_clients.parcel_resolutions import ParcelResolutionClient
from workflows.names import fulfilment_workflow_id

_PATIENCE_SECONDS = 120.0


async def lose_and_refund(run: OrderUnderTest) -> None:
    """The carrier loses the parcel, and staff refund it, twice."""
    await _lose(run)
    await _resolve_twice(run, ResolutionAction.REFUND)


async def lose_and_ship_again(run: OrderUnderTest) -> None:
    """The carrier loses the parcel, and staff have it shipped again, twice; then it is delivered."""
    await _lose(run)
    await _resolve_twice(run, ResolutionAction.SHIP_AGAIN)
    await run.order_when(lambda order: order.parcels[-1].status is ParcelStatus.BOOKED, final=False)
    await move_parcel(run, "delivered", 2)
    await run.environment.client.get_workflow_handle(fulfilment_workflow_id(run.order_id, 2)).result()


async def _lose(run: OrderUnderTest) -> None:
    await run.order_when(is_booked)
    await move_parcel(run, "lost")
    await run.handle.result()
    run.arm(run.order_id)


async def _resolve_twice(run: OrderUnderTest, action: ResolutionAction) -> None:
    command = ResolveParcel(order_id=run.order_id, parcel=1, action=action, reason=REASON, actor=STAFF)
    for _ in range(2):
        answer = await ParcelResolutionClient(run.environment.client, _PATIENCE_SECONDS).resolve(command)
        if answer.code is not None:
            run.errors.append(f"resolution: it was refused as {answer.code}")
