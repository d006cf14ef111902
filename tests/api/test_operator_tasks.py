"""What needs an operator is listed for staff: with orders, by itself, and while the search index is away."""

import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import httpx2
import pytest
import uuid_utils

from adapters.connections import Connections
from adapters.mysql.orders.operator_tasks import OperatorTaskStore
from adapters.search.orders import OrderSearch
from schemas.operator_tasks import OperatorTask, OperatorTaskCode, RecordOperatorTasks
from schemas.order_search import OrderQuery
from tests.buyer import Buyer
from tests.fixture_types import Customer, Headers, Json, MakeProduct

RISKY = "pm_card_riskLevelElevated"
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


def record(connections: Connections, workflow_id: str, revision: int, *texts: str, order_id: str | None = None) -> None:
    tasks = [
        OperatorTask(
            code=OperatorTaskCode.REFUND_FAILED,
            about=f"refund {number}",
            text=text,
            since=LONG_AGO + timedelta(seconds=number),
            outlasts=number == 0,
        )
        for number, text in enumerate(texts)
    ]
    command = RecordOperatorTasks(workflow_id=workflow_id, revision=revision, order_id=order_id, tasks=tasks)
    OperatorTaskStore(connections.engine).record(command)


def of_workflow(api: httpx2.Client, staff: Headers, workflow_id: str, limit: int = 100) -> list[Json]:
    """Of all pages of `GET /v1/ops/tasks`, those of one workflow."""
    found, cursor = list[Json](), ""
    while True:
        params: dict[str, str | int] = {"limit": limit, "code": "refund_failed"}
        if cursor:
            params["cursor"] = cursor
        page = api.get("/v1/ops/tasks", params=params, headers=staff).raise_for_status().json()
        found += [task for task in page["items"] if task["workflow_id"] == workflow_id]
        cursor = page["next_cursor"]
        if not cursor:
            return found


def until_listed(api: httpx2.Client, staff: Headers, order_id: str, wanted: Callable[[list[Json]], bool]) -> list[Json]:
    deadline = time.monotonic() + 30
    while True:
        items = api.get("/v1/ops/orders", params={"needs_operator": True, "limit": 100}, headers=staff).json()["items"]
        tasks = [task for order in items if order["id"] == order_id for task in order["operator_tasks"]]
        if wanted(tasks):
            return tasks
        assert time.monotonic() < deadline, tasks
        time.sleep(0.1)


def test_an_order_on_hold_is_listed_with_what_acts_on_it(
    api: httpx2.Client, staff: Headers, buyer: Buyer, make_product: MakeProduct
) -> None:
    plain = buyer.check_out(buyer.fill(make_product())).json()["id"]
    order_id = buyer.check_out(buyer.fill(make_product()), RISKY).json()["id"]
    (task,) = until_listed(api, staff, order_id, bool)
    assert (task["code"], task["route"]) == ("risk_review", f"POST /v1/ops/orders/{order_id}/risk")
    assert task["since"] < task["until"]
    later = buyer.check_out(buyer.fill(make_product())).json()["id"]
    items = api.get("/v1/ops/orders", params={"limit": 100}, headers=staff).json()["items"]
    places = {order["id"]: place for place, order in enumerate(items)}
    assert places[order_id] < places[later] < places[plain]
    others = api.get("/v1/ops/orders", params={"needs_operator": False}, headers=staff).json()["items"]
    assert order_id not in {order["id"] for order in others}

    decision = {"verdict": "approve", "reason": "spoke to her"}
    method, _, path = task["route"].partition(" ")
    headers = staff | {"Idempotency-Key": uuid.uuid4().hex}
    assert api.request(method, path, json=decision, headers=headers).status_code == 200
    assert until_listed(api, staff, order_id, lambda tasks: not tasks) == []


def test_the_list_is_the_same_while_the_index_is_away(
    connections: Connections, buyer: Buyer, make_product: MakeProduct
) -> None:
    placed = [buyer.check_out(buyer.fill(make_product())).json()["id"] for _ in range(3)]
    email = buyer.order(placed[0])["email"]
    record(connections, f"refund-{placed[0]}", 1, "not refunded", order_id=placed[0])
    nowhere = connections.elasticsearch.options(max_retries=0)
    search = OrderSearch(nowhere, connections.engine, "no-such-index", timedelta(hours=24))
    seen, cursor = list[str](), None
    while len(seen) < 3:
        page = search.search(OrderQuery(email=email, limit=1, cursor=cursor))
        seen += [order.id for order in page.items]
        cursor = page.next_cursor
    assert (seen, cursor) == ([placed[0], placed[2], placed[1]], None)
    (first,) = search.search(OrderQuery(email=email, needs_operator=True)).items
    assert (first.needs_operator, first.stuck) == (["not refunded"], True)
    with pytest.raises(Exception, match="index_not_found"):
        search.search(OrderQuery(q="kettle"))


def test_an_older_write_changes_nothing_and_what_waits_again_is_open_again(
    api: httpx2.Client, staff: Headers, connections: Connections
) -> None:
    workflow_id = f"refund-{uuid_utils.uuid7()}"

    def texts() -> list[str]:
        return [task["text"] for task in of_workflow(api, staff, workflow_id, limit=1)]

    record(connections, workflow_id, 10, "first", "second")
    record(connections, workflow_id, 10, "first", "second")
    assert texts() == ["first", "second"]
    record(connections, workflow_id, 30)
    record(connections, workflow_id, 20, "first", "third")
    assert texts() == []
    record(connections, workflow_id, 40, "again")
    assert texts() == ["again"]


def test_what_outlasts_its_workflow_is_resolved_by_hand_and_nothing_else_is(
    api: httpx2.Client, staff: Headers, connections: Connections
) -> None:
    workflow_id = f"refund-{uuid_utils.uuid7()}"
    record(connections, workflow_id, 1, "refund it by bank transfer", "the provider does not answer")
    outlasting, other = of_workflow(api, staff, workflow_id)
    assert (outlasting["resolvable"], other["resolvable"]) == (True, False)
    reason = {"reason": "sent by bank transfer"}
    refused = api.post(f"/v1/ops/tasks/{other['id']}/resolve", json=reason, headers=staff)
    assert (refused.status_code, refused.json()["code"]) == (409, "task_resolves_itself")
    for _ in range(2):
        done = api.post(f"/v1/ops/tasks/{outlasting['id']}/resolve", json=reason, headers=staff)
        assert done.status_code == 200, done.text
    assert of_workflow(api, staff, workflow_id) == [other]
    assert api.post(f"/v1/ops/tasks/{outlasting['id']}/resolve", json={}, headers=staff).status_code == 422
    assert api.post(f"/v1/ops/tasks/{2**62}/resolve", json=reason, headers=staff).status_code == 404


def test_only_staff_see_what_needs_an_operator(api: httpx2.Client, customer: Customer) -> None:
    assert api.get("/v1/ops/tasks").status_code == 401
    assert api.get("/v1/ops/tasks", headers=customer.headers).status_code == 403
