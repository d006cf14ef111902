"""Whatever waits for a person is found by search attribute and listed in MySQL, and is cleared when it is over."""

import asyncio
import threading
from datetime import datetime

import sqlalchemy as sa

from adapters.connections import Connections
from adapters.mysql.orders.operator_tasks import open_tasks
from adapters.mysql.tables.orders import operator_tasks
from domain.orders import OrderStatus
from schemas.operator_tasks import OperatorTaskView
from schemas.risk import Review, Verdict
from tests.fixture_types import MakeProduct
from tests.workflows.orders import Order, Place
from tests.workflows.waiting import Handle, search_attributes, until
from workflows.names import NEEDS_OPERATOR, ORDER_NUMBER, PAYMENT_STATUS, STUCK_SINCE
from workflows.orders.checkout import CheckoutWorkflow

RISKY = "pm_card_riskLevelElevated"


def listed(order: Order) -> list[OperatorTaskView]:
    """As MySQL has it."""
    with order.connections.engine.connect() as connection:
        return open_tasks(connection, [order.id]).get(order.id, [])


async def shown(handle: Handle) -> tuple[object, object]:
    """As the search attributes have it."""
    attributes = await search_attributes(handle)
    since = attributes.get(STUCK_SINCE.name)
    return attributes.get(NEEDS_OPERATOR.name), datetime.fromisoformat(str(since)) if since else None


async def test_an_order_on_hold_needs_an_operator_until_somebody_decides(
    place_in_real_time: Place, make_product: MakeProduct
) -> None:
    order = await place_in_real_time({make_product(stock=5): 1}, payment_method=RISKY)
    await order.first_answer()
    await until(lambda: listed(order))
    (task,) = listed(order)
    assert (task.code, task.route) == ("risk_review", f"POST /v1/ops/orders/{order.id}/risk")
    assert task.until is not None
    assert task.until > task.since
    assert await shown(order.handle) == (["risk_review"], task.since)
    review = Review(verdict=Verdict.DECLINE, reason="stolen", actor="staff:test")
    await order.handle.execute_update(CheckoutWorkflow.review, review)
    await order.handle.result()
    assert listed(order) == []
    assert await shown(order.handle) == (None, None)


async def test_a_plain_order_shows_its_number_and_payment_and_costs_no_event_more(
    place: Place, make_product: MakeProduct, connections: Connections
) -> None:
    order = await place({make_product(stock=5): 1})
    await order.first_answer()
    view = await order.delivered()
    attributes = await search_attributes(order.handle)
    assert attributes[ORDER_NUMBER.name] == view.number
    assert attributes[PAYMENT_STATUS.name] == view.payment_status
    events = (await order.handle.fetch_history()).events
    upserts = [one for one in events if one.HasField("upsert_workflow_search_attributes_event_attributes")]
    named = [
        set(one.upsert_workflow_search_attributes_event_attributes.search_attributes.indexed_fields) for one in upserts
    ]
    assert all("OrderStatus" in names for names in named), named
    assert not any("NeedsOperator" in names for names in named)


async def test_what_waits_is_recorded_once_mysql_is_back_and_ends_with_its_workflow(
    place_in_real_time: Place, make_product: MakeProduct, connections: Connections
) -> None:
    order = await place_in_real_time({make_product(stock=5): 1}, payment_method=RISKY)
    held = asyncio.Event()

    def lock_rows(release: threading.Event) -> None:
        with connections.engine.begin() as connection:
            connection.execute(sa.text("LOCK TABLES operator_tasks WRITE"))
            loop.call_soon_threadsafe(held.set)
            release.wait()
            connection.execute(sa.text("UNLOCK TABLES"))

    loop, release = asyncio.get_running_loop(), threading.Event()
    locking = asyncio.create_task(asyncio.to_thread(lock_rows, release))
    await held.wait()
    try:
        await order.first_answer()
        review = Review(verdict=Verdict.APPROVE, reason="a regular", actor="staff:test")
        await order.handle.execute_update(CheckoutWorkflow.review, review)
        await order.until(OrderStatus.PROCESSING)  # it went on although its task could not be recorded
    finally:
        release.set()
    await locking
    await order.delivered()
    assert listed(order) == []
    tasks = sa.select(operator_tasks.c.resolved_at).where(operator_tasks.c.workflow_id == order.handle.id)
    with connections.engine.connect() as connection:
        assert all(connection.scalars(tasks))
