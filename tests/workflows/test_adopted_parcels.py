"""A parcel's workflow that replaces one that died: what the carrier and MySQL say comes first."""

from collections.abc import Awaitable, Callable

import pytest
from temporalio.client import Client

from adapters.carrier import Carrier
from adapters.connections import Connections
from adapters.mysql.orders.reservations import Reservations
from domain.fulfilment import ParcelStatus
from schemas.fulfilment import (
    CancelShipment,
    FulfilmentInput,
)
from schemas.stock import ReleaseStock
from tests.fixture_types import MakeProduct
from tests.workflows.carrier import CarrierControl
from tests.workflows.parcels import Arm, booking_of, event_types, job_of, report, status_of, until_closed, view
from tests.workflows.waiting import Handle, until, until_details
from workflows.names import FULFILMENT_QUEUE, fulfilment_workflow_id
from workflows.parcels.fulfilment import FulfilmentWorkflow

P = ParcelStatus
Adopt = Callable[..., Awaitable[Handle]]


@pytest.fixture
def adopt(skipping: Client) -> Adopt:
    """A parcel's workflow without an order's, as it replaces one that died."""

    async def start(job: FulfilmentInput) -> Handle:
        return await skipping.start_workflow(
            FulfilmentWorkflow.run,
            job.model_copy(update={"adopt": True}),
            id=fulfilment_workflow_id(job.order_id, job.parcel.number),
            task_queue=FULFILMENT_QUEUE,
        )

    return start


# --- a workflow that died


async def test_an_adopted_parcel_that_is_to_be_stopped_is_never_booked(
    *, adopt: Adopt, connections: Connections, make_product: MakeProduct, carrier: CarrierControl
) -> None:
    """The order need not signal it in time."""
    job = job_of(connections, make_product).model_copy(update={"stop": True})
    parcel = await adopt(job)
    await until_closed(parcel)
    assert status_of(connections, job.order_id) is P.CANCELLED
    assert carrier.statuses(job.order_id) == []


async def test_an_adopted_parcel_takes_over_what_the_carrier_knows(
    *, adopt: Adopt, connections: Connections, make_product: MakeProduct, carrier: CarrierControl
) -> None:
    job = job_of(connections, make_product)
    shipment = Carrier(connections.settings).book(booking_of(job))  # and died before it was recorded
    carrier.advance(job.order_id, "in_transit")
    parcel = await adopt(job)
    await until(lambda: status_of(connections, job.order_id) is P.IN_TRANSIT)
    assert view(connections, job.order_id).parcels[0].tracking_number == shipment.tracking_number
    assert len(carrier.statuses(job.order_id)) == 1
    types = event_types(connections, job.order_id)
    assert types[-3:] == ["parcel.booked", "parcel.dispatched", "parcel.in_transit"]
    await report(parcel, P.DELIVERED)
    await until_closed(parcel)


async def test_an_adopted_parcel_that_was_never_booked_is_booked(
    adopt: Adopt, connections: Connections, make_product: MakeProduct, carrier: CarrierControl
) -> None:
    job = job_of(connections, make_product)
    parcel = await adopt(job)
    await until(lambda: status_of(connections, job.order_id) is P.BOOKED)
    assert carrier.statuses(job.order_id) == ["booked"]
    await parcel.signal(FulfilmentWorkflow.cancel)
    await until_closed(parcel)
    assert carrier.statuses(job.order_id) == ["cancelled"]


async def test_an_adopted_parcel_that_is_to_be_stopped_is_not_booked(
    adopt: Adopt, connections: Connections, make_product: MakeProduct, carrier: CarrierControl, arm: Arm
) -> None:
    job = job_of(connections, make_product)
    arm("fail_before", "find")
    parcel = await adopt(job)
    await parcel.signal(FulfilmentWorkflow.cancel)
    carrier.end_faults()
    await until_closed(parcel)
    assert status_of(connections, job.order_id) is P.CANCELLED
    assert carrier.statuses(job.order_id) == []


async def test_an_adopted_parcel_whose_booking_was_cancelled_is_stopped(
    adopt: Adopt, connections: Connections, make_product: MakeProduct, carrier: CarrierControl
) -> None:
    job = job_of(connections, make_product)
    parcel = await adopt(job)
    await until(lambda: status_of(connections, job.order_id) is P.BOOKED)
    await parcel.terminate("stopped by hand")
    shipment = Carrier(connections.settings).retrieve(f"{job.order_id}-1")
    assert shipment is not None
    Carrier(connections.settings).cancel(CancelShipment(shipment_id=shipment.shipment_id, idempotency_key="by hand"))
    await until_closed(await adopt(job))
    assert status_of(connections, job.order_id) is P.CANCELLED
    assert carrier.statuses(job.order_id) == ["cancelled"]


async def test_what_leaves_after_its_stock_was_released_is_recorded_and_shown(
    adopt: Adopt, connections: Connections, make_product: MakeProduct, carrier: CarrierControl
) -> None:
    job = job_of(connections, make_product)
    parcel = await adopt(job)
    await until(lambda: status_of(connections, job.order_id) is P.BOOKED)
    Reservations(connections.engine).release(ReleaseStock(order_id=job.order_id, actor="staff:test", reason="a test"))
    await report(parcel, P.DISPATCHED)
    await until_details(parcel, "count the stock")
    assert status_of(connections, job.order_id) is P.DISPATCHED
    await report(parcel, P.DELIVERED)
    await until_closed(parcel)
