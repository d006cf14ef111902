"""Which of an order's workflows run, and signals to its parcels."""

import logging
from collections.abc import AsyncIterator, Iterable
from datetime import datetime
from typing import ClassVar, Literal

from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

from schemas.fulfilment import CarrierEvent
from schemas.picking import ParcelPicked, PickParcel
from schemas.stock import StockAllocated
from temporal_clients.updates import QUICK, WorkflowClient, signal_if_running
from workflows.names import (
    fulfilment_workflow_id,
    order_workflow_id,
    orphaned_payment_workflow_id,
    payment_workflow_id,
)
from workflows.orders.adoption import AdoptionWorkflow
from workflows.orders.checkout import CheckoutWorkflow
from workflows.parcels.fulfilment import FulfilmentWorkflow

_log = logging.getLogger(__name__)


class RunningOrders:
    """Which of an order's workflows run; wakes backordered parcels."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def is_running(self, order_id: str, parcels: Iterable[int]) -> bool:
        """Whether the workflow of the order, or of one of the parcels, runs; raises RPCError when Temporal is away."""
        ids = [order_workflow_id(order_id), *(fulfilment_workflow_id(order_id, number) for number in parcels)]
        for workflow_id in ids:
            if await self.runs(workflow_id):
                return True
        return False

    async def is_payment_running(self, order_id: str, payment_ids: Iterable[str]) -> bool:
        """Whether a workflow runs that may move the order's money; raises RPCError when Temporal is away."""
        ids = [
            order_workflow_id(order_id),
            payment_workflow_id(order_id),
            *map(orphaned_payment_workflow_id, payment_ids),
        ]
        for workflow_id in ids:
            if await self.runs(workflow_id):
                return True
        return False

    async def runs(self, workflow_id: str) -> bool:
        """Whether the workflow runs; raises RPCError when Temporal is away."""
        try:
            description = await self._client.get_workflow_handle(workflow_id).describe(rpc_timeout=QUICK)
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
            return False
        return description.status is WorkflowExecutionStatus.RUNNING

    async def lost_parts(self, order_id: str, parcels: Iterable[int], *, holds_money: bool) -> list[str]:
        """Which of these parcels, and whether the payment, of an order that has ended no workflow looks after.

        A payment's own workflow does what its order asks for, and nothing without it.
        """
        if await self.runs(order_workflow_id(order_id)):
            return []
        ids = {number: fulfilment_workflow_id(order_id, number) for number in parcels}
        lost = [f"parcel {number}" for number, workflow_id in ids.items() if not await self.runs(workflow_id)]
        return [*lost, "the payment"] if holds_money else lost

    async def order_pages(self, started_before: datetime, size: int) -> AsyncIterator[list[str]]:
        """The ids of the orders whose workflow has run since before that, page by page."""
        types = ", ".join(f"'{name}'" for name in (CheckoutWorkflow.__name__, AdoptionWorkflow.__name__))
        query = f"ExecutionStatus = 'Running' AND WorkflowType IN ({types})"
        found = self._client.list_workflows(f"{query} AND StartTime < '{started_before.isoformat()}'", page_size=size)
        while True:
            await found.fetch_next_page()
            yield [listed.id.removeprefix(order_workflow_id("")) for listed in found.current_page or ()]
            if not found.next_page_token:
                return

    async def signal_allocations(self, allocations: Iterable[StockAllocated]) -> None:
        """Wake the parcels whose backorder is allocated. One that cannot be signalled checks by itself, so a failure is
        logged and no more.
        """
        for allocated in allocations:
            workflow_id = fulfilment_workflow_id(allocated.order_id, allocated.parcel)
            handle = self._client.get_workflow_handle(workflow_id)
            try:
                await handle.signal(FulfilmentWorkflow.stock_allocated, rpc_timeout=QUICK)
            except (RPCError, RuntimeError) as error:  # a lazy client that cannot connect says so with a RuntimeError
                _log.warning("%s could not be signalled its allocation: %s", workflow_id, error)


class CarrierEvents:
    """Passes a parcel's events to its FulfilmentWorkflow."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def apply(self, order_id: str, parcel: int, event: CarrierEvent) -> Literal["applied", "ignored"]:
        """Signal the parcel's workflow; `ignored` when there is none."""
        handle = self._client.get_workflow_handle(fulfilment_workflow_id(order_id, parcel))
        return await signal_if_running(handle.signal(FulfilmentWorkflow.carrier_event, event))


class PickClient(WorkflowClient):
    """Passes what was picked of a parcel to its FulfilmentWorkflow."""

    ended: ClassVar = ("parcel_not_waiting", "The parcel waits for no pick: it was not confirmed yet, or has ended.")

    async def confirm(self, order_id: str, parcel: int, update_id: str, pick: PickParcel) -> ParcelPicked:
        """Confirm the pick; same id, same answer. Raises UpdateRefused with the workflow's code, StillWorking."""
        handle = self.client.get_workflow_handle(fulfilment_workflow_id(order_id, parcel))
        return await self.update(handle, FulfilmentWorkflow.pick, pick, update_id)
