"""What a customer does who moves while their order waits for its goods."""

import asyncio

from temporalio.client import WorkflowUpdateFailedError
from temporalio.service import RPCError

from dev.fault_matrix.actions import receive_goods
from dev.fault_matrix.order import CUSTOMER, OrderUnderTest
from domain.orders import FINAL_STATUSES, OrderStatus
from schemas.address_changes import ChangeAddress
from schemas.base import Address
from workflows.orders.checkout import CheckoutWorkflow

_NEW = Address(name="Matrix", line1="Teststraße 2", city="Berlin", postal_code="10117", country="DE")


async def move_and_receive_goods(run: OrderUnderTest) -> None:
    """They move to where the order costs less; after that a supplier delivers what is missing."""
    order = await run.order_when(lambda order: order.status is OrderStatus.CONFIRMED)
    while order is not None and order.status not in FINAL_STATUSES and not await _changed(run):
        await asyncio.sleep(0.1)
        order = await asyncio.to_thread(run.order)
    await receive_goods(run)


async def _changed(run: OrderUnderTest) -> bool:
    """Whether it is answered for good: at first the order has not handed its parcels to the warehouse yet."""
    try:
        await run.handle.execute_update(CheckoutWorkflow.change_address, ChangeAddress(address=_NEW, actor=CUSTOMER))
    except WorkflowUpdateFailedError as refused:
        return getattr(refused.cause, "type", None) != "not_confirmed"
    except RPCError:  # it has ended
        return True
    return True
