"""A parcel as a test of workflows drives and sees it."""

from collections.abc import Callable
from datetime import UTC, datetime

import uuid_utils
from temporalio.client import Client, WorkflowExecutionStatus

from adapters.connections import Connections
from adapters.mysql.orders.orders import OrderStore
from domain.fulfilment import ParcelStatus
from schemas.fulfilment import (
    BookShipment,
    CarrierEvent,
    FulfilmentInput,
    ParcelOutcome,
    ParcelSettlement,
    ParcelUpdated,
)
from schemas.orders import OrderView
from tests.adapters.test_stock import order_of
from tests.fixture_types import MakeProduct
from tests.workflows.orders import MOVED_BY_HAND
from tests.workflows.waiting import Handle, current_details, execution_status, until_async
from workflows.names import fulfilment_workflow_id
from workflows.parcels.fulfilment import FulfilmentWorkflow

ALERT = "needs operator"
Arm = Callable[..., None]


def job_of(connections: Connections, make_product: MakeProduct) -> FulfilmentInput:
    """A parcel that MySQL plans and nobody works on."""
    command = order_of({make_product(stock=5): 2})
    placed = OrderStore(connections.engine).place(command)
    return FulfilmentInput(
        order_id=placed.order_id,
        parcel=placed.parcels[0],
        parcels_in_order=1,
        address=command.order.shipping_address.model_copy(update={"postal_code": MOVED_BY_HAND}),
        shipping_method="standard",
    )


def booking_of(job: FulfilmentInput) -> BookShipment:
    key = f"{fulfilment_workflow_id(job.order_id, 1)}:book"
    same = job.model_dump(include={"order_id", "shipping_method"})
    return BookShipment(**same, parcel=job.parcel, address=job.address, idempotency_key=key)


def view(connections: Connections, order_id: str) -> OrderView:
    found = OrderStore(connections.engine).get(order_id)
    assert found is not None
    return found


def event_types(connections: Connections, order_id: str) -> list[str]:
    return [event.type for event in OrderStore(connections.engine).history(order_id).items]


def status_of(connections: Connections, order_id: str) -> object:
    return view(connections, order_id).parcels[0].status


async def updates(parcel: Handle, client: Client) -> list[ParcelUpdated]:
    """What the parcel has signalled to its order."""
    found: list[ParcelUpdated] = []
    for event in (await parcel.fetch_history()).events:
        if event.HasField("signal_external_workflow_execution_initiated_event_attributes"):
            sent = event.signal_external_workflow_execution_initiated_event_attributes.input.payloads
            found += await client.data_converter.decode(sent, [ParcelUpdated])
    return found


async def until_closed(handle: Handle) -> None:
    """Its result may be awaited only once it has ended: waiting would let time pass."""

    async def closed() -> bool:
        status = await execution_status(handle)
        assert status in (WorkflowExecutionStatus.RUNNING, WorkflowExecutionStatus.COMPLETED)
        return status is WorkflowExecutionStatus.COMPLETED

    await until_async(closed)


async def report(parcel: Handle, status: str, at: datetime | None = None) -> None:
    known = status in set(ParcelStatus)
    event = CarrierEvent(
        event_id=str(uuid_utils.uuid7()),
        status=ParcelStatus(status) if known else None,
        carrier_status=None if known else status,
        occurred_at=at or datetime.now(UTC),
    )
    await parcel.signal(FulfilmentWorkflow.carrier_event, event)


async def settle(parcel: Handle, outcome: ParcelOutcome) -> None:
    settlement = ParcelSettlement(outcome=outcome, actor="staff:test", reason="asked on the phone")
    await parcel.signal(FulfilmentWorkflow.settle_parcel, settlement)


async def calm(parcel: Handle) -> bool:
    return ALERT not in await current_details(parcel)
