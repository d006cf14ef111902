"""A customer at the door of the running engine, and the eyes of an outsider on everything behind it."""

import asyncio
import json
import time
import uuid
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import httpx2
import pytest

from adapters.connections import Connections
from adapters.mysql.orders.stock import Stock
from dev.testbed import Testbed
from dev.topics import messages_of
from schemas.events import ORDERS_TOPIC
from tests.fixture_types import Json, MakeCustomer

ADDRESS = {
    "name": "Test Customer",
    "line1": "Teststraße 1",
    "city": "Berlin",
    "postal_code": "10117",
    "country": "DE",
}


@dataclass
class Shopper:
    """A customer who fills a cart and checks out, through the public API alone."""

    client: httpx2.AsyncClient
    email: str
    id: str

    async def fill_cart(self, **lines: int) -> int:
        cart: Json = {}
        for sku, quantity in lines.items():
            answer = await self.client.put(f"/v1/cart/items/{sku}", json={"quantity": quantity})
            assert answer.status_code == httpx2.codes.OK, answer.text
            cart = answer.json()
        return int(cart["version"])

    async def check_out(
        self, cart_version: int, payment_method: str = "pm_card_visa", key: str | None = None, **address: str
    ) -> httpx2.Response:
        order = {
            "cart_version": cart_version,
            "shipping_address": ADDRESS | address,
            "shipping_method": "standard",
            "payment_method": payment_method,
        }
        return await self.client.post(
            "/v1/checkouts", json=order, headers={"Idempotency-Key": key or str(uuid.uuid4())}
        )

    async def order(self, order_id: str) -> Json:
        answer = await self.client.get(f"/v1/orders/{order_id}")
        body: Json = answer.json()
        return body

    async def history(self, order_id: str) -> list[Json]:
        answer = await self.client.get(f"/v1/orders/{order_id}/history")
        items: list[Json] = answer.json()["items"]
        return items

    async def until(self, order_id: str, status: str, seconds: float = 120) -> Json:
        """Wait until the order has this status and its money is settled."""
        async with asyncio.timeout(seconds):
            while True:
                order = await self.order(order_id)
                settled = order.get("payment_status") in ("captured", "voided", "not_paid")
                if order["status"] == status and settled:
                    return order
                await asyncio.sleep(0.1)


# Units of a SKU that are reserved, and that can be sold.
Reserved: TypeAlias = Callable[[str], tuple[int, int]]
# What the payment provider did for an order: (effect, amount) each.
Charges: TypeAlias = Callable[[str], list[tuple[str, int]]]
MakeShopper: TypeAlias = Callable[[], Shopper]


class MoveParcel(Protocol):
    """Lets the carrier move an order's first parcel on, once it is booked there."""

    def __call__(self, order_id: str, status: str) -> None: ...


class OnKafka(Protocol):
    """The events of an order, or of another aggregate of a topic, as any consumer sees them, in the order they came."""

    def __call__(self, aggregate_id: str, topic: str = ORDERS_TOPIC) -> list[Json]: ...


class MailedSeqs(Protocol):
    """The seqs of the events that were mailed to a customer about an order."""

    def __call__(self, email: str, order_id: str) -> list[int]: ...


@pytest.fixture
async def make_shopper(engine: Testbed, make_customer: MakeCustomer) -> AsyncIterator[MakeShopper]:
    clients: list[httpx2.AsyncClient] = []

    def make() -> Shopper:
        customer = make_customer()
        client = httpx2.AsyncClient(base_url=engine.url("API_PORT"), headers=customer.headers, timeout=30)
        clients.append(client)
        return Shopper(client, customer.email, customer.id)

    yield make
    for client in clients:
        await client.aclose()


@pytest.fixture
def shopper(make_shopper: MakeShopper) -> Shopper:
    return make_shopper()


@pytest.fixture
def reserved(connections: Connections) -> Reserved:
    def look(sku: str) -> tuple[int, int]:
        levels = Stock(connections.engine).levels(sku)
        return sum(level.reserved for level in levels), sum(level.available for level in levels)

    return look


@pytest.fixture
def charges(engine: Testbed) -> Charges:
    def read(order_id: str) -> list[tuple[str, int]]:
        address = f"{engine.url('PAYMENT_SIMULATOR_PORT')}/_ledger"
        rows = httpx2.get(address, params={"order_id": order_id}).json()["data"]
        return [(row["effect"], row["amount"]) for row in rows]

    return read


@pytest.fixture
def move_parcel(engine: Testbed) -> MoveParcel:
    def move(order_id: str, status: str) -> None:
        carrier = engine.url("CARRIER_SIMULATOR_PORT")
        for _ in range(1200):
            booked = httpx2.get(f"{carrier}/_ledger", params={"reference": f"{order_id}-1"}).json()["data"]
            if booked:
                break
            time.sleep(0.1)
        httpx2.post(f"{carrier}/_control/shipments/{booked[0]['id']}/advance", json={"to": status}).raise_for_status()

    return move


@pytest.fixture
def on_kafka(engine: Testbed) -> OnKafka:
    def read(aggregate_id: str, topic: str = ORDERS_TOPIC) -> list[Json]:
        messages = messages_of(engine.settings, f"{engine.settings.name_prefix}{topic}")
        return [json.loads(m.value() or b"") for m in messages if m.key() == aggregate_id.encode()]

    return read


@pytest.fixture
def mailed_seqs(engine: Testbed) -> MailedSeqs:
    def read(email: str, order_id: str) -> list[int]:
        mail = engine.url("MAIL_UI_PORT")
        found = httpx2.get(f"{mail}/api/v1/search", params={"query": f"to:{email}", "limit": 200}).json()
        headers = [httpx2.get(f"{mail}/api/v1/message/{m['ID']}/headers").json() for m in found["messages"]]
        return sorted(int(h["X-Order-Event-Seq"][0]) for h in headers if h.get("X-Order-Id") == [order_id])

    return read
