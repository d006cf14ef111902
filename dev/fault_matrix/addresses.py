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


async def move_to_germany(run: OrderUnderTest) -> None:
    """The order costs less there; after that a supplier delivers what is missing."""
    await _move(run, "DE")


async def move_to_denmark(run: OrderUnderTest) -> None:
    """The same to where it costs more, which another card pays."""
    await _move(run, "DK", "pm_card_mastercard")


async def _move(run: OrderUnderTest, country: str, payment_method: str | None = None) -> None:
    address = Address(name="Matrix", line1="Teststraße 2", city="Matrix", postal_code="10117", country=country)
    change = ChangeAddress(address=address, actor=CUSTOMER, payment_method=payment_method)
    await run.order_when(lambda order: order.status is OrderStatus.CONFIRMED)
    while not await _answered(run, change):  # noqa: ASYNC110 - another process answers
        await asyncio.sleep(0.1)
    await receive_goods(run)


async def _answered(run: OrderUnderTest, change: ChangeAddress) -> bool:
    """Whether it is answered for good: at first the order has not handed its parcels to the warehouse yet."""
    order = await asyncio.to_thread(run.order)
    if order is None or order.status in FINAL_STATUSES:
        return True
    try:
        await run.handle.execute_update(CheckoutWorkflow.change_address, change)
    except WorkflowUpdateFailedError as refused:
        return getattr(refused.cause, "type", None) != "not_confirmed"
    except RPCError:  # it has ended
        return True
    return True
