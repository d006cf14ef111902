"""Orders of which a parcel was lost or returned, and what staff answer to that."""

from typing import Protocol

import sqlalchemy as sa
from temporalio.client import Client

from adapters.connections import Connections
from adapters.mysql.orders.stock import Stock
from adapters.mysql.payments.ledger import Ledger
from adapters.mysql.tables.orders import operator_tasks
from domain.fulfilment import ParcelStatus
from domain.ledger import Account
from schemas.parcel_resolutions import ParcelResolutionAnswer, ResolutionAction, ResolveParcel
from temporal_clients.parcel_resolutions import ParcelResolutionClient
from tests.fixture_types import MakeProduct
from tests.workflows.orders import Order, Place
from tests.workflows.provider import Journal
from tests.workflows.waiting import until

P = ParcelStatus
STAFF = "staff:1:support"
IN_STOCK = 5
GOODS = {"BER": 1000, "AMS": 3001, "ROT": 2345}
# Of 63.46 for the goods, 4.90 for shipping and 12.99 tax, by the value of the goods.
TOTAL, SHARES = 8135, {1: 1282, 2: 3847, 3: 3006}


class Resolve(Protocol):
    async def __call__(
        self, order: Order, parcel: int, *, restock: bool = False, reason: str = "the carrier has given up"
    ) -> ParcelResolutionAnswer: ...


def resolve_by(client: Client, action: ResolutionAction) -> Resolve:
    resolutions = ParcelResolutionClient(client, 60)

    async def ask(
        order: Order, parcel: int, *, restock: bool = False, reason: str = "the carrier has given up"
    ) -> ParcelResolutionAnswer:
        command = ResolveParcel(
            order_id=order.id, parcel=parcel, action=action, reason=reason, actor=STAFF, restock=restock
        )
        return await resolutions.resolve(command)

    return ask


async def three_parcels_of_which_one_arrives(place: Place, make_product: MakeProduct) -> Order:
    """The first of three parcels was delivered, the second was lost, the third returned."""
    order = await place({make_product(stock={at: IN_STOCK}, price=price): 1 for at, price in GOODS.items()})
    await until(order.recorded)
    await until(lambda: order.event_types().count("parcel.booked") == 3)
    for parcel in SHARES:
        await order.carrier_event(P.DISPATCHED, parcel)
    await until(lambda: order.event_types().count("payment.captured") == 3)
    for parcel, end in ((1, P.DELIVERED), (2, P.LOST), (3, P.RETURNED)):
        await order.carrier_event(end, parcel)
    await order.handle.result()
    await until(lambda: {task.parcel for task in tasks_of(order)} == {2, 3})
    return order


async def only_parcel_comes_to(order: Order, end: ParcelStatus) -> None:
    """The one parcel of a booked order is dispatched and captured, and never arrives: the order has failed."""
    await order.carrier_event(P.DISPATCHED)
    await until(lambda: "payment.captured" in order.event_types())
    await order.carrier_event(end)
    await order.handle.result()
    await until(lambda: [task.parcel for task in tasks_of(order)] == [1])


def tasks_of(order: Order) -> list[sa.Row[tuple[object, ...]]]:
    """Its failed deliveries that wait for an operator."""
    columns = operator_tasks.c
    query = sa.select(operator_tasks).where(
        columns.order_id == order.id, columns.code == "delivery_failed", columns.resolved_at.is_(None)
    )
    with order.connections.engine.connect() as connection:
        return list(connection.execute(query.order_by(columns.parcel)).all())


def refunded(journal: Journal, order: Order) -> list[int]:
    return [entry["amount"] for entry in journal(order.id) if entry["effect"] == "refund"]


def levels(order: Order) -> list[tuple[int, int]]:
    """On hand and reserved of each line, in its warehouses."""
    stock = Stock(order.connections.engine)
    return [(level.on_hand, level.reserved) for line in order.input.lines for level in stock.levels(line.sku)]


def check_books(order: Order, connections: Connections, kept: int) -> None:
    """We keep what the customer has, and every entry balances."""
    balances = Ledger(connections.engine).balances(order.id)
    assert balances[Account.PROVIDER] + balances[Account.FEES] == kept
    assert (balances[Account.HELD], sum(balances.values())) == (0, 0)
