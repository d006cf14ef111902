"""Staff read where ledger and provider disagree on payments, and decide about it."""

import os
import subprocess
import sys
import uuid
from collections.abc import Callable

import httpx2
import pytest
import sqlalchemy as sa
from temporalio.client import Client

from adapters.connections import Connections
from adapters.mysql.tables.orders import orders
from tests.buyer import Buyer
from tests.fixture_types import Json, MakeProduct
from workflows.names import PAYMENTS_QUEUE
from workflows.payments.reconciliation import PaymentReconciliationWorkflow

PATH = "/v1/ops/reconciliation/payments"


Show = Callable[[str, str], None]


@pytest.fixture
def show(connections: Connections) -> Show:
    """Have an order show a payment status that its ledger does not say."""

    def lie(order_id: str, status: str) -> None:
        with connections.engine.begin() as connection:
            connection.execute(sa.update(orders).where(orders.c.id == order_id).values(payment_status=status))

    return lie


async def reconcile(client: Client) -> None:
    run = PaymentReconciliationWorkflow.run
    await client.execute_workflow(run, id=f"reconciliation-{uuid.uuid4()}", task_queue=PAYMENTS_QUEUE)


def listed(api: httpx2.Client, staff: dict[str, str], order_id: str) -> list[Json]:
    """All pages, of three each."""
    found, cursor = [], None
    while True:
        query: dict[str, int | str] = {"limit": 3, "cursor": cursor} if cursor else {"limit": 3}
        page = api.get(PATH, headers=staff, params=query).raise_for_status().json()
        found += page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            ranks = [["open", "repairing", "watched"].index(one["status"]) for one in found if one["status"] in RANKED]
            assert ranks == sorted(ranks)
            assert len({one["id"] for one in found}) == len(found)
            return [one for one in found if one["order_id"] == order_id]


RANKED = ("open", "repairing", "watched")


async def test_a_difference_is_listed_and_repaired_once_as_decided(
    api: httpx2.Client,
    staff: dict[str, str],
    buyer: Buyer,
    make_product: MakeProduct,
    show: Show,
    temporal_client: Client,
) -> None:
    ids = []
    for _ in range(2):
        declined = buyer.check_out(buyer.fill(make_product()), payment_method="pm_card_chargeDeclined").json()
        ids.append(declined["order_id"])
        headers = buyer.headers | {"Idempotency-Key": uuid.uuid4().hex}
        api.post(f"/v1/orders/{ids[-1]}/cancel", headers=headers, json={"reason": "no"}).raise_for_status()
        buyer.until(ids[-1], "cancelled")
        show(ids[-1], "authorized")
    await reconcile(temporal_client)
    (found,) = listed(api, staff, ids[0])
    assert (found["kind"], found["status"], found["proposed_repair"], found["order_status"]) == (
        "status_mismatch",
        "open",
        "correct_status",
        "cancelled",
    )
    decision, key = f"{PATH}/differences/{found['id']}/decision", {"Idempotency-Key": uuid.uuid4().hex}
    wanted = {"action": "apply", "reason": "seen in the ledger"}
    assert api.post(decision, headers=staff, json=wanted).status_code == 400, "it takes a key"
    assert api.post(decision, headers=staff | key, json=wanted | {"reason": ""}).status_code == 422
    repaired = api.post(decision, headers=staff | key, json=wanted)
    assert (repaired.status_code, repaired.json()["status"]) == (200, "repaired"), repaired.text
    assert repaired.json()["actor"].endswith(":support")
    assert api.post(decision, headers=staff | key, json=wanted).json() == repaired.json()
    other = api.post(decision, headers=staff | {"Idempotency-Key": uuid.uuid4().hex}, json=wanted)
    assert (other.status_code, other.json()["code"]) == (409, "difference_decided")
    assert buyer.order(ids[0])["payment_status"] == "not_paid"
    (second,) = listed(api, staff, ids[1])
    dismissed = api.post(
        f"{PATH}/differences/{second['id']}/decision",
        headers=staff | {"Idempotency-Key": uuid.uuid4().hex},
        json={"action": "dismiss", "reason": "a test"},
    )
    assert dismissed.json()["status"] == "dismissed"
    show(ids[1], "not_paid")
    await reconcile(temporal_client)
    assert [one["status"] for one in listed(api, staff, ids[1])] == ["dismissed"]
    assert api.get(PATH, headers=staff).json()["last_run"]["orders"] >= 2


def test_what_is_asked_for_wrong_is_refused(api: httpx2.Client, staff: dict[str, str]) -> None:
    key = {"Idempotency-Key": uuid.uuid4().hex}
    wanted = {"action": "apply", "reason": "a test"}
    assert api.get(PATH, headers=staff, params={"cursor": "7.x"}).status_code == 422
    assert api.post(f"{PATH}/differences/999999999/decision", headers=staff | key, json=wanted).status_code == 404


def test_the_command_line_compares_now_and_shows_what_differs(
    api: httpx2.Client, buyer: Buyer, make_product: MakeProduct, show: Show
) -> None:
    order_id = buyer.check_out(buyer.fill(make_product()), payment_method="pm_card_chargeDeclined").json()["order_id"]
    headers = buyer.headers | {"Idempotency-Key": uuid.uuid4().hex}
    api.post(f"/v1/orders/{order_id}/cancel", headers=headers, json={"reason": "no"}).raise_for_status()
    buyer.until(order_id, "cancelled")
    show(order_id, "captured")
    command = [sys.executable, "-m", "workers.admin", "reconcile-payments"]
    wide = os.environ | {"COLUMNS": "300"}
    found = subprocess.run(command, capture_output=True, text=True, env=wide, timeout=120, check=False)
    show(order_id, "not_paid")
    assert found.returncode == 1, found.stdout + found.stderr
    (shown,) = [line for line in found.stdout.splitlines() if order_id in line]
    assert "status_mismatch" in shown
    assert "correct_status" in shown
    after = subprocess.run(command, capture_output=True, text=True, env=wide, timeout=120, check=False)
    assert order_id not in after.stdout
