"""Staff give money back over HTTP: once per key, and never more than was taken."""

import time
import uuid
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httpx2
import pytest

from dev.testbed import Testbed
from schemas.users import Role
from tests.buyer import ADDRESS, Buyer
from tests.fixture_types import Customer, Json, Mailed, MakeProduct, MakeStaff

EUR = {"currency": "EUR"}
Refund = Callable[..., httpx2.Response]


@pytest.fixture
def order(buyer: Buyer, make_product: MakeProduct) -> Json:
    """An order of this customer's that was delivered and paid for."""
    reachable = ADDRESS | {"postal_code": "10117"}  # where the carrier moves on by itself
    placed = buyer.check_out(buyer.fill(make_product(price=4000)), shipping_address=reachable).raise_for_status()
    buyer.until(placed.json()["id"], "delivered")
    deadline = time.monotonic() + 120
    while (found := buyer.order(placed.json()["id"]))["payment_status"] != "captured":
        assert time.monotonic() < deadline, found
        time.sleep(0.1)
    return found


@pytest.fixture
def staff(make_staff: MakeStaff) -> dict[str, str]:
    return make_staff(Role.SUPPORT)


@pytest.fixture
def refund(api: httpx2.Client, order: Json, staff: dict[str, str]) -> Refund:
    def ask(units: int | None = None, key: str | None = None, **more: object) -> httpx2.Response:
        body = {"reason": "arrived with a scratch", **more}
        if units is not None:
            body["amount"] = {"amount": units, **EUR}
        headers = staff | {"Idempotency-Key": key or uuid.uuid4().hex}
        return api.post(f"/v1/ops/orders/{order['id']}/refunds", json=body, headers=headers)

    return ask


def test_a_part_and_then_the_rest(
    refund: Refund, order: Json, buyer: Buyer, api: httpx2.Client, staff: dict[str, str]
) -> None:
    total, key = order["total"]["amount"], uuid.uuid4().hex
    assert order["payment"]["captured"] == order["total"]
    first = refund(1000, key)
    assert (first.status_code, first.json()["status"], first.json()["amount"]) == (
        201,
        "succeeded",
        {"amount": 1000, **EUR},
    )
    assert refund(1000, key).json() == first.json()
    assert refund(999, key).status_code == 422
    assert buyer.order(order["id"])["payment_status"] == "partially_refunded"
    too_much = refund(total)
    assert (too_much.status_code, too_much.json()["code"]) == (409, "refund_exceeds_captured")
    assert too_much.json()["refundable"] == {"amount": total - 1000, **EUR}
    assert refund().json()["amount"] == {"amount": total - 1000, **EUR}
    listed = api.get(first.headers["location"], headers=staff).json()
    assert [one["amount"]["amount"] for one in listed["items"]] == [1000, total - 1000]
    assert listed["refundable"] == {"amount": 0, **EUR}
    after = buyer.order(order["id"])
    assert (after["payment_status"], after["payment"]["refunded"]) == ("refunded", order["total"])
    assert buyer.effects(order["id"]) == ["authorization", "capture", "refund", "refund"]
    history = api.get(f"/v1/orders/{order['id']}/history", headers=buyer.headers).json()["items"]
    assert [event["data"]["amount"]["amount"] for event in history if event["type"] == "payment.refunded"] == [
        1000,
        total - 1000,
    ]


def test_fifty_at_once_refund_what_there_is(
    refund: Refund, order: Json, buyer: Buyer, api: httpx2.Client, staff: dict[str, str]
) -> None:
    part = order["total"]["amount"] // 20

    def answered(number: int) -> httpx2.Response:
        """Whoever is answered that it takes longer asks again."""
        key, deadline = f"fifty-{order['id']}-{number}", time.monotonic() + 240
        while (answer := refund(part, key)).status_code == httpx2.codes.ACCEPTED:
            assert time.monotonic() < deadline
            time.sleep(0.5)
        return answer

    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(answered, range(50)))
    deadline = time.monotonic() + 120
    while buyer.order(order["id"])["payment"]["refunded"]["amount"] < 20 * part:
        assert time.monotonic() < deadline, buyer.order(order["id"])
        time.sleep(0.2)
    listed = api.get(f"/v1/ops/orders/{order['id']}/refunds", headers=staff).json()
    assert [one["status"] for one in listed["items"]] == ["succeeded"] * 20
    assert Counter(answer.status_code for answer in answers) == {201: 20, 409: 30}
    assert {answer.json()["code"] for answer in answers if answer.status_code == 409} == {"refund_exceeds_captured"}
    assert buyer.effects(order["id"]).count("refund") == 20
    assert buyer.order(order["id"])["payment"]["refunded"]["amount"] == 20 * part <= order["total"]["amount"]


def test_ten_of_one_request_are_one_refund(refund: Refund, order: Json, buyer: Buyer) -> None:
    key = uuid.uuid4().hex
    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda _: refund(500, key), range(10)))
    assert {answer.status_code for answer in answers} <= {201, 409}
    assert {answer.json()["code"] for answer in answers if answer.status_code == 409} <= {"request_in_progress"}
    assert len({answer.json()["id"] for answer in answers if answer.status_code == 201}) == 1
    assert buyer.effects(order["id"]).count("refund") == 1


@pytest.mark.parametrize(
    "body",
    [
        {"amount": {"amount": 0, **EUR}},
        {"amount": {"amount": 1.5, **EUR}},
        {"amount": {"amount": 5}},
        {"reason": ""},
        {"cash": True},
    ],
    ids=["nothing", "half a cent", "no currency", "no reason", "unknown field"],
)
def test_what_makes_no_sense_is_refused(refund: Refund, body: Json) -> None:
    answer = refund(**body)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")


def test_the_customer_is_notified_by_mail(refund: Refund, order: Json, customer: Customer, mailed: Mailed) -> None:
    refund(700).raise_for_status()
    text = mailed(customer.email, f"Order {order['number']}: your refund is on its way")
    assert "€7.00" in text


def of_a_card(card: str, buyer: Buyer, make_product: MakeProduct) -> Json:
    """An order that was delivered and paid for by this card."""
    version = buyer.fill(make_product(price=4000))
    address = ADDRESS | {"postal_code": "10117"}
    placed: Json = buyer.check_out(version, card, shipping_address=address).raise_for_status().json()
    buyer.until(placed["id"], "delivered")
    deadline = time.monotonic() + 120
    while buyer.order(placed["id"])["payment_status"] != "captured":
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return placed


def test_a_bank_that_takes_its_time_answers_by_webhook(
    buyer: Buyer, make_product: MakeProduct, api: httpx2.Client, staff: dict[str, str]
) -> None:
    placed = of_a_card("pm_card_pendingRefund", buyer, make_product)
    path, headers = f"/v1/ops/orders/{placed['id']}/refunds", staff | {"Idempotency-Key": uuid.uuid4().hex}
    deadline = time.monotonic() + 50  # before the workflow asks by itself, after a minute
    api.post(path, json={"amount": {"amount": 700, **EUR}, "reason": "late"}, headers=headers)
    while (listed := api.get(path, headers=staff).json())["items"][0]["status"] == "pending":
        assert time.monotonic() < deadline, listed
        time.sleep(0.1)
    assert (listed["items"][0]["status"], listed["items"][0]["failed_at"]) == ("succeeded", None)
    assert listed["refundable"]["amount"] == placed["total"]["amount"] - 700
    assert buyer.effects(placed["id"]).count("refund") == 1


def test_a_refund_that_fails_after_it_was_done_is_reported_by_webhook(
    buyer: Buyer,
    make_product: MakeProduct,
    api: httpx2.Client,
    staff: dict[str, str],
    customer: Customer,
    mailed: Mailed,
) -> None:
    placed = of_a_card("pm_card_refundFail", buyer, make_product)
    path, headers = f"/v1/ops/orders/{placed['id']}/refunds", staff | {"Idempotency-Key": uuid.uuid4().hex}
    wanted = {"amount": {"amount": 700, **EUR}, "reason": "arrived with a scratch"}
    done = api.post(path, json=wanted, headers=headers)
    assert (done.status_code, done.json()["status"]) == (201, "succeeded")
    deadline = time.monotonic() + 120
    while (listed := api.get(path, headers=staff).json())["items"][0]["status"] == "succeeded":
        assert time.monotonic() < deadline, listed
        time.sleep(0.1)
    (failed,) = listed["items"]
    assert (failed["status"], failed["failure_code"]) == ("failed", "expired_or_canceled_card")
    assert failed["failed_at"] > failed["settled_at"]
    assert listed["refundable"] == placed["total"], "it can be refunded another way"
    after = buyer.order(placed["id"])
    assert (after["payment_status"], after["payment"]["refunded"]["amount"]) == ("captured", 0)
    assert buyer.effects(placed["id"])[-2:] == ["refund", "refund_reversal"]
    assert "€7.00" in mailed(customer.email, f"Order {after['number']}: a refund has not reached you")


def test_an_order_that_is_nowhere(api: httpx2.Client, staff: dict[str, str]) -> None:
    headers = staff | {"Idempotency-Key": uuid.uuid4().hex}
    nowhere = f"/v1/ops/orders/{uuid.uuid4()}/refunds"
    assert api.post(nowhere, json={"reason": "no"}, headers=headers).status_code == 404
    assert api.get(nowhere, headers=staff).status_code == 404


def test_with_every_worker_down_it_waits_for_one(refund: Refund, order: Json, engine: Testbed, buyer: Buyer) -> None:
    """A power cut between the request and its answer: the same request asks again, and money moves once."""
    engine.kill("order-worker")
    try:
        key = uuid.uuid4().hex
        answer = refund(600, key)
        assert (answer.status_code, answer.json()["status"]) == (202, "pending"), answer.text
    finally:
        engine.start("order-worker")
    deadline = time.monotonic() + 120
    while (answer := refund(600, key)).status_code != 201:
        assert time.monotonic() < deadline, answer.text
        time.sleep(0.2)
    assert answer.json()["status"] == "succeeded"
    assert buyer.effects(order["id"]).count("refund") == 1
