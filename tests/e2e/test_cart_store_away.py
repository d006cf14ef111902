"""The store of the carts is away: orders that run go on, and the cart is emptied when it is back."""

import asyncio
from urllib.parse import urlsplit

import httpx2
import pytest

from dev.testbed import Testbed
from tests.e2e.conftest import Shopper
from tests.fixture_types import MakeProduct
from tests.proxy import Wire


@pytest.mark.timeout(240)
async def test_an_order_is_delivered_while_its_cart_cannot_be_emptied(
    engine: Testbed, shopper: Shopper, make_product: MakeProduct
) -> None:
    bystander, sku = make_product(stock=5), make_product(stock=5)
    url = urlsplit(engine.environment["ORDERS_MONGO_URL"])
    assert url.port is not None
    with Wire(url.port) as wire:
        engine.stop("order-worker")
        engine.start("order-worker", ORDERS_MONGO_URL=url._replace(netloc=f"127.0.0.1:{wire.port}").geturl())
        try:
            version = await shopper.fill_cart(**{sku: 2})
            wire.cut()
            answer = await shopper.check_out(version)
            assert answer.status_code in (201, 202), answer.text
            await shopper.fill_cart(**{bystander: 1})
            order = await shopper.until(answer.json()["id"], "delivered", 120)
            assert [(line["sku"], line["quantity"]) for line in order["lines"]] == [(sku, 2)]
            assert lines(await shopper.client.get("/v1/cart")) == {sku: 2, bystander: 1}
            wire.mend()
            async with asyncio.timeout(120):
                while lines(cart := await shopper.client.get("/v1/cart")) != {bystander: 1}:
                    assert cart.status_code == 200
                    await asyncio.sleep(0.3)
        finally:
            engine.stop("order-worker")
            engine.start("order-worker")


def lines(answer: httpx2.Response) -> dict[str, int]:
    return {line["sku"]: line["quantity"] for line in answer.json()["items"]}
