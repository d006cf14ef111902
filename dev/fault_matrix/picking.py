"""What warehouse staff do about an order whose warehouse has its picks confirmed."""

import asyncio

from temporalio.client import WorkflowUpdateFailedError
from temporalio.service import RPCError, RPCStatusCode

from dev.fault_matrix.actions import deliver_once_booked
from dev.fault_matrix.order import STAFF, OrderUnderTest
from domain.orders import FINAL_STATUSES, OrderStatus
from schemas.picking import PickedLine, PickParcel
from workflows.names import fulfilment_workflow_id
from workflows.parcels.fulfilment import FulfilmentWorkflow


async def pick_all_but_one(run: OrderUnderTest) -> None:
    """One of the units is missing when staff pick the parcel; its customer gets the others."""
    order = await run.order_when(lambda order: order.status is OrderStatus.CONFIRMED)
    lines = [PickedLine(sku=line.sku, quantity=line.quantity - 1) for line in order.lines]
    await _confirm(run, PickParcel(lines=lines, actor=STAFF))
    await deliver_once_booked(run)


async def _confirm(run: OrderUnderTest, pick: PickParcel) -> None:
    """Until it is recorded: at first the parcel's workflow has not started yet, and a pick may be refused."""
    parcel = run.environment.client.get_workflow_handle(fulfilment_workflow_id(run.order_id, 1))
    while (order := await asyncio.to_thread(run.order)) is None or order.status not in FINAL_STATUSES:
        try:
            await parcel.execute_update(FulfilmentWorkflow.pick, pick)
        except WorkflowUpdateFailedError:  # its data was, or it is being cancelled
            await asyncio.sleep(0.1)
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
            await asyncio.sleep(0.1)
        else:
            return
