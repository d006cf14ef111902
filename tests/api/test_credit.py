"""Store credit over HTTP: granted by staff once per key, seen by its customer, spent at the checkout."""

import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

import httpx2
import pytest

from tests.buyer import ADDRESS, DECLINED, Buyer
from tests.fixture_types import Headers, Json, MakeProduct

EUR = {"currency": "EUR"}
REACHABLE = ADDRESS | {"postal_code": "10117"}  # where the carrier moves on by itself


def euros(amount: int) -> Json:
    return {"amount": amount, **EUR}


@pytest.fixture
def customer_id(api: httpx2.Client, buyer: Buyer) -> str:
    found: str = api.get("/v1/users/me", headers=buyer.headers).json()["id"]
    return found


class Grant(Protocol):
    """Gives the customer store credit."""

    def __call__(self, amount: int, key: str | None = None, **more: object) -> httpx2.Response: ...


class ReadCredit(Protocol):
    """The customer's store credit, as they see it."""

    def __call__(self, **query: str | int) -> Json: ...


@pytest.fixture
def grant(api: httpx2.Client, staff: Headers, customer_id: str) -> Grant:
    def give(amount: int, key: str | None = None, **more: object) -> httpx2.Response:
        body = {"amount": euros(amount), "reason": "your parcel was late", **more}
        headers = staff | {"Idempotency-Key": key or uuid.uuid4().hex}
        return api.post(f"/v1/ops/customers/{customer_id}/credit", json=body, headers=headers)

    return give


@pytest.fixture
def credit(api: httpx2.Client, buyer: Buyer) -> ReadCredit:
    def read(**query: str | int) -> Json:
        answer = api.get("/v1/users/me/credit", params=query, headers=buyer.headers)
        found: Json = answer.raise_for_status().json()
        return found

    return read


def stands(credit: ReadCredit) -> tuple[int, int]:
    (balance,) = credit()["balances"]
    return balance["available"]["amount"], balance["held"]["amount"]


def eventually(look: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not look():
        assert time.monotonic() < deadline
        time.sleep(0.1)


# --- granting and seeing


def test_a_grant_is_given_once_per_key_and_seen(
    grant: Grant, credit: ReadCredit, api: httpx2.Client, staff: Headers, customer_id: str
) -> None:
    assert credit() == {"balances": [], "items": [], "next_cursor": None}
    key = uuid.uuid4().hex
    given = grant(1500, key)
    assert (given.status_code, given.json()["kind"], given.json()["amount"]) == (201, "grant", euros(1500))
    assert given.json()["actor"].endswith(":support")
    assert grant(1500, key).json() == given.json()
    assert (grant(1501, key).status_code, grant(0).status_code) == (422, 422)
    assert grant(500).status_code == 201
    seen = credit(limit=1)
    assert seen["balances"] == [{"available": euros(2000), "held": euros(0)}]
    assert [item["amount"] for item in seen["items"]] == [euros(500)]
    assert "actor" not in seen["items"][0]
    older = credit(cursor=seen["next_cursor"])
    assert ([item["amount"] for item in older["items"]], older["next_cursor"]) == ([euros(1500)], None)
    for_staff = api.get(f"/v1/ops/customers/{customer_id}/credit", headers=staff).json()
    assert [item["reason"] for item in for_staff["items"]] == ["your parcel was late"] * 2
    nobody = api.get(f"/v1/ops/customers/{uuid.uuid4()}/credit", headers=staff)
    assert (nobody.status_code, nobody.json()["code"]) == (404, "not_found")


def test_ten_of_one_request_are_one_grant(grant: Grant, credit: ReadCredit) -> None:
    key = uuid.uuid4().hex
    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda _: grant(700, key), range(10)))
    assert {(answer.status_code, answer.json()["id"]) for answer in answers} == {(201, answers[0].json()["id"])}
    assert stands(credit) == (700, 0)


# --- at the checkout


def test_an_order_paid_with_credit_alone(
    buyer: Buyer, grant: Grant, credit: ReadCredit, make_product: MakeProduct
) -> None:
    grant(50_000)
    version = buyer.fill(make_product(price=4000))
    body = {"cart_version": version, "shipping_address": REACHABLE, "use_store_credit": True}
    placed = buyer.post("/v1/checkouts", body)
    assert placed.status_code == 201, placed.text
    order = placed.json()
    total = order["total"]["amount"]
    assert stands(credit)[0] == 50_000 - total
    buyer.until(order["id"], "delivered")
    eventually(lambda: buyer.order(order["id"])["payment_status"] == "captured")
    payment = buyer.order(order["id"])["payment"]
    assert (payment["captured"], payment["store_credit"]["captured"]) == (euros(total), euros(total))
    assert payment["card"]["captured"] == euros(0)
    assert stands(credit) == (50_000 - total, 0)
    assert buyer.effects(order["id"]) == []
    moves = [(item["kind"], item["order_id"]) for item in credit()["items"]]
    assert moves == [("capture", order["id"]), ("authorize", order["id"]), ("grant", None)]


def test_by_both_and_cancelled(buyer: Buyer, grant: Grant, credit: ReadCredit, make_product: MakeProduct) -> None:
    grant(900)
    order = buyer.check_out(buyer.fill(make_product(price=4000)), DECLINED, use_store_credit=True)
    assert (order.status_code, order.json()["code"]) == (402, "payment_declined")
    order_id = order.json()["order_id"]
    assert stands(credit) == (0, 900)
    assert buyer.order(order_id)["payment"]["store_credit"]["held"] == euros(900)
    assert buyer.post(f"/v1/orders/{order_id}/cancel", {}).status_code == 200
    assert stands(credit) == (900, 0)
    assert buyer.order(order_id)["payment_status"] == "not_paid"


def test_without_a_method_credit_must_cover_the_order(
    buyer: Buyer, grant: Grant, credit: ReadCredit, make_product: MakeProduct
) -> None:
    version = buyer.fill(make_product(price=4000))
    body = {"cart_version": version, "shipping_address": ADDRESS}
    missing = buyer.post("/v1/checkouts", body)
    assert (missing.status_code, missing.json()["code"]) == (422, "invalid_request")
    grant(900)
    short = buyer.post("/v1/checkouts", {**body, "use_store_credit": True})
    assert (short.status_code, short.json()["code"]) == (422, "payment_method_required")
    assert short.json()["available"] == euros(900)
    assert short.json()["total"]["amount"] > 4000
    assert stands(credit) == (900, 0)


def test_refunds_go_back_the_way_they_came(
    buyer: Buyer, grant: Grant, credit: ReadCredit, make_product: MakeProduct, api: httpx2.Client, staff: Headers
) -> None:
    grant(900)
    version = buyer.fill(make_product(price=4000))
    placed = buyer.check_out(version, use_store_credit=True, shipping_address=REACHABLE).raise_for_status().json()
    buyer.until(placed["id"], "delivered")
    eventually(lambda: buyer.order(placed["id"])["payment_status"] == "captured")
    total, path = placed["total"]["amount"], f"/v1/ops/orders/{placed['id']}/refunds"
    headers = staff | {"Idempotency-Key": uuid.uuid4().hex}
    given = api.post(path, json={"reason": "never arrived"}, headers=headers).json()
    assert (given["card"], given["store_credit"]) == (euros(total - 900), euros(900))
    assert stands(credit) == (900, 0)
    after = buyer.order(placed["id"])
    assert (after["payment_status"], after["payment"]["refunded"]) == ("refunded", euros(total))
    assert after["payment"]["card"]["refunded"] == euros(total - 900)
    assert buyer.effects(placed["id"]) == ["authorization", "capture", "refund"]
    assert api.get(path, headers=staff).json()["refundable"] == euros(0)
