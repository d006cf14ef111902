"""The cart on every tab and device: pushed when it changes, late without Redis, never wrong; it ends when it should."""

import asyncio
import json
import re
import statistics
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import httpx2
import pytest
import pytest_asyncio

from adapters.connections import Connections
from adapters.mysql.catalog.products import Catalog
from api.cart_feeds import MOST_STREAMS
from dev.testbed import Testbed, free_port
from schemas.catalog import Price
from tests.fixture_types import Customer, Headers, Json, MakeCustomer, MakeProduct, PlaceOrder

PATIENCE_SECONDS = 20.0


@dataclass
class Stream:
    """An open stream: what came, with when it came."""

    lines: AsyncIterator[str]
    pings: int = 0
    _event: dict[str, str] = field(default_factory=dict)

    async def next(self, seconds: float = PATIENCE_SECONDS) -> Json:
        """The next event's cart with its `id`; raises TimeoutError, StopAsyncIteration when the stream has ended."""
        async with asyncio.timeout(seconds):
            while True:
                line = await anext(self.lines)
                if line.startswith(": ping"):
                    self.pings += 1
                elif line:
                    name, _, value = line.partition(": ")
                    self._event[name] = value
                elif self._event:
                    event, self._event = self._event, {}
                    assert event["event"] == "cart"
                    cart: Json = json.loads(event["data"])
                    return cart | {"event_id": event["id"], "at": time.monotonic()}

    async def until(self, version: int, seconds: float = PATIENCE_SECONDS) -> Json:
        """The first that is of this version or a later one."""
        async with asyncio.timeout(seconds):
            while (cart := await self.next(seconds))["version"] < version:
                pass
            return cart

    async def silent(self, seconds: float) -> None:
        with pytest.raises(TimeoutError):
            await self.next(seconds)


@pytest_asyncio.fixture
async def client() -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(timeout=PATIENCE_SECONDS, limits=httpx2.Limits(max_connections=200)) as client:
        yield client


@asynccontextmanager
async def follow(client: httpx2.AsyncClient, address: str, headers: Headers) -> AsyncIterator[Stream]:
    async with client.stream("GET", f"{address}/v1/cart/events", headers=headers) as answer:
        assert answer.status_code == 200, await answer.aread()
        assert answer.headers["content-type"].startswith("text/event-stream")
        yield Stream(answer.aiter_lines())


async def put(client: httpx2.AsyncClient, address: str, headers: Headers, sku: str, quantity: int) -> Json:
    answer = await client.put(f"{address}/v1/cart/items/{sku}", json={"quantity": quantity}, headers=headers)
    assert answer.status_code == 200, answer.text
    cart: Json = answer.json()
    return cart


@pytest.fixture
def address(engine: Testbed) -> str:
    return engine.url("API_PORT")


async def test_it_begins_with_the_cart_as_it_is(
    client: httpx2.AsyncClient, address: str, customer: Customer, make_product: MakeProduct
) -> None:
    cart = await put(client, address, customer.headers, make_product(), 2)
    async with follow(client, address, customer.headers) as stream:
        first = await stream.next()
        assert first["event_id"] == str(cart["version"])
        assert {name: first[name] for name in cart} == cart


async def test_a_change_reaches_every_tab_on_every_process_within_200_ms(
    client: httpx2.AsyncClient, address: str, customer: Customer, make_product: MakeProduct, engine: Testbed
) -> None:
    sku = make_product(stock=100)
    took: list[float] = []
    with engine.another_api() as other:
        async with (
            follow(client, address, customer.headers) as here,
            follow(client, address, customer.headers) as twin,
            follow(client, other, customer.headers) as there,
        ):
            streams = (here, twin, there)
            for stream in streams:
                assert (await stream.next())["version"] == 0
            for quantity in range(1, 16):
                asked = time.monotonic()
                cart = await put(client, (address, other)[quantity % 2], customer.headers, sku, quantity)
                carts = await asyncio.gather(*(one.until(cart["version"]) for one in streams))
                assert [one["items"] for one in carts] == [cart["items"]] * 3
                took.append(max(one["at"] for one in carts) - asked)
    assert statistics.median(took) < 0.2, took


async def test_it_goes_on_where_it_was_broken_off(
    client: httpx2.AsyncClient, address: str, customer: Customer, make_product: MakeProduct
) -> None:
    sku = make_product()
    async with follow(client, address, customer.headers) as stream:
        await stream.next()
        await put(client, address, customer.headers, sku, 1)
        seen = (await stream.next())["event_id"]
    async with follow(client, address, customer.headers | {"Last-Event-ID": seen}) as stream:
        await stream.silent(1)
    for quantity in (2, 3):
        await put(client, address, customer.headers, sku, quantity)
    async with follow(client, address, customer.headers | {"Last-Event-ID": seen}) as stream:
        assert (await stream.next())["items"][0]["quantity"] == 3


async def test_a_stream_never_begins_with_an_older_cart_than_its_customer_knows(
    client: httpx2.AsyncClient, address: str, customer: Customer, make_product: MakeProduct
) -> None:
    sku = make_product(stock=100)
    async with follow(client, address, customer.headers) as open_all_the_time:
        for quantity in range(1, 21):
            cart = await put(client, address, customer.headers, sku, quantity)
            async with follow(client, address, customer.headers) as stream:
                assert (await stream.next())["version"] >= cart["version"]
        assert (await open_all_the_time.until(20))["items"][0]["quantity"] == 20


async def test_a_new_price_of_something_in_the_cart_is_an_event(
    client: httpx2.AsyncClient, address: str, customer: Customer, make_product: MakeProduct, connections: Connections
) -> None:
    sku, bystander = make_product(price=1000), make_product()
    await put(client, address, customer.headers, sku, 1)
    catalog = Catalog(connections.engine)
    async with follow(client, address, customer.headers) as stream:
        assert (await stream.next())["event_id"] == "1"

        def reprice(number: str, amount: int) -> None:
            product = catalog.product(number)
            assert product is not None
            begins = datetime.now(UTC) - timedelta(seconds=1)
            price = Price(amount=amount, currency="EUR", valid_from=begins)
            variant = product.variants[0].model_copy(update={"prices": [price]})
            catalog.put_many([product.model_copy(update={"variants": [variant]})])

        await asyncio.to_thread(reprice, bystander, 7)
        changed_at = time.monotonic()
        await asyncio.to_thread(reprice, sku, 1300)
        changed = await stream.next()
        assert changed["items"][0]["unit_price"]["amount"] == 1300
        assert [(one["sku"], one["kind"]) for one in changed["changes"]] == [(sku, "price")]
        assert re.fullmatch("1-[0-9a-f]{12}", changed["event_id"])
        assert changed["at"] - changed_at < 3, "the relay and Kafka, not the next look"
    headers = customer.headers | {"Last-Event-ID": "1"}
    async with follow(client, address, headers) as stream:
        assert (await stream.next())["event_id"] == changed["event_id"], "the version is the same, what is shown is not"
    async with follow(client, address, headers | {"Last-Event-ID": changed["event_id"]}) as stream:
        await stream.silent(1)


async def test_what_is_sold_out_is_an_event(
    client: httpx2.AsyncClient,
    address: str,
    customer: Customer,
    make_customer: MakeCustomer,
    make_product: MakeProduct,
    place_order: PlaceOrder,
) -> None:
    sku = make_product(stock=1)
    await put(client, address, customer.headers, sku, 1)
    buyer = make_customer()
    cart = await put(client, address, buyer.headers, sku, 1)
    async with follow(client, address, customer.headers) as stream:
        assert (await stream.next())["items"][0]["available"] is True
        where = {
            "name": "Ada",
            "line1": "Unter den Linden 1",
            "city": "Berlin",
            "postal_code": "10117",
            "country": "DE",
        }
        body = {"cart_version": cart["version"], "shipping_address": where, "payment_method": "pm_card_visa"}
        headers = buyer.headers | {"Idempotency-Key": uuid.uuid4().hex}
        answer = await client.post(f"{address}/v1/checkouts", json=body, headers=headers)
        assert answer.status_code == 201, answer.text
        changed = await stream.next()
        assert changed["changes"] == [{"sku": sku, "kind": "availability", "from": True, "to": False}]


async def test_the_order_that_empties_the_cart_is_an_event(
    client: httpx2.AsyncClient, address: str, customer: Customer, place_order: PlaceOrder
) -> None:
    async with follow(client, address, customer.headers) as stream:
        await stream.next()
        await asyncio.to_thread(place_order, customer)
        assert (await stream.until(2))["items"] == []


async def test_a_guest_follows_their_cart_too(
    client: httpx2.AsyncClient, address: str, make_product: MakeProduct
) -> None:
    guest = {"X-Cart-Token": uuid.uuid4().hex}
    async with follow(client, address, guest) as stream:
        await stream.next()
        await put(client, address, guest, make_product(), 1)
        assert (await stream.next())["version"] == 1
    assert (await client.get(f"{address}/v1/cart/events")).status_code == 401


async def test_a_slow_reader_gets_the_newest_and_no_backlog(
    client: httpx2.AsyncClient, address: str, customer: Customer, make_product: MakeProduct, connections: Connections
) -> None:
    """Its lines are many, so that the buffers between us fill up."""
    sku = make_product(stock=999)
    await put(client, address, customer.headers, sku, 1)
    owner = f"user:{customer.id}"
    document = connections.mongo["carts"].find_one({"_id": owner})
    assert document is not None
    (line,) = document["items"].values()
    lines = {f"{'L' * 50}-{number}": line for number in range(499)} | document["items"]
    connections.mongo["carts"].update_one({"_id": owner}, {"$set": {"items": lines}})
    connections.redis.delete(f"cart:{owner}")
    reader, writer = await asyncio.open_connection("127.0.0.1", int(address.rsplit(":", 1)[1]), limit=4096)
    signed_in = customer.headers["Authorization"]
    writer.write(f"GET /v1/cart/events HTTP/1.1\r\nHost: x\r\nAuthorization: {signed_in}\r\n\r\n".encode())
    await reader.readuntil(b"\r\n\r\n")
    for quantity in range(2, 122):
        await put(client, address, customer.headers, sku, quantity)
    seen: list[int] = []
    async with asyncio.timeout(60):
        rest = b""
        while not seen or seen[-1] < 121:
            rest += await reader.read(1 << 20)
            *whole, rest = rest.split(b"\n")
            seen += [int(one[4:].split(b"-")[0]) for one in whole if one.startswith(b"id: ")]
    writer.close()
    assert seen == sorted(set(seen))
    assert len(seen) < 120, "what nobody read in time was never sent"


async def test_a_cart_is_watched_from_so_many_places_and_no_more(
    client: httpx2.AsyncClient, address: str, customer: Customer
) -> None:
    streams = [follow(client, address, customer.headers) for _ in range(MOST_STREAMS)]
    for stream in streams:
        await stream.__aenter__()
    refused = await client.get(f"{address}/v1/cart/events", headers=customer.headers)
    assert (refused.status_code, refused.json()["code"]) == (429, "too_many_streams")
    assert refused.headers["retry-after"]
    for stream in streams:
        await stream.__aexit__(None, None, None)
    async with asyncio.timeout(PATIENCE_SECONDS):
        while (
            await client.send(
                client.build_request("GET", f"{address}/v1/cart/events", headers=customer.headers), stream=True
            )
        ).status_code == 429:
            await asyncio.sleep(0.1)


async def test_a_revoked_token_ends_the_stream(client: httpx2.AsyncClient, address: str, customer: Customer) -> None:
    async with follow(client, address, customer.headers) as stream:
        await stream.next()
        assert (
            await client.post(f"{address}/v1/users/me/logout-everywhere", headers=customer.headers)
        ).status_code == 204
        with pytest.raises(StopAsyncIteration):
            await stream.next(10)


async def test_streams_end_at_once_when_the_process_is_asked_to(
    client: httpx2.AsyncClient, customer: Customer, engine: Testbed
) -> None:
    with engine.another_api() as other:
        name = f"api-{other.rsplit(':', 1)[1]}"
        async with follow(client, other, customer.headers) as stream:
            await stream.next()
            asked = time.monotonic()
            engine.processes[name].terminate()
            with pytest.raises(StopAsyncIteration):
                await stream.next(10)
            assert time.monotonic() - asked < 3
        assert await asyncio.to_thread(engine.processes[name].wait, 20) == 0


async def test_without_redis_it_is_late_and_never_wrong(
    client: httpx2.AsyncClient, address: str, customer: Customer, make_product: MakeProduct, engine: Testbed
) -> None:
    sku = make_product()
    with engine.another_api(ORDERS_REDIS_URL=f"redis://127.0.0.1:{free_port()}/0") as lonely:
        async with (
            follow(client, lonely, customer.headers) as there,
            follow(client, address, customer.headers) as here,
        ):
            for stream in (there, here):
                await stream.next()
            # Nobody receives these: the first process cannot receive signals, the second cannot send them.
            for quantity, writer in ((1, address), (2, lonely), (3, address)):
                cart = await put(client, writer, customer.headers, sku, quantity)
                for stream in (there, here):
                    changed = await stream.until(cart["version"], 15)
                    assert changed["items"] == cart["items"]


async def test_a_sign_of_life_comes_when_nothing_else_does(
    client: httpx2.AsyncClient, address: str, customer: Customer
) -> None:
    async with follow(client, address, customer.headers) as stream:
        await stream.next()
        await stream.silent(17)
        assert stream.pings >= 1
