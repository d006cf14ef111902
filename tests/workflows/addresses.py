"""An order whose parcels all wait, so that its address can be changed, as tests drive and see it."""

import asyncio
from dataclasses import dataclass

from temporalio.client import Client, WorkflowUpdateHandle, WorkflowUpdateStage

from adapters.connections import Connections
from adapters.mysql.orders.stock import Stock
from domain.fulfilment import ParcelStatus
from schemas.address_changes import AddressAnswer, ChangeAddress
from schemas.base import Address
from schemas.order_requests import CancelOrder
from schemas.picking import PickedLine, PickParcel
from schemas.stock import SetStockRules
from temporal_clients.orders import RunningOrders
from tests.fixture_types import MakeProduct
from tests.workflows.orders import MOVED_BY_HAND, Order, Place
from tests.workflows.waiting import until, until_details
from workflows.orders.checkout import CheckoutWorkflow
from workflows.parcels.fulfilment import FulfilmentWorkflow

CUSTOMER, STAFF = "customer:test", "staff:test:warehouse"
CANCEL = CancelOrder(actor=CUSTOMER, reason="changed my mind")
# 30.00 and 30.01 for the goods and 4.90 for shipping, with 25 % tax in Denmark and 19 % in Germany.
DENMARK, GERMANY = 8114, 7724
# Without tax, but 22.90 for shipping.
AMERICA = 8291
# The first parcel's share of it, by the value of the goods; the second has the rest.
PICKED, PICKED_IN_GERMANY, PICKED_IN_AMERICA = 4056, 3861, 4145


def address(country: str, line1: str = "Neue Straße 2") -> Address:
    return Address(name="Test Customer", line1=line1, city="Anywhere", postal_code=MOVED_BY_HAND, country=country)


@dataclass
class Basket:
    """Two parcels: from Rotterdam 3 × 10.00, which wait for their pick, and 1 × 30.01, which has yet to arrive."""

    order: Order
    shirt: str
    coat: str
    stock: Stock
    client: Client

    async def pick(self) -> None:
        lines = [PickedLine(sku=line.sku, quantity=line.quantity) for line in self.order.view().parcels[0].lines]
        await self.order.parcel(1).execute_update(FulfilmentWorkflow.pick, PickParcel(lines=lines, actor=STAFF))

    async def receive(self) -> None:
        lines = [(self.coat, self.order.view().parcels[1].warehouse, 1)]
        arrived = await asyncio.to_thread(self.stock.receive, lines, "staff:test", "delivery")
        await RunningOrders(self.client).signal_allocations(arrived)

    async def deliver(self) -> None:
        await self.pick()
        await self.receive()
        await until(lambda: self.order.event_types().count("parcel.booked") == 2)
        await self.order.carrier_event(ParcelStatus.DISPATCHED, 1)
        await until(lambda: self.order.view().payment.captured.amount > 0)  # before the other parcel's share
        await self.order.delivered_all()


async def order_from_denmark(
    place: Place, make_product: MakeProduct, connections: Connections, client: Client, **fields: object
) -> Basket:
    shirt, coat = make_product(stock={"ROT": 9}, price=1000), make_product(stock=0, price=3001)
    stock = Stock(connections.engine)
    stock.set_rules(coat, SetStockRules(backorderable=True))
    order = await place({shirt: 3, coat: 1}, shipping_address=address("DK", "Kanalgade 3"), **fields)
    await order.first_answer()
    await until_details(order.parcel(1), "is booked once its pick is confirmed")
    await until_details(order.parcel(2), "waits for 1 backordered unit(s)")
    return Basket(order, shirt, coat, stock, client)


def change_of(country: str, method: str | None = None) -> ChangeAddress:
    return ChangeAddress(address=address(country), actor=CUSTOMER, payment_method=method)


async def move(order: Order, country: str, update_id: str | None = None, method: str | None = None) -> AddressAnswer:
    change = change_of(country, method)
    return await order.handle.execute_update(CheckoutWorkflow.change_address, change, id=update_id)


async def begin_to_move(order: Order, country: str, method: str | None = None) -> WorkflowUpdateHandle[AddressAnswer]:
    return await order.handle.start_update(
        CheckoutWorkflow.change_address, change_of(country, method), wait_for_stage=WorkflowUpdateStage.ACCEPTED
    )
