"""Staff take over an order that no workflow looks after, over HTTP and by order-admin."""

import asyncio
import subprocess
import sys
import time
import uuid

import httpx2

from dev.testbed import Testbed
from temporal_clients.connection import connect_temporal
from tests.buyer import Buyer
from tests.fixture_types import Headers, MakeProduct
from workflows.names import order_workflow_id

REASON = {"reason": "its workflow was terminated by mistake"}


def lose(bed: Testbed, order_id: str) -> None:
    async def terminate() -> None:
        client = await connect_temporal(bed.settings)
        await client.get_workflow_handle(order_workflow_id(order_id)).terminate("by mistake")

    asyncio.run(terminate())


def adopt(order_id: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "workers.admin", "adopt", order_id, "--reason", "lost"]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def place(buyer: Buyer, sku: str) -> str:
    placed = buyer.check_out(buyer.fill(sku))
    assert placed.status_code == 201, placed.text
    return str(placed.json()["id"])


def until_failed(buyer: Buyer, order_id: str) -> None:
    deadline = time.monotonic() + 60
    while (order := buyer.api.get(f"/v1/orders/{order_id}", headers=buyer.headers).json())["status"] != "failed":
        assert time.monotonic() < deadline, order["status"]
        time.sleep(0.1)
    assert (order["failure_code"], order["payment_status"]) == ("adopted", "voided")
    assert buyer.effects(order_id) == ["authorization", "void"]


def test_a_lost_order_is_adopted_and_a_running_one_is_not(
    *, api: httpx2.Client, staff: Headers, buyer: Buyer, make_product: MakeProduct, bed: Testbed
) -> None:
    order_id = place(buyer, make_product())
    path, key = f"/v1/ops/orders/{order_id}/adopt", {"Idempotency-Key": uuid.uuid4().hex}
    refused = api.post(path, json=REASON, headers=staff | {"Idempotency-Key": uuid.uuid4().hex})
    assert (refused.status_code, refused.json()["code"]) == (409, "order_running")
    assert api.post(path, json=REASON, headers=buyer.headers | key).status_code == 403
    lose(bed, order_id)
    answer = api.post(path, json=REASON, headers=staff | key)
    assert answer.status_code == 200, answer.text
    assert api.post(path, json=REASON, headers=staff | key).json() == answer.json()
    until_failed(buyer, order_id)
    settled = api.post(path, json=REASON, headers=staff | {"Idempotency-Key": uuid.uuid4().hex})
    assert (settled.status_code, settled.json()["code"]) == (409, "nothing_to_adopt")
    assert REASON["reason"] not in api.get(f"/v1/orders/{order_id}/history", headers=buyer.headers).text
    unknown = api.post(f"/v1/ops/orders/{uuid.uuid4()}/adopt", json=REASON, headers=staff | key)
    assert unknown.status_code == 404


def test_order_admin_adopts(buyer: Buyer, make_product: MakeProduct, bed: Testbed) -> None:
    order_id = place(buyer, make_product())
    assert adopt(order_id).returncode == 1
    lose(bed, order_id)
    done = adopt(order_id)
    assert done.returncode == 0, done.stdout + done.stderr
    until_failed(buyer, order_id)
    again = adopt(order_id)
    assert again.returncode == 1
    assert "nothing of it is held" in " ".join((again.stdout + again.stderr).split())
    assert adopt(str(uuid.uuid4())).returncode == 1
