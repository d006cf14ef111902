"""A step on our own stores that is under way when its order is cancelled ends before the compensation begins."""

import sqlalchemy as sa
from temporalio.client import WorkflowUpdateStage

from adapters.connections import Connections
from adapters.mysql.tables.stock import stock
from domain.orders import OrderStatus
from schemas.order_requests import CancelOrder
from tests.fixture_types import MakeProduct
from tests.workflows.orders import Place
from tests.workflows.waiting import until
from workflows.orders.checkout import CheckoutWorkflow

CANCEL = CancelOrder(actor="customer:test", reason="changed my mind")


async def test_a_cancelled_write_does_not_land_after_its_compensation(
    place_in_real_time: Place, make_product: MakeProduct, connections: Connections
) -> None:
    sku = make_product(stock=5)
    with connections.engine.connect() as holder:
        holder.execute(sa.select(stock.c.sku).where(stock.c.sku == sku).with_for_update())
        order = await place_in_real_time({sku: 1})
        await until(lambda: waits_for_lock(connections.engine))
        cancelled = await order.handle.start_update(
            CheckoutWorkflow.cancel, CANCEL, wait_for_stage=WorkflowUpdateStage.ACCEPTED
        )
        holder.rollback()
    assert (await cancelled.result()).status is OrderStatus.CANCELLED
    assert "order.stock_released" in order.event_types()  # placed after all, and compensated after that
    assert (order.reserved(), order.available()) == (0, 5)


def waits_for_lock(engine: sa.Engine) -> bool:
    """Whether another connection to this database is in the statement that locks stock.

    The question names what it looks for, so it would find itself."""
    statement = (
        "SELECT COUNT(*) FROM information_schema.processlist"
        " WHERE db = DATABASE() AND id <> CONNECTION_ID() AND info LIKE :like"
    )
    with engine.connect() as connection:
        return bool(connection.execute(sa.text(statement), {"like": "%FROM stock%FOR UPDATE%"}).scalar_one())
