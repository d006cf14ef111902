"""Parcels that were lost or returned: refunded once, to the cent, by staff or by rule, and goods back in stock."""

import asyncio
from collections import Counter
from datetime import timedelta

import pytest
import sqlalchemy as sa
from temporalio.client import Client

from adapters.connections import Connections
from adapters.mysql.clock import aware
from adapters.mysql.orders.operator_tasks import OperatorTaskStore
from adapters.mysql.orders.stock import Stock
from adapters.mysql.orders.stock_reconciliations import StockReconciliations
from adapters.mysql.tables.orders import parcels
from domain.fulfilment import ParcelStatus
from domain.orders import PaymentStatus
from schemas.operator_tasks import OperatorTask, OperatorTaskCode, RecordOperatorTasks
from schemas.parcel_resolutions import ResolutionAction
from temporal_clients.parcel_resolutions import ParcelResolutionClient
from tests.fixture_types import MakeProduct
from tests.workflows.failed_deliveries import (
    SHARES,
    STAFF,
    TOTAL,
    Resolve,
    check_books,
    levels,
    refunded,
    resolve_by,
    tasks_of,
    three_parcels_of_which_one_arrives,
)
from tests.workflows.orders import Order, Place
from tests.workflows.provider import Journal, MakeFault
from tests.workflows.refunds import made, refund, refused
from tests.workflows.waiting import until, until_async
from workflows.names import fulfilment_workflow_id

P = ParcelStatus


@pytest.fixture
def resolutions(skipping: Client) -> ParcelResolutionClient:
    return ParcelResolutionClient(skipping, 60)


@pytest.fixture
def resolve(skipping: Client) -> Resolve:
    return resolve_by(skipping, ResolutionAction.REFUND)


@pytest.fixture
async def failed(place: Place, make_product: MakeProduct) -> Order:
    return await three_parcels_of_which_one_arrives(place, make_product)


async def test_a_lost_parcel_is_refunded_by_its_share_and_once(
    failed: Order, resolve: Resolve, provider_journal: Journal, connections: Connections
) -> None:
    assert (await resolve(failed, 2)).code is None
    assert (await resolve(failed, 2, reason="asked again")).code is None
    assert refunded(provider_journal, failed) == [SHARES[2]]
    view = failed.view()
    shown = view.parcels[1].resolution
    assert shown is not None
    assert shown.amount is not None
    assert (shown.action, shown.amount.amount, shown.restocked) == (ResolutionAction.REFUND, SHARES[2], False)
    assert (view.payment_status, view.payment.refunded.amount) == (PaymentStatus.PARTIALLY_REFUNDED, SHARES[2])
    assert [parcel.resolution for parcel in (view.parcels[0], view.parcels[2])] == [None, None]
    assert [task.parcel for task in tasks_of(failed)] == [3]
    event = failed.last_event("parcel.resolved")
    assert (event.actor, event.data) == (STAFF, {"parcel": 2, "action": "refund", "restocked": 0})
    assert failed.event_types().count("parcel.resolved") == 1
    assert levels(failed) == [(4, 0), (4, 0), (4, 0)]
    check_books(failed, connections, kept=SHARES[1] + SHARES[3])


async def test_goods_that_came_back_are_in_stock_again_when_staff_say_so(
    failed: Order, resolve: Resolve, provider_journal: Journal, connections: Connections
) -> None:
    for_lost = await resolve(failed, 2, restock=True)
    assert (for_lost.code, "did not come back" in str(for_lost.details)) == ("invalid_request", True)
    assert (await resolve(failed, 3, restock=True)).code is None
    assert (await resolve(failed, 3, restock=True)).code is None
    assert (await resolve(failed, 3)).code is None
    assert (await resolve(failed, 2)).code is None
    too_late = await resolve(failed, 2, restock=True)
    assert too_late.code == "parcel_resolved"
    assert levels(failed) == [(4, 0), (4, 0), (5, 0)]
    sku = failed.input.lines[2].sku
    back = [one for one in Stock(connections.engine).movements(sku, None, 50).items if one.kind == "restocked"]
    assert [(one.quantity, one.order_id, one.actor) for one in back] == [(1, failed.id, STAFF)]
    assert Counter(refunded(provider_journal, failed)) == Counter([SHARES[2], SHARES[3]])
    assert tasks_of(failed) == []
    skus = {line.sku for line in failed.input.lines}
    drifted = [text for one in StockReconciliations(connections.engine).check() for text in one.differences]
    assert not [text for text in drifted if any(sku in str(text) for sku in skus)]
    check_books(failed, connections, kept=SHARES[1])


async def test_many_at_once_are_one_refund(
    failed: Order, resolutions: ParcelResolutionClient, resolve: Resolve, provider_journal: Journal
) -> None:
    by_rule = [resolutions.refund_by_rule(failed.id, 2, "not answered in time") for _ in range(3)]
    answers = await asyncio.gather(*by_rule, *(resolve(failed, 2) for _ in range(3)))
    assert {answer.code for answer in answers} == {None}
    assert refunded(provider_journal, failed) == [SHARES[2]]
    assert failed.event_types().count("parcel.resolved") == 1


async def test_beside_a_refund_of_the_order_nothing_is_refunded_twice(
    failed: Order, skipping: Client, resolve: Resolve, provider_journal: Journal
) -> None:
    """A refund that names no parcel may be for another one, as long as enough is left."""
    made(await refund(skipping, failed.id, 1282))
    assert (await resolve(failed, 2)).code is None
    made(await refund(skipping, failed.id, 2000))
    assert (await resolve(failed, 3)).code is None
    assert refunded(provider_journal, failed) == [1282, SHARES[2], 2000, TOTAL - 1282 - SHARES[2] - 2000]
    assert failed.view().payment_status is PaymentStatus.REFUNDED
    assert tasks_of(failed) == []


async def test_what_was_refunded_of_the_parcel_already_is_left_out(
    failed: Order, skipping: Client, resolve: Resolve, provider_journal: Journal
) -> None:
    made(await refund(skipping, failed.id, 1000, parcel=2))
    too_much = await refund(skipping, failed.id, SHARES[2], parcel=2)
    assert refused(too_much) == ("refund_exceeds_captured", SHARES[2] - 1000)
    assert (await resolve(failed, 2)).code is None
    made(await refund(skipping, failed.id, parcel=3))
    assert (await refund(skipping, failed.id, parcel=3)).code == "nothing_to_refund"
    assert (await resolve(failed, 3)).code is None
    assert refunded(provider_journal, failed) == [1000, SHARES[2] - 1000, SHARES[3]]
    shown = failed.view().parcels[2].resolution
    assert shown is not None
    assert (shown.refund_id, shown.amount, shown.resolved_at is not None) == (None, None, True)
    assert tasks_of(failed) == []


async def test_a_refund_the_provider_refuses_leaves_the_parcel_to_be_answered(
    failed: Order, resolve: Resolve, provider_fault: MakeFault, provider_journal: Journal
) -> None:
    fault = provider_fault("400", "refund", times=100_000)
    answer = await resolve(failed, 2)
    assert (answer.code, failed.view().parcels[1].resolution) == ("refund_refused", None)
    fault.end()
    assert [task.parcel for task in tasks_of(failed)] == [2, 3]
    assert (await resolve(failed, 2)).code is None
    assert refunded(provider_journal, failed) == [SHARES[2]]


async def test_a_parcel_that_may_still_arrive_is_not_refunded(booked: Order, resolve: Resolve) -> None:
    assert (await resolve(booked, 1)).code == "illegal_move"
    assert (await resolve(booked, 2)).code == "not_found"
    await booked.delivered()
    delivered = await resolve(booked, 1)
    assert (delivered.code, delivered.details) == ("illegal_move", {"parcel": 1, "current": "delivered"})
    assert booked.view().parcels[0].resolution is None


async def test_a_parcel_that_is_not_captured_yet_is_refunded_when_it_is(
    booked: Order, resolve: Resolve, provider_fault: MakeFault, provider_journal: Journal
) -> None:
    fault = provider_fault("fail_before", "capture", times=100_000)
    await booked.carrier_event(P.DISPATCHED)
    await booked.carrier_event(P.LOST)
    await until(lambda: booked.view().parcels[0].status is P.LOST)
    early = await resolve(booked, 1)
    assert (early.code, early.message) == ("refund_exceeds_captured", "Parcel 1 is not captured yet.")
    fault.end()
    await booked.handle.result()
    assert (await resolve(booked, 1)).code is None
    total = booked.view().total.amount
    assert refunded(provider_journal, booked) == [total]
    assert booked.view().payment_status is PaymentStatus.REFUNDED


async def test_the_task_says_when_a_rule_refunds_and_which_route_acts(
    failed: Order, resolutions: ParcelResolutionClient, connections: Connections, provider_journal: Journal
) -> None:
    lost, returned = tasks_of(failed)
    rows = sa.select(parcels.c.number, parcels.c.updated_at).where(parcels.c.order_id == failed.id)
    with connections.engine.connect() as connection:
        ended = {row.number: aware(row.updated_at) for row in connection.execute(rows)}
    for task, days in ((lost, 3), (returned, 7)):
        due = ended[task.parcel] + timedelta(days=days)
        assert abs(aware(task.due_at) - due) < timedelta(seconds=1)
        assert task.route == f"POST /v1/ops/orders/{failed.id}/parcels/{task.parcel}/resolution"
        assert task.outlasts
        assert (await resolutions.refund_by_rule(failed.id, task.parcel, "not answered in time")).code is None
    assert tasks_of(failed) == []
    assert {event.actor for event in failed.events() if event.type == "parcel.resolved"} == {"system:watchdog"}
    assert Counter(refunded(provider_journal, failed)) == Counter([SHARES[2], SHARES[3]])
    assert levels(failed) == [(4, 0), (4, 0), (4, 0)]


async def test_a_task_that_is_recorded_after_its_parcel_was_answered_is_resolved(
    failed: Order, resolve: Resolve, connections: Connections
) -> None:
    """Tasks are written beside the workflow, which may be late while its database is busy."""
    (task, _), store = tasks_of(failed), OperatorTaskStore(connections.engine)
    assert (await resolve(failed, 2)).code is None

    def record(revision: int, about: str) -> None:
        late = OperatorTask(
            code=OperatorTaskCode.DELIVERY_FAILED,
            about=about,
            text="parcel 2 is lost",
            since=aware(task.since),
            parcel=2,
            outlasts=True,
        )
        command = RecordOperatorTasks(
            workflow_id=fulfilment_workflow_id(failed.id, 2), revision=revision, order_id=failed.id, tasks=[late]
        )
        store.record(command)

    for revision, about in enumerate(("end", "another"), start=1):
        record(task.revision + revision, about)
        assert [waiting.parcel for waiting in tasks_of(failed)] == [3]


async def test_the_order_may_be_under_way_with_its_other_parcels(
    place: Place, make_product: MakeProduct, resolve: Resolve, provider_journal: Journal
) -> None:
    order = await place({make_product(stock={"BER": 5}, price=1000): 1, make_product(stock={"AMS": 5}, price=3001): 1})
    await order.first_answer()
    await until(lambda: order.event_types().count("parcel.booked") == 2)
    await order.carrier_event(P.DISPATCHED, 1)
    await order.carrier_event(P.LOST, 1)
    await until(lambda: "payment.captured" in order.event_types() and bool(tasks_of(order)))

    async def done() -> bool:
        return (await resolve(order, 1)).code is None

    await until_async(done)
    (share,) = refunded(provider_journal, order)
    await order.carrier_event(P.DISPATCHED, 2)
    await order.carrier_event(P.DELIVERED, 2)
    await order.handle.result()
    view = order.view()
    assert (view.payment.captured.amount, view.payment.refunded.amount) == (view.total.amount, share)
    assert view.payment_status is PaymentStatus.PARTIALLY_REFUNDED
    assert (await resolve(order, 1)).code is None
    assert refunded(provider_journal, order) == [share]
