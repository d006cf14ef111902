"""Parcels that were lost or returned and are shipped again: once, from stock, and for the money of the first."""

import asyncio
from datetime import timedelta

import pytest
from temporalio.client import Client

from adapters.connections import Connections
from adapters.mysql.orders.promises import Promises
from adapters.mysql.orders.stock_reconciliations import StockReconciliations
from domain.fulfilment import ParcelStatus
from domain.orders import FulfilmentStatus, OrderStatus, PaymentStatus
from schemas.parcel_resolutions import ParcelResolution, ResolutionAction
from schemas.parcels import ParcelView
from temporal_clients.parcel_resolutions import ParcelResolutionClient
from tests.fixture_types import MakeProduct
from tests.workflows.carrier import CarrierControl
from tests.workflows.failed_deliveries import (
    SHARES,
    STAFF,
    TOTAL,
    Resolve,
    check_books,
    levels,
    only_parcel_comes_to,
    refunded,
    resolve_by,
    tasks_of,
    three_parcels_of_which_one_arrives,
)
from tests.workflows.orders import Order, Place
from tests.workflows.provider import Journal
from tests.workflows.refunds import made, refund
from tests.workflows.waiting import until
from workflows.parcels.fulfilment import FulfilmentWorkflow

P = ParcelStatus


@pytest.fixture
def refund_of(skipping: Client) -> Resolve:
    return resolve_by(skipping, ResolutionAction.REFUND)


@pytest.fixture
def ship_again(skipping: Client) -> Resolve:
    return resolve_by(skipping, ResolutionAction.SHIP_AGAIN)


@pytest.fixture
async def failed(place: Place, make_product: MakeProduct) -> Order:
    return await three_parcels_of_which_one_arrives(place, make_product)


@pytest.fixture
async def lost(booked: Order) -> Order:
    """The only parcel of the order was lost."""
    await only_parcel_comes_to(booked, P.LOST)
    return booked


def parcel_of(order: Order, number: int) -> ParcelView:
    return next(parcel for parcel in order.view().parcels if parcel.number == number)


def resolution_of(order: Order, number: int) -> ParcelResolution:
    found = parcel_of(order, number).resolution
    assert found is not None
    return found


async def until_status(order: Order, number: int, status: ParcelStatus) -> None:
    await until(lambda: parcel_of(order, number).status is status)


async def comes_to(order: Order, number: int, end: ParcelStatus) -> None:
    """The carrier takes what is shipped again, and it comes to this end."""
    await until_status(order, number, P.BOOKED)
    await order.carrier_event(P.DISPATCHED, number)
    await order.carrier_event(end, number)
    await until_status(order, number, end)


async def test_what_is_shipped_again_comes_from_stock_and_is_not_charged(
    *, failed: Order, ship_again: Resolve, carrier: CarrierControl, connections: Connections
) -> None:
    for reason in ("the carrier has given up", "asked again"):
        assert (await ship_again(failed, 2, reason=reason)).code is None
    old, new = parcel_of(failed, 2), parcel_of(failed, 4)
    done = resolution_of(failed, 2)
    assert (old.status, done.action, done.replacement, done.refund_id) == (P.LOST, "ship_again", 4, None)
    assert done.resolved_at is not None
    assert (new.replaces, new.warehouse, new.lines, new.resolution) == (2, "AMS", old.lines, None)
    assert new.ship_by is not None
    assert [task.parcel for task in tasks_of(failed)] == [3]
    event = failed.last_event("parcel.resolved")
    assert event.actor == STAFF
    assert event.data == {"parcel": 2, "action": "ship_again", "restocked": 0, "replacement": 4}
    await until_status(failed, 4, P.BOOKED)
    assert levels(failed) == [(4, 0), (4, 1), (4, 0)]
    await comes_to(failed, 4, P.DELIVERED)
    assert levels(failed) == [(4, 0), (3, 0), (4, 0)]
    assert carrier.statuses(failed.id, 4) == ["booked"]  # once; the events are those of this test
    view = failed.view()
    assert (view.status, view.fulfilment_status) == (OrderStatus.DELIVERED, FulfilmentStatus.PARTIALLY_DELIVERED)
    assert (view.payment_status, view.payment.captured.amount) == (PaymentStatus.CAPTURED, TOTAL)
    assert failed.event_types().count("parcel.resolved") == 1
    check_books(failed, connections, kept=TOTAL)
    skus = {line.sku for line in failed.input.lines}
    drifted = [text for one in StockReconciliations(connections.engine).check() for text in one.differences]
    assert not [text for text in drifted if any(sku in str(text) for sku in skus)]


async def test_an_order_that_had_failed_is_delivered_with_what_is_shipped_again(
    lost: Order, ship_again: Resolve
) -> None:
    view = lost.view()
    assert (view.status, view.failure_code) == (OrderStatus.FAILED, "not_delivered")
    assert (await ship_again(lost, 1)).code is None
    await until_status(lost, 2, P.BOOKED)
    view = lost.view()
    assert (view.status, view.fulfilment_status) == (OrderStatus.FAILED, FulfilmentStatus.UNFULFILLED)
    assert view.failure_code == "not_delivered"
    await lost.carrier_event(P.DISPATCHED, 2)
    await until_status(lost, 2, P.DISPATCHED)
    view = lost.view()
    assert (view.status, view.fulfilment_status) == (OrderStatus.FAILED, FulfilmentStatus.SHIPPED)
    await lost.carrier_event(P.DELIVERED, 2)
    await until_status(lost, 2, P.DELIVERED)
    view, last = lost.view(), lost.events()[-1]
    assert (view.status, view.fulfilment_status) == (OrderStatus.DELIVERED, FulfilmentStatus.DELIVERED)
    assert view.failure_code is None
    assert (last.type, last.status) == ("parcel.delivered", OrderStatus.DELIVERED)
    assert [line.cancelled for line in view.lines] == [0]


async def test_goods_that_came_back_are_the_ones_that_are_shipped_again(
    place: Place, make_product: MakeProduct, ship_again: Resolve, connections: Connections
) -> None:
    order = await place({make_product(stock=1): 1})
    await until(lambda: "parcel.booked" in order.event_types())
    await only_parcel_comes_to(order, P.RETURNED)
    refused = await ship_again(order, 1)
    sku = order.input.lines[0].sku
    assert (refused.code, refused.details) == (
        "insufficient_stock",
        {"lines": [{"sku": sku, "wanted": 1, "available": 0}]},
    )
    assert (len(order.view().parcels), parcel_of(order, 1).resolution) == (1, None)
    assert [task.parcel for task in tasks_of(order)] == [1]
    assert levels(order) == [(0, 0)]
    assert (await ship_again(order, 1, restock=True)).code is None
    assert tasks_of(order) == []
    assert (resolution_of(order, 1).restocked, levels(order)) == (True, [(1, 1)])
    await comes_to(order, 2, P.DELIVERED)
    assert levels(order) == [(0, 0)]
    check_books(order, connections, kept=order.view().total.amount)


async def test_another_warehouse_ships_again_what_the_first_has_no_more(
    place: Place, make_product: MakeProduct, ship_again: Resolve
) -> None:
    order = await place({make_product(stock={"BER": 1, "AMS": 1}): 1})
    await until(lambda: "parcel.booked" in order.event_types())
    first = parcel_of(order, 1).warehouse
    await only_parcel_comes_to(order, P.LOST)
    assert (await ship_again(order, 1, restock=True)).code == "invalid_request"
    assert (await ship_again(order, 1)).code is None
    assert {first, parcel_of(order, 2).warehouse} == {"BER", "AMS"}
    await comes_to(order, 2, P.DELIVERED)
    assert levels(order) == [(0, 0), (0, 0)]


async def test_what_is_shipped_again_and_lost_is_refunded_by_the_first_share_once(
    *, failed: Order, skipping: Client, ship_again: Resolve, refund_of: Resolve, provider_journal: Journal
) -> None:
    assert (await ship_again(failed, 2)).code is None
    await comes_to(failed, 4, P.LOST)
    await until(lambda: [task.parcel for task in tasks_of(failed)] == [3, 4])
    assert (await refund_of(failed, 2)).code == "parcel_resolved"
    assert (await refund_of(failed, 4)).code is None
    assert (await refund_of(failed, 4)).code is None
    assert refunded(provider_journal, failed) == [SHARES[2]]
    amount = resolution_of(failed, 4).amount
    assert amount is not None
    assert amount.amount == SHARES[2]
    assert [task.parcel for task in tasks_of(failed)] == [3]
    for parcel in (2, 4):
        assert (await refund(skipping, failed.id, parcel=parcel)).code == "nothing_to_refund"
    assert (await ship_again(failed, 4)).code == "parcel_resolved"
    assert (await refund_of(failed, 3)).code is None
    assert refunded(provider_journal, failed) == [SHARES[2], SHARES[3]]


async def test_what_is_shipped_again_may_be_shipped_a_third_time(
    lost: Order, ship_again: Resolve, connections: Connections
) -> None:
    assert (await ship_again(lost, 1)).code is None
    await comes_to(lost, 2, P.RETURNED)
    await until(lambda: [task.parcel for task in tasks_of(lost)] == [2])
    assert lost.view().fulfilment_status is FulfilmentStatus.RETURNED
    assert (await ship_again(lost, 2, restock=True)).code is None
    assert parcel_of(lost, 3).replaces == 2
    await comes_to(lost, 3, P.DELIVERED)
    assert levels(lost) == [(3, 0)]
    assert (lost.view().status, lost.view().fulfilment_status) == (OrderStatus.DELIVERED, FulfilmentStatus.DELIVERED)
    check_books(lost, connections, kept=lost.view().total.amount)


async def test_what_is_shipped_again_and_stopped_can_be_answered_again(
    lost: Order, ship_again: Resolve, refund_of: Resolve, provider_journal: Journal
) -> None:
    assert (await ship_again(lost, 1)).code is None
    await until_status(lost, 2, P.BOOKED)
    assert levels(lost) == [(4, 1)]
    await lost.parcel(2).signal(FulfilmentWorkflow.cancel)
    await until(lambda: [task.parcel for task in tasks_of(lost)] == [2])
    assert (parcel_of(lost, 2).status, levels(lost)) == (P.CANCELLED, [(4, 0)])
    assert (await refund_of(lost, 2)).code is None
    view = lost.view()
    assert refunded(provider_journal, lost) == [view.total.amount]
    assert (view.status, view.payment_status) == (OrderStatus.FAILED, PaymentStatus.REFUNDED)
    assert tasks_of(lost) == []


async def test_a_second_workflow_after_a_dead_one_ships_nothing_twice(
    lost: Order, ship_again: Resolve, carrier: CarrierControl
) -> None:
    assert (await ship_again(lost, 1)).code is None
    await until_status(lost, 2, P.BOOKED)
    await lost.parcel(2).terminate("by mistake")
    assert (await ship_again(lost, 1)).code is None
    await comes_to(lost, 2, P.DELIVERED)
    assert (await ship_again(lost, 1)).code is None
    assert len(lost.view().parcels) == 2
    assert len(carrier.statuses(lost.id, 2)) == 1
    assert lost.event_types().count("parcel.booked") == 2
    assert levels(lost) == [(3, 0)]


async def test_of_many_answers_at_once_one_counts(
    *, lost: Order, skipping: Client, ship_again: Resolve, refund_of: Resolve, provider_journal: Journal
) -> None:
    by_rule = ParcelResolutionClient(skipping, 60).refund_by_rule(lost.id, 1, "not answered in time")
    asked = [ship_again(lost, 1), refund_of(lost, 1), ship_again(lost, 1), by_rule, refund_of(lost, 1)]
    shipped, money, *others = [answer.code for answer in await asyncio.gather(*asked)]
    assert {shipped, money} == {None, "parcel_resolved"}
    assert others == [shipped, money, money]
    again = shipped is None
    assert len(lost.view().parcels) == (2 if again else 1)
    assert refunded(provider_journal, lost) == ([] if again else [lost.view().total.amount])


async def test_nothing_is_shipped_again_for_money_that_was_returned(
    failed: Order, skipping: Client, ship_again: Resolve, refund_of: Resolve
) -> None:
    made(await refund(skipping, failed.id, 100, parcel=2))
    refused = await ship_again(failed, 2)
    assert refused.code == "parcel_refunded"
    assert refused.details == {"refundable": {"amount": TOTAL - 100, "currency": "EUR"}}
    made(await refund(skipping, failed.id, TOTAL - 100 - SHARES[3] + 1))
    assert (await ship_again(failed, 3)).code == "parcel_refunded"
    assert len(failed.view().parcels) == 3
    assert (await refund_of(failed, 3)).code is None
    assert (await ship_again(failed, 3)).code == "parcel_resolved"


async def test_a_parcel_that_may_still_arrive_is_not_shipped_again(booked: Order, ship_again: Resolve) -> None:
    assert (await ship_again(booked, 1)).code == "illegal_move"
    assert (await ship_again(booked, 2)).code == "not_found"
    await booked.delivered()
    assert (await ship_again(booked, 1)).code == "illegal_move"
    assert len(booked.view().parcels) == 1


async def test_the_order_may_be_under_way_and_never_learn_of_it(
    place: Place, make_product: MakeProduct, ship_again: Resolve, connections: Connections
) -> None:
    """Its own parcels are all lost, and what was shipped again came before that."""
    order = await place({make_product(stock={"BER": 5}, price=1000): 1, make_product(stock={"AMS": 5}, price=3001): 1})
    await until(lambda: order.event_types().count("parcel.booked") == 2)
    for parcel in (1, 2):
        await order.carrier_event(P.DISPATCHED, parcel)
    await until(lambda: order.event_types().count("payment.captured") == 2)
    await order.carrier_event(P.LOST, 1)
    await until_status(order, 1, P.LOST)
    assert (await ship_again(order, 1)).code is None
    await comes_to(order, 3, P.DELIVERED)
    assert order.view().status is OrderStatus.SHIPPED
    await order.carrier_event(P.LOST, 2)
    await order.handle.result()
    view = order.view()
    assert (view.status, view.fulfilment_status) == (OrderStatus.DELIVERED, FulfilmentStatus.PARTIALLY_DELIVERED)
    assert "order.failed" not in order.event_types()
    assert view.failure_code is None
    assert levels(order) == [(3, 0), (4, 0)]
    check_books(order, connections, kept=view.total.amount)


async def test_what_is_shipped_again_too_late_is_listed_of_a_failed_order(
    lost: Order, ship_again: Resolve, connections: Connections
) -> None:
    assert (await ship_again(lost, 1)).code is None
    ship_by = parcel_of(lost, 2).ship_by
    assert ship_by is not None
    promises = Promises(connections.engine)
    late = [one for one in promises.late(ship_by + timedelta(seconds=1)) if one.order_id == lost.id]
    assert [(one.parcel, one.until) for one in late] == [(2, ship_by)]
    assert promises.record_late(late[0])
    assert parcel_of(lost, 2).late
    await comes_to(lost, 2, P.DELIVERED)
    assert lost.view().status is OrderStatus.DELIVERED
