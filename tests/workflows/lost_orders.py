"""Orders that have lost their workflow, as tests make them, and have them adopted."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from temporalio.service import RPCError

from adapters.connections import Connections
from adapters.mysql.clock import naive
from adapters.mysql.payments.ledger import Ledger
from adapters.mysql.tables.orders import orders
from domain.ledger import EntryKind
from schemas.checkout import Adoption
from tests.workflows.orders import Order
from tests.workflows.waiting import Handle

STAFF = Adoption(actor="staff:test", reason="its workflow was terminated by mistake")
Adopt = Callable[..., Awaitable[None]]


async def lose(order: Order, *, with_children: bool) -> None:
    """Its workflow is gone; its children are abandoned, or gone as well."""
    await order.handle.terminate("by mistake")
    if with_children:
        children = [order.payment, *(order.parcel(parcel.number) for parcel in order.view().parcels)]
        await asyncio.gather(*map(_terminate, children))


async def _terminate(child: Handle) -> None:
    with suppress(RPCError):  # it has ended, or was not started yet
        await child.terminate("by mistake")


def age(connections: Connections, order: Order, by: timedelta = timedelta(hours=5), **values: object) -> None:
    """Nothing has happened in it for so long."""
    past = naive(datetime.now(UTC) - by)
    with connections.engine.begin() as connection:
        connection.execute(sa.update(orders).where(orders.c.id == order.id).values(updated_at=past, **values))


def check_money_and_stock(order: Order, connections: Connections, *dispatched: int) -> None:
    """Captured is what was dispatched, the rest is voided, and nothing is reserved, to the cent."""
    money = order.money()
    assert money[EntryKind.CAPTURE] + money[EntryKind.VOID] == money[EntryKind.AUTHORIZATION]
    assert sum(Ledger(connections.engine).balances(order.id).values()) == 0
    assert order.view().payment.held.amount == 0
    assert (money[EntryKind.CAPTURE] > 0) is bool(dispatched)
    assert order.reserved() == 0
