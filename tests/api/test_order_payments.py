"""Paying for an order over HTTP once its first payment came to nothing, and checking the same cart out again."""

import asyncio
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httpx2
import pytest
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import DeleteWorkflowExecutionRequest
from temporalio.client import Client
from temporalio.service import RPCError

from adapters.connections import Connections
from adapters.mysql.tables.shared import idempotency_keys
from dev.testbed import Testbed
from tests.buyer import DECLINED, SECURE, VISA, Buyer
from tests.fixture_types import MakeCustomer, MakeProduct
from workflows.names import order_workflow_id


def forget_answer(connections: Connections, key: str) -> None:
    with connections.engine.begin() as connection:
        connection.execute(
            idempotency_keys.update()
            .where(idempotency_keys.c.idempotency_key == key)
            .values(status_code=None, response=None, locked_until=None)
        )


def test_another_card_pays_and_every_request_keeps_its_answer(
    buyer: Buyer, make_product: MakeProduct, connections: Connections
) -> None:
    version, first_key, pay_key = buyer.fill(make_product()), uuid.uuid4().hex, uuid.uuid4().hex
    declined = buyer.check_out(version, DECLINED, first_key)
    order_id = declined.json()["order_id"]
    waiting = buyer.order(order_id)
    assert (waiting["status"], waiting["retry_until"]) == ("awaiting_payment", declined.json()["retry_until"])
    refused = buyer.pay(order_id, "pm_card_chargeDeclinedInsufficientFunds")
    assert (refused.status_code, refused.json()["decline_code"]) == (402, "insufficient_funds")
    assert refused.json()["retry_until"] == waiting["retry_until"]
    paid = buyer.pay(order_id, VISA, pay_key)
    assert (paid.status_code, paid.json()["payment_status"]) == (200, "authorized"), paid.text
    assert buyer.pay(order_id, VISA, pay_key).json() == paid.json()
    forget_answer(connections, pay_key)
    assert buyer.pay(order_id, VISA, pay_key).status_code == 200
    assert buyer.check_out(version, DECLINED, first_key).json() == declined.json()
    forget_answer(connections, first_key)
    assert buyer.check_out(version, DECLINED, first_key).json() == declined.json()
    assert buyer.effects(order_id) == ["authorization"]
    late = buyer.pay(order_id)
    assert (late.status_code, late.json()["code"]) == (409, "not_awaiting_payment")


def test_the_bank_wants_to_see_its_customer(buyer: Buyer, make_product: MakeProduct) -> None:
    placed = buyer.check_out(buyer.fill(make_product()), SECURE)
    assert placed.status_code == 201, placed.text
    order = placed.json()
    assert (order["status"], order["payment_action"]["type"]) == ("awaiting_payment", "use_stripe_sdk")
    assert buyer.order(order["id"])["payment_action"] == order["payment_action"]
    buyer.authenticate(order)
    done = buyer.until(order["id"], "confirmed", "processing")
    assert (done["payment_action"], done["payment_status"]) == (None, "authorized")
    assert buyer.effects(order["id"]) == ["authorization"]


def test_the_bank_wants_to_see_the_customer_of_the_second_card(buyer: Buyer, make_product: MakeProduct) -> None:
    order_id = buyer.check_out(buyer.fill(make_product()), DECLINED).json()["order_id"]
    asked = buyer.pay(order_id, SECURE)
    assert (asked.status_code, asked.json()["status"]) == (200, "awaiting_payment")
    buyer.authenticate(asked.json(), "failed")
    deadline = time.monotonic() + 20
    while (order := buyer.order(order_id))["payment_action"] is not None:
        assert time.monotonic() < deadline, order
        time.sleep(0.1)
    assert buyer.pay(order_id, VISA).status_code == 200
    assert buyer.effects(order_id) == ["authorization"]


def test_checking_out_again_replaces_the_order_that_waits(buyer: Buyer, make_product: MakeProduct) -> None:
    sku, other = make_product(stock=1), make_product(stock=5)
    first = buyer.check_out(buyer.fill(sku), SECURE).json()
    placed = buyer.check_out(buyer.fill(other, 2), VISA)
    assert placed.status_code == 201, placed.text
    assert {line["sku"] for line in placed.json()["lines"]} == {sku, other}, "its own order had the last unit reserved"
    assert buyer.order(first["id"])["status"] == "cancelled"
    assert (buyer.effects(first["id"]), buyer.effects(placed.json()["id"])) == ([], ["authorization"])


@pytest.mark.parametrize("round_", range(6))
def test_paying_the_old_order_and_checking_out_again_at_once_is_one_charge(
    buyer: Buyer, make_product: MakeProduct, round_: int
) -> None:
    version = buyer.fill(make_product(stock=9))
    order_id = buyer.check_out(version, DECLINED).json()["order_id"]
    calls: list[Callable[[], httpx2.Response]] = [
        lambda: buyer.pay(order_id),
        lambda: buyer.check_out(version),
        lambda: buyer.check_out(version),
    ]
    with ThreadPoolExecutor(3) as pool:
        futures = [pool.submit(late, 0.01 * ((place * round_) % 5), call) for place, call in enumerate(calls)]
        answers = [future.result() for future in futures]
    assert all(answer.status_code in (200, 201, 409, 503) for answer in answers), [a.text for a in answers]
    orders = buyer.api.get("/v1/orders", headers=buyer.headers).json()["items"]
    paid = [one["id"] for one in orders if buyer.effects(one["id"]).count("void") < len(buyer.effects(one["id"])) / 2]
    assert len(paid) <= 1
    winners = [answer for answer in answers if answer.status_code < 300]
    assert len(winners) == 1, [answer.text for answer in answers]
    assert paid == [winners[0].json()["id"]]


def late(seconds: float, call: Callable[[], httpx2.Response]) -> httpx2.Response:
    time.sleep(seconds)
    return call()


def test_nobody_pays_for_somebody_elses_order(
    buyer: Buyer, make_customer: MakeCustomer, make_product: MakeProduct, engine: Testbed
) -> None:
    order_id = buyer.check_out(buyer.fill(make_product()), DECLINED).json()["order_id"]
    stranger = Buyer(buyer.api, make_customer().headers, "")
    assert stranger.pay(order_id).status_code == 404
    assert buyer.pay(order_id, "4242424242424242").status_code == 422


def test_without_a_window_a_decline_ends_the_order(engine: Testbed, buyer: Buyer, make_product: MakeProduct) -> None:
    version = buyer.fill(make_product())
    api = engine.another_api(ORDERS_PAYMENT_RETRY_MINUTES="0")
    with api as address, httpx2.Client(base_url=address, timeout=30) as http:
        declined = Buyer(http, buyer.headers, "").check_out(version, DECLINED)
    assert (declined.status_code, "retry_until" in declined.json()) == (402, False)
    assert buyer.until(declined.json()["order_id"], "failed")["failure_code"] == "payment_declined"


async def test_a_repeat_is_answered_alike_when_temporal_has_forgotten_the_order(
    buyer: Buyer, make_product: MakeProduct, connections: Connections, temporal_client: Client
) -> None:
    version, key = await asyncio.to_thread(buyer.fill, make_product()), uuid.uuid4().hex
    declined = await asyncio.to_thread(buyer.check_out, version, DECLINED, key)
    order_id = declined.json()["order_id"]
    await asyncio.to_thread(buyer.post, f"/v1/orders/{order_id}/cancel", {})
    handle = temporal_client.get_workflow_handle(order_workflow_id(order_id))
    await handle.result()
    await temporal_client.workflow_service.delete_workflow_execution(
        DeleteWorkflowExecutionRequest(
            namespace=temporal_client.namespace, workflow_execution=WorkflowExecution(workflow_id=handle.id)
        )
    )
    with pytest.raises(RPCError):  # noqa: PT012 - it is deleted a moment later, or when the server has time for it
        async with asyncio.timeout(90):
            while await handle.describe():
                await asyncio.sleep(0.1)
    forget_answer(connections, key)
    again = await asyncio.to_thread(buyer.check_out, version, DECLINED, key)
    assert (again.status_code, again.json()) == (402, declined.json())
