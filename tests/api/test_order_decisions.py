"""A cart of which only a part can be had by now, over HTTP."""

import uuid

import httpx2
import pytest

from adapters.connections import Connections
from adapters.mysql.orders.stock import Poster, Stock
from schemas.stock import NewMovement
from tests.buyer import DECLINED, Buyer
from tests.fixture_types import Json, MakeProduct


@pytest.fixture
def short(buyer: Buyer, make_product: MakeProduct, connections: Connections) -> tuple[str, int]:
    """A SKU with three units in the cart, two of which were found broken since; and the cart's version."""
    sku = make_product(stock={"BER": 3})
    version = buyer.fill(sku, 3)
    broken = NewMovement(kind="adjusted", warehouse="BER", quantity=-2, reason="found broken")
    Stock(connections.engine).post(sku, broken, Poster("test", uuid.uuid4().hex))
    return sku, version


def code_of(answer: httpx2.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def test_without_asking_nothing_is_ordered_and_the_shortage_is_named(buyer: Buyer, short: tuple[str, int]) -> None:
    sku, version = short
    answer = buyer.check_out(version)
    assert code_of(answer) == (409, "out_of_stock")
    assert answer.json()["lines"] == [{"sku": sku, "wanted": 3, "available": 1}]
    assert buyer.api.get("/v1/orders", headers=buyer.headers).json()["items"] == []


def test_a_part_is_taken(buyer: Buyer, short: tuple[str, int]) -> None:
    sku, version = short
    key = uuid.uuid4().hex
    answer = buyer.check_out(version, key=key, on_shortage="ask")
    assert answer.status_code == 201, answer.text
    order = answer.json()
    assert order["status"] == "awaiting_customer"
    assert order["shortage"]["lines"] == [{"sku": sku, "wanted": 3, "available": 1}]
    assert buyer.effects(order["id"]) == []
    assert buyer.check_out(version, key=key, on_shortage="ask").json() == order

    key = uuid.uuid4().hex
    decided = buyer.decide(order["id"], "take_available", key)
    assert decided.status_code == 200, decided.text
    assert decided.json()["total"] == order["shortage"]["take_available_total"]
    assert [(line["sku"], line["quantity"]) for line in decided.json()["lines"]] == [(sku, 1)]
    assert decided.json()["shortage"] is None
    assert buyer.decide(order["id"], "take_available", key).json() == decided.json()
    assert code_of(buyer.decide(order["id"], "wait", key)) == (422, "idempotency_key_reused")
    assert code_of(buyer.decide(order["id"], "wait")) == (409, "not_awaiting_decision")
    buyer.until(order["id"], "processing", "shipped", "delivered")
    assert buyer.effects(order["id"])[0] == "authorization"


def test_nothing_is_taken_and_the_cart_is_as_it_was(buyer: Buyer, short: tuple[str, int]) -> None:
    _, version = short
    order_id = buyer.check_out(version, on_shortage="ask").json()["id"]
    decided = buyer.decide(order_id, "cancel")
    assert (decided.status_code, decided.json()["status"]) == (200, "cancelled")
    assert buyer.api.get("/v1/cart", headers=buyer.headers).json()["version"] == version
    assert buyer.effects(order_id) == []


def test_a_refused_card_is_answered_as_at_the_checkout(buyer: Buyer, short: tuple[str, int]) -> None:
    _, version = short
    order_id = buyer.check_out(version, DECLINED, on_shortage="ask").json()["id"]
    decided = buyer.decide(order_id, "take_available")
    assert code_of(decided) == (402, "payment_declined")
    assert decided.json()["retry_until"]
    assert buyer.pay(order_id).status_code == 200


def test_a_new_checkout_of_the_cart_takes_the_waiting_order_s_place(buyer: Buyer, short: tuple[str, int]) -> None:
    sku, version = short
    waiting = buyer.check_out(version, on_shortage="ask").json()["id"]
    version = buyer.fill(sku, 1)
    answer = buyer.check_out(version)
    assert answer.status_code == 201, answer.text
    assert buyer.order(waiting)["status"] == "cancelled"


@pytest.mark.parametrize("body", [{}, {"choice": "some"}, {"choice": "wait", "price": 1}])
def test_what_cannot_be_chosen_is_refused(buyer: Buyer, short: tuple[str, int], body: Json) -> None:
    order_id = buyer.check_out(short[1], on_shortage="ask").json()["id"]
    answer = buyer.post(f"/v1/orders/{order_id}/decision", body)
    assert answer.status_code == 422
    assert buyer.order(order_id)["status"] == "awaiting_customer"
    buyer.decide(order_id, "cancel")
