"""202 is a promise: a request that no worker has accepted yet is answered 503, with the key to ask again with."""

import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import httpx2
import pytest

from dev.testbed import Testbed
from tests.buyer import DECLINED, VISA, Buyer
from tests.fixture_types import MakeProduct


@contextmanager
def nobody_works(engine: Testbed) -> Iterator[None]:
    engine.stop("order-worker")
    try:
        yield
    finally:
        engine.start("order-worker")


def until_answered(ask: Callable[[], httpx2.Response]) -> httpx2.Response:
    """As a client does that was asked to ask again."""
    deadline = time.monotonic() + 120
    while (answer := ask()).status_code in (202, 503):
        assert time.monotonic() < deadline, answer.text
        time.sleep(0.2)
    return answer


@pytest.fixture
def waiting_order(buyer: Buyer, make_product: MakeProduct) -> str:
    """It awaits its payment, so it may be paid and cancelled."""
    return str(buyer.check_out(buyer.fill(make_product()), DECLINED).json()["order_id"])


@pytest.mark.parametrize("sent", [f"key-{uuid.uuid4().hex}", None], ids=["with a key", "without a key"])
def test_a_cancellation_is_accepted_before_it_is_promised(
    engine: Testbed, buyer: Buyer, waiting_order: str, sent: str | None
) -> None:
    path, body = f"/v1/orders/{waiting_order}/cancel", {"reason": "too slow"}
    headers = buyer.headers | ({"Idempotency-Key": sent} if sent else {})
    with nobody_works(engine):
        refused = buyer.api.post(path, json=body, headers=headers)
        assert (refused.status_code, refused.json()["code"]) == (503, "unavailable"), refused.text
        assert int(refused.headers["Retry-After"]) > 0
    key = refused.json()["idempotency_key"]
    assert sent in (key, None)

    cancelled = until_answered(lambda: buyer.post(path, body, key))
    assert (cancelled.status_code, cancelled.json()["status"]) == (200, "cancelled"), cancelled.text
    again = buyer.api.post(path, json=body, headers=headers)
    assert (again.status_code, again.json()) == (200, cancelled.json())
    other = buyer.post(path, {"reason": "another one"}, key)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    assert buyer.post(path, body).status_code == 409, "another request is refused: the order has ended"


def test_a_payment_is_accepted_before_it_is_promised(engine: Testbed, buyer: Buyer, waiting_order: str) -> None:
    key = uuid.uuid4().hex
    with nobody_works(engine):
        refused = buyer.pay(waiting_order, VISA, key)
        assert (refused.status_code, refused.json()["idempotency_key"]) == (503, key), refused.text
    paid = until_answered(lambda: buyer.pay(waiting_order, VISA, key))
    assert (paid.status_code, paid.json()["payment_status"]) == (200, "authorized"), paid.text
    assert buyer.effects(waiting_order) == ["authorization"]


def test_what_takes_longer_once_accepted_names_its_key(engine: Testbed, buyer: Buyer, waiting_order: str) -> None:
    slow = {"kind": "latency", "seconds": 14, "times": 1, "match": {"operation": "create"}}
    httpx2.post(f"{engine.url('PAYMENT_SIMULATOR_PORT')}/_control/faults", json=slow).raise_for_status()
    with (
        engine.another_api(ORDERS_CHECKOUT_ANSWER_SECONDS="5") as hasty,
        httpx2.Client(base_url=hasty, timeout=30) as api,
    ):
        in_a_hurry = Buyer(api, buyer.headers, engine.url("PAYMENT_SIMULATOR_PORT"))
        answer = in_a_hurry.pay(waiting_order, VISA, key := uuid.uuid4().hex)
    assert (answer.status_code, answer.headers["Idempotency-Key"]) == (202, key), answer.text
    assert until_answered(lambda: buyer.pay(waiting_order, VISA, key)).status_code == 200
    assert buyer.effects(waiting_order) == ["authorization"]
