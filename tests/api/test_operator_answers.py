"""One answer of staff to many orders and parcels at once, over HTTP and by order-admin."""

import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx2
import pytest

from adapters.connections import Connections
from adapters.mysql.orders.operator_tasks import OperatorTaskStore
from dev.carrier_simulator.wire import WAITING_POSTAL_CODE
from dev.testbed import Testbed
from schemas.users import Role
from tests.buyer import ADDRESS, Buyer
from tests.fixture_types import Customer, Headers, Json, MakeCustomer, MakeProduct, MakeStaff

PATH = "/v1/ops/orders/answers"
Answers = Callable[..., httpx2.Response]
_DONE = {"accepted": "done"}  # what takes longer than a request may is carried out all the same
# What was not answered in time may have been accepted all the same.
_MEANWHILE: dict[str, tuple[str, str | None]] = {"no_longer_waiting": ("done", None)}


@pytest.fixture
def give(api: httpx2.Client, staff: Headers) -> Answers:
    def post(key: str | None = None, **body: object) -> httpx2.Response:
        headers = staff | {"Idempotency-Key": key or uuid.uuid4().hex}
        return api.post(PATH, json={"reason": "the carrier works again", **body}, headers=headers)

    return post


class Carrier:
    """The simulator, as far as it answers nothing about some parcels."""

    def __init__(self, address: str) -> None:
        self._address = address

    def unclear(self, order_id: str) -> None:
        for operation in ("cancel", "find", "retrieve"):
            match = {"operation": operation, "reference": f"{order_id}-1"}
            fault = {"kind": "fail_before", "match": match, "times": 100_000}
            httpx2.post(f"{self._address}/_control/faults", json=fault).raise_for_status()

    def clear(self) -> None:
        httpx2.delete(f"{self._address}/_control/faults").raise_for_status()


@pytest.fixture
def carrier(bed: Testbed) -> Iterator[Carrier]:
    control = Carrier(bed.url("CARRIER_SIMULATOR_PORT"))
    yield control
    control.clear()


Blocked = Callable[[int], list[str]]


@pytest.fixture
def blocked(buyer: Buyer, make_product: MakeProduct, carrier: Carrier, connections: Connections) -> Blocked:
    """Orders that were cancelled while nobody knows what became of their parcel; what waits longest comes first."""
    tasks = OperatorTaskStore(connections.engine)

    def cancel(order_id: str) -> None:
        carrier.unclear(order_id)
        assert buyer.post(f"/v1/orders/{order_id}/cancel", {}).status_code == 202

    def make(number: int) -> list[str]:
        address = ADDRESS | {"postal_code": WAITING_POSTAL_CODE}
        placed = [
            buyer.check_out(buyer.fill(make_product()), shipping_address=address).json()["id"] for _ in range(number)
        ]
        for order_id in placed:
            buyer.until_event(order_id, "parcel.booked")
        with ThreadPoolExecutor(number) as pool:  # each is answered only when its request has waited long enough
            list(pool.map(cancel, placed))
        for order_id in placed:
            buyer.until(order_id, "compensation_blocked")
            until_task(connections, order_id)
        return [order_id for order_id, _ in tasks.waiting_orders("parcel_unknown", 200) if order_id in placed]

    return make


def until_task(connections: Connections, order_id: str, *, waits: bool = True) -> None:
    """Tasks are written beside the order's own steps."""
    tasks, deadline = OperatorTaskStore(connections.engine), time.monotonic() + 120
    while ((order_id, 1) in tasks.waiting_orders("parcel_unknown", 200)) is not waits:
        assert time.monotonic() < deadline
        time.sleep(0.1)


Outcome = tuple[str, str | None]
Answered = dict[tuple[str, int | None], Outcome]


def outcomes(answer: httpx2.Response) -> Answered:
    """By order and parcel; what was accepted is carried out, however long that takes."""
    assert answer.status_code == 200, answer.text
    items: list[Json] = answer.json()["items"]
    return {
        (item["order_id"], item["parcel"]): (_DONE.get(str(item["outcome"]), str(item["outcome"])), item["code"])
        for item in items
    }


def until_answered(give: Answers, **body: object) -> Answered:
    """Where a machine is so busy that some are not answered in time, those are answered again."""
    answered = outcomes(give(**body))
    deadline = time.monotonic() + 240
    while late := {subject for subject, (outcome, _) in answered.items() if outcome == "not_answered"}:
        assert time.monotonic() < deadline, answered
        for subject, found in outcomes(give(**body)).items():
            if subject in late:
                answered[subject] = _MEANWHILE.get(found[0], found)
    return answered


def test_named_parcels_are_answered_and_none_fails_the_others(give: Answers, blocked: Blocked, buyer: Buyer) -> None:
    first, second = blocked(2)
    nowhere, key = str(uuid.uuid4()), uuid.uuid4().hex
    parcels = [{"order_id": one, "parcel": 1} for one in (first, nowhere, second)]
    parcels += [parcels[0], {"order_id": second, "parcel": 2}]
    assert until_answered(give, answer="stopped", parcels=parcels) == {
        (first, 1): ("done", None),
        (nowhere, 1): ("refused", "not_found"),
        (second, 1): ("done", None),
        (second, 2): ("no_longer_waiting", "parcel_not_unknown"),
    }
    for order_id in (first, second):
        buyer.until(order_id, "cancelled")
        assert buyer.effects(order_id) == ["authorization", "void"]
    again = give(key, answer="dispatched", parcels=parcels[:1])
    assert outcomes(again) == {(first, 1): ("no_longer_waiting", "too_late")}
    assert give(key, answer="dispatched", parcels=parcels[:1]).json() == again.json()
    assert give(key, answer="dispatched", parcels=parcels[:2]).json()["code"] == "idempotency_key_reused"


def test_what_waits_longest_with_a_code_is_tried_again(
    give: Answers, blocked: Blocked, buyer: Buyer, carrier: Carrier, connections: Connections
) -> None:
    """While the carrier does not answer: else an order might learn by itself what became of its parcel."""
    placed, tasks = blocked(3), OperatorTaskStore(connections.engine)
    waiting = [order_id for order_id, _ in tasks.waiting_orders("parcel_unknown", 200)]
    listed = [task.order_id for task in tasks.page(None, 200, "parcel_unknown").items]
    assert [order_id for order_id in listed if order_id in placed] == placed, "the oldest first"
    for tried in (placed[:2], placed):
        last = waiting.index(tried[-1]) + 1
        answered = until_answered(give, answer="retry", code="parcel_unknown", limit=last)
        assert [order_id for order_id, _ in answered] == waiting[:last]
        assert [answered[order_id, 1] for order_id in tried] == [("done", None)] * len(tried)
    carrier.clear()
    for order_id in placed:
        buyer.until(order_id, "cancelled")
        until_task(connections, order_id, waits=False)
    assert not {order_id for order_id, _ in outcomes(give(answer="retry", code="parcel_unknown"))} & set(placed)


def test_blocked_compensations_are_tried_again_once_at_the_same_time(
    give: Answers, blocked: Blocked, buyer: Buyer, carrier: Carrier
) -> None:
    placed = blocked(2)
    refused = until_answered(give, answer="by_hand", orders=placed)
    assert list(refused.values()) == [("refused", "parcel_unknown")] * 2
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: until_answered(give, answer="retry", orders=placed), range(4)))
    carrier.clear()
    for order_id in placed:
        found = {answered[order_id, None][0] for answered in answers}
        assert "done" in found
        assert found <= {"done", "no_longer_waiting"}
        buyer.until(order_id, "cancelled")
        assert buyer.effects(order_id) == ["authorization", "void"]


def test_order_admin_gives_the_same_answers(blocked: Blocked, buyer: Buyer, bed: Testbed) -> None:
    (order_id,) = blocked(1)
    refused = admin("stopped", "--code", "parcel_unknown")
    assert refused.returncode == 1, refused.stdout
    unknown = admin("stopped", "--parcel", f"{uuid.uuid4()}/1")
    assert (unknown.returncode, "There is no such order" in unknown.stdout) == (1, True)
    done = admin("stopped", "--parcel", f"{order_id}/1")
    assert (done.returncode, "1 done" in done.stdout) == (0, True), done.stdout + done.stderr
    buyer.until(order_id, "cancelled")
    late = admin("retry", "--order", order_id)
    assert (late.returncode, "1 no_longer_waiting" in late.stdout) == (0, True), late.stdout + late.stderr


def admin(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "workers.admin", "answer", *arguments, "--reason", "asked on the phone"]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.parametrize(
    "body",
    [
        {"answer": "retry"},
        {"answer": "retry", "orders": [], "code": None},
        {"answer": "retry", "orders": [str(uuid.UUID(int=1))], "code": "parcel_unknown"},
        {"answer": "retry", "orders": [str(uuid.UUID(int=n)) for n in range(201)]},
        {"answer": "retry", "orders": ["17"]},
        {"answer": "retry", "code": "risk_review"},
        {"answer": "retry", "code": "parcel_unknown", "limit": 201},
        {"answer": "by_hand", "code": "compensation_blocked"},
        {"answer": "stopped", "code": "parcel_unknown"},
        {"answer": "dispatched", "orders": [str(uuid.UUID(int=1))]},
        {"answer": "perhaps", "code": "parcel_unknown"},
    ],
    ids=lambda body: "-".join([body["answer"], *list(body)[1:]]),
)
def test_what_is_not_safe_for_many_is_refused(give: Answers, body: Json) -> None:
    answer = give(**body)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request"), answer.text


def test_only_staff_who_may_settle_one_may_settle_many(
    api: httpx2.Client, customer: Customer, make_staff: MakeStaff, make_customer: MakeCustomer
) -> None:
    body = {"answer": "retry", "reason": "?", "code": "parcel_unknown", "limit": 1}
    assert api.post(PATH, json=body).status_code == 401
    for headers in (customer.headers, make_customer().headers, make_staff(Role.WAREHOUSE)):
        assert api.post(PATH, json=body, headers=headers | {"Idempotency-Key": "1"}).status_code == 403
    without_key = api.post(PATH, json=body, headers=make_staff(Role.SUPPORT))
    assert (without_key.status_code, without_key.json()["code"]) == (400, "idempotency_key_required")
