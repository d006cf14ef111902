"""What Prometheus reads: what needs an operator by code, how old the oldest is, and money that is to be moved."""

import asyncio
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import httpx2
import pytest
import sqlalchemy as sa
import uuid_utils
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from adapters.connections import Connections
from adapters.mysql.clock import now
from adapters.mysql.orders.operator_tasks import OperatorTaskStore
from adapters.mysql.payments.amounts_due import AmountsDue
from adapters.mysql.schedule_runs import ScheduleRuns
from adapters.mysql.tables.payments import refunds
from adapters.mysql.tables.shared import schedule_runs
from adapters.settings import Settings
from api.metrics import build_metrics
from schemas.operator_tasks import OperatorTask, OperatorTaskCode, RecordOperatorTasks
from schemas.schedule_runs import ScheduleRun
from temporal_clients.connection import connect_temporal, serving_metrics
from tests.buyer import Buyer
from tests.fixture_types import MakeProduct
from workers.schedules import SCHEDULES

LONG_AGO = timedelta(days=1000)
Sample = tuple[str, frozenset[str]]


def read(text: str) -> dict[Sample, float]:
    """By name and the values of its labels."""
    return {
        (sample.name, frozenset(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def scrape(api: httpx2.Client) -> dict[Sample, float]:
    answer = api.get("/metrics")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/plain")
    return read(answer.text)


@pytest.fixture
def lose_parcel(connections: Connections) -> Iterator[Callable[[], str]]:
    """Makes a parcel that has needed an operator for longer than any other, and is resolved afterwards."""
    store, workflow_id = OperatorTaskStore(connections.engine), f"fulfilment-{uuid_utils.uuid7()}-1"

    def lose() -> str:
        task = OperatorTask(code=OperatorTaskCode.PARCEL_LOST, text="no scan", since=datetime.now(UTC) - LONG_AGO)
        store.record(RecordOperatorTasks(workflow_id=workflow_id, revision=1, order_id=None, tasks=[task]))
        return workflow_id

    yield lose
    store.record(RecordOperatorTasks(workflow_id=workflow_id, revision=3, order_id=None, tasks=[]))


def test_what_needs_an_operator_is_counted_by_code(
    api: httpx2.Client, connections: Connections, lose_parcel: Callable[[], str]
) -> None:
    """Beside what other tests have left on this testbed."""
    label = frozenset({"parcel_lost"})
    before = scrape(api)["orders_needs_operator", label]
    workflow_id = lose_parcel()
    seen = scrape(api)
    assert seen["orders_mysql_up", frozenset()] == 1
    assert seen["orders_needs_operator", label] == before + 1
    age = timedelta(seconds=seen["orders_needs_operator_oldest_seconds", label])
    assert LONG_AGO <= age < 2 * LONG_AGO
    resolved = RecordOperatorTasks(workflow_id=workflow_id, revision=2, order_id=None, tasks=[])
    OperatorTaskStore(connections.engine).record(resolved)
    seen = scrape(api)
    assert seen["orders_needs_operator", label] == before
    assert timedelta(seconds=seen["orders_needs_operator_oldest_seconds", label]) < LONG_AGO


def test_promised_refunds_are_due(
    api: httpx2.Client, connections: Connections, buyer: Buyer, make_product: MakeProduct
) -> None:
    order_id = buyer.check_out(buyer.fill(make_product())).json()["id"]
    due = ("orders_amount_due_minor_units", frozenset({"refund", "EUR"}))
    before = scrape(api).get(due, 0)
    row = {
        "id": str(uuid.uuid4()), "order_id": order_id, "amount": 1234, "currency": "EUR", "reason": "test",
        "actor": "system", "status": "pending", "created_at": now(),
    }  # fmt: skip
    with connections.engine.begin() as connection:
        connection.execute(sa.insert(refunds).values(row))
    assert scrape(api)[due] == before + 1234
    with connections.engine.begin() as connection:
        connection.execute(sa.delete(refunds).where(refunds.c.id == row["id"]))
    assert scrape(api).get(due, 0) == before


def test_every_schedule_shows_its_last_success(api: httpx2.Client, connections: Connections) -> None:
    """Each is known from the set-up on, so that an alert sees also what has never run."""
    seen = scrape(api)
    for row in SCHEDULES:
        label = frozenset({row.id})
        assert seen["orders_schedule_interval_seconds", label] == row.every.total_seconds()
        assert seen["orders_schedule_last_success_timestamp_seconds", label] > 0
    moment = datetime.now(UTC) + timedelta(days=1)  # later than any run of another test
    ScheduleRuns(connections.engine).record(ScheduleRun(schedule="watchdog", succeeded_at=moment, seconds=2.5))
    seen, label = scrape(api), frozenset({"watchdog"})
    assert seen["orders_schedule_last_success_timestamp_seconds", label] == pytest.approx(moment.timestamp())
    assert seen["orders_schedule_last_duration_seconds", label] == 2.5
    with connections.engine.begin() as connection:
        mine = schedule_runs.c.schedule == "watchdog"
        connection.execute(sa.update(schedule_runs).where(mine).values(succeeded_at=None, seconds=None))


def test_without_mysql_the_metrics_say_so() -> None:
    nowhere = sa.create_engine("mysql+pymysql://nobody@127.0.0.1:1/none", connect_args={"connect_timeout": 1})
    seen = read(
        generate_latest(build_metrics(OperatorTaskStore(nowhere), AmountsDue(nowhere), ScheduleRuns(nowhere))).decode()
    )
    assert seen["orders_mysql_up", frozenset()] == 0
    assert not any(name.startswith("orders_needs_operator") for name, _ in seen)


def test_a_worker_serves_temporals_metrics(settings: Settings, unused_tcp_port: int) -> None:
    address = f"127.0.0.1:{unused_tcp_port}"

    async def connect() -> None:
        client = await connect_temporal(settings, runtime=serving_metrics(address))
        await client.count_workflows()

    asyncio.run(connect())
    assert "temporal_request" in httpx2.get(f"http://{address}/metrics").text
