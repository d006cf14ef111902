"""Many orders at once while workers and the Temporal server are killed and MySQL and Kafka are unavailable: all of them
end as they should, and all of their events are on Kafka.
"""

import asyncio
import itertools
import json
import random
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import psutil  # type: ignore[import-untyped]
from temporalio.api.enums.v1 import EventType, TaskQueueType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.taskqueue.v1 import PollerInfo, TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client

from dev.cable import Cable
from dev.fault_matrix.cells import Cell, Course
from dev.fault_matrix.faults import Fault, Kind
from dev.fault_matrix.matrix import (
    WORKERS,
    Cables,
    Result,
    faulty_engine,
    payments_reconciled,
    shared_environment,
    watch,
)
from dev.fault_matrix.oracle import unpublished
from dev.fault_matrix.play import Outcome, Play
from dev.fault_matrix.published import all_events_published, events_not_on_kafka
from dev.fault_matrix.scenarios import DELIVERED
from dev.fault_matrix.worker import KILL
from dev.kafka_cable import KafkaCable
from dev.shop import open_shop, put_on_sale
from dev.stack import control
from dev.stack.environment import settings
from dev.testbed import Testbed
from workflows.names import (
    FULFILMENT_QUEUE,
    ORDERS_QUEUE,
    PAYMENTS_QUEUE,
    fulfilment_workflow_id,
    order_workflow_id,
    payment_workflow_id,
)

KILLED, CUT, MENDED = "worker killed", "MySQL cut off", "MySQL back"
KAFKA_CUT, KAFKA_MENDED = "Kafka cut off", "Kafka back"
TEMPORAL, TEMPORAL_BACK = "Temporal killed", "Temporal back"
# A batch of events is given up after ten seconds. What a relay made of that would be undone by an absent MySQL.
_KAFKA_MET_SECONDS = 13.0
_FAILED_TASKS = (EventType.EVENT_TYPE_WORKFLOW_TASK_TIMED_OUT, EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED)
_NO_FAULT = Cell(Fault("none", Kind.KILLED), Course.GOES_ON, DELIVERED)


@dataclass(frozen=True)
class StormPlan:
    """How many orders, how often a worker is killed, for how long MySQL and Kafka are unavailable, whether Temporal's
    server is killed and started again; all of it within `within_seconds`. Kafka is away from the beginning, and MySQL
    only once the relay has met that.

    The carrier takes `step_seconds` for each of a parcel's four steps, so that the orders run all the while.
    """

    orders: int
    kills: int
    mysql_seconds: float
    kafka_seconds: float
    within_seconds: float
    step_seconds: float
    temporal: bool = False


@dataclass(frozen=True)
class Strike:
    """A fault that has struck, and how many orders were running at that moment."""

    what: str
    running: int


@dataclass
class Aftermath(Result):
    """The outcomes, and how hard the storm was.

    `most_at_once` orders ran at once; `broken` connections to MySQL were cut; `repeated` attempts at activities and
    workflow tasks were retries; `waited_for_kafka` events were unpublished when Kafka came back; `settled_after` is
    from the last fault to the end of the last order.
    """

    strikes: list[Strike] = field(default_factory=list)
    most_at_once: int = 0
    broken: int = 0
    repeated: int = 0
    waited_for_kafka: int = 0
    settled_after: float = 0.0

    def of(self, what: str) -> list[Strike]:
        """The faults of a kind, in the order they came."""
        return [strike for strike in self.strikes if strike.what == what]

    @property
    def ends(self) -> list[str]:
        """How each order ended."""
        return [outcome.ended for outcome in self.outcomes]


@contextmanager
def stormy_engine(plan: StormPlan) -> Iterator[tuple[Testbed, Cables]]:
    """An engine all of whose processes reach MySQL and Kafka through cables."""
    cables = Cables(Cable(int(settings()["MYSQL_PORT"])), KafkaCable(int(settings()["KAFKA_PORT"])))
    with faulty_engine(cables=cables, carrier_step_seconds=plan.step_seconds) as bed:
        yield bed, cables


class Storm:
    """The orders, and the faults that strike them."""

    def __init__(self, bed: Testbed, cables: Cables, plan: StormPlan, seed: int, plays: Sequence[Play]) -> None:
        self._bed, self._cables, self._plan = bed, cables, plan
        self._dice = random.Random(seed)  # noqa: S311 - to be played again, not a secret
        self._plays = plays
        self.result = Aftermath(seed)
        self._ending: list[asyncio.Task[str]] = []

    async def run(self) -> list[str]:
        """Place all orders at once, let the faults strike while they run, and answer how each ended."""
        self._ending = [asyncio.create_task(play.to_the_end()) for play in self._plays]
        await asyncio.gather(*(play.placed.wait() for play in self._plays))
        self.result.most_at_once = self._running()
        await asyncio.gather(self._kill(), self._cut_mysql(), self._cut_kafka(), self._kill_temporal())
        last_fault = time.monotonic()
        ends = await asyncio.wait_for(asyncio.gather(*self._ending), 600)
        self.result.settled_after = time.monotonic() - last_fault
        self.result.broken = self._cables.mysql.broken
        return ends

    def _running(self) -> int:
        return sum(not task.done() for task in self._ending)

    def _record(self, what: str) -> None:
        self.result.strikes.append(Strike(what, self._running()))

    async def _kill(self) -> None:
        """Kill a worker with SIGKILL at random moments; its parent starts another."""
        for pause in _pauses(self._plan.kills, self._plan.within_seconds, self._dice):
            await asyncio.sleep(pause)
            self._bed.processes[self._dice.choice(WORKERS)].send_signal(KILL)
            self._record(KILLED)

    async def _cut_mysql(self) -> None:
        latest = max(0.0, self._plan.within_seconds - self._plan.mysql_seconds)
        await asyncio.sleep(self._dice.uniform(min(_KAFKA_MET_SECONDS, latest), latest))
        self._cables.mysql.cut()
        self._record(CUT)
        await asyncio.sleep(self._plan.mysql_seconds)
        self._cables.mysql.mend()
        self._record(MENDED)

    async def _cut_kafka(self) -> None:
        self._cables.kafka.cut()
        self._record(KAFKA_CUT)
        await asyncio.sleep(self._plan.kafka_seconds)
        stores = self._plays[0].environment.sides.stores
        self.result.waited_for_kafka = await asyncio.to_thread(unpublished, stores)
        self._cables.kafka.mend()
        self._record(KAFKA_MENDED)

    async def _kill_temporal(self) -> None:
        """The server that every testbed on this machine shares; back within seconds."""
        if self._plan.temporal:
            await asyncio.sleep(self._dice.random() * self._plan.within_seconds)
            self._record(TEMPORAL)
            await asyncio.to_thread(control.kill, "temporal")
            await asyncio.to_thread(control.start, "temporal")
            self._record(TEMPORAL_BACK)


async def storm(bed: Testbed, cables: Cables, plan: StormPlan, seed: int) -> Aftermath:
    """Play it, and check each of the orders."""
    async with shared_environment(bed, seed) as (shared, stores, client):
        open_shop(stores)
        skus = [f"STORM-{seed}-{number}" for number in range(plan.orders)]
        put_on_sale(stores, skus, [(sku, "BER", DELIVERED.in_stock) for sku in skus])
        plays = [Play(shared, _NO_FAULT, sku) for sku in skus]
        await _all_workers_poll(bed, client)
        played = Storm(bed, cables, plan, seed, plays)
        result = played.result
        watching = asyncio.create_task(watch(shared.sides, result))
        ends = await played.run()
        watching.cancel()
        for play, ended in zip(plays, ends, strict=True):
            found = await asyncio.to_thread(play.violations)
            result.outcomes.append(Outcome(_NO_FAULT, play.order_id, ended, found))
        result.repeated = await _repeated(client, [play.order_id for play in plays])
        result.while_running += await all_events_published(stores)
        result.while_running += await asyncio.to_thread(lambda: list(events_not_on_kafka(stores)))
        result.while_running += await payments_reconciled(client, stores)
    return result


async def _all_workers_poll(bed: Testbed, client: Client) -> None:
    """Wait until every worker polls: one that has yet to start cannot be killed at work.

    The server lists those of an earlier engine for minutes.
    """
    started = min(psutil.Process(bed.processes[name].pid).create_time() for name in WORKERS)
    kind = TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW
    for queue in (ORDERS_QUEUE, PAYMENTS_QUEUE, FULFILMENT_QUEUE):
        request = DescribeTaskQueueRequest(
            namespace=client.namespace, task_queue=TaskQueue(name=queue), task_queue_type=kind
        )
        while True:
            answer = await client.workflow_service.describe_task_queue(request)
            if len({poller.identity for poller in answer.pollers if _seen(poller) >= started}) >= len(WORKERS):
                break
            await asyncio.sleep(0.2)


def _seen(poller: PollerInfo) -> float:
    return poller.last_access_time.ToNanoseconds() / 1e9


async def _repeated(client: Client, order_ids: Sequence[str]) -> int:
    """How many attempts at activities and workflow tasks in the orders' histories were not the first."""
    of_order = (order_workflow_id, payment_workflow_id, lambda order_id: fulfilment_workflow_id(order_id, 1))
    slots = asyncio.Semaphore(8)

    async def repeated_in(workflow_id: str) -> int:
        async with slots:
            history = await client.get_workflow_handle(workflow_id).fetch_history()
        return sum(_is_repeated(event) for event in history.events)

    return sum(await asyncio.gather(*(repeated_in(name(order_id)) for order_id in order_ids for name in of_order)))


def _is_repeated(event: HistoryEvent) -> bool:
    local = event.marker_recorded_event_attributes.details.get("data")  # of a local activity, as the SDK records it
    attempt = json.loads(local.payloads[0].data)["attempt"] if local is not None and local.payloads else 1
    started = event.activity_task_started_event_attributes.attempt
    return event.event_type in _FAILED_TASKS or max(attempt, started) > 1


def _pauses(times: int, within: float, dice: random.Random) -> Sequence[float]:
    """Between moments at random, one in each of as many parts of the time, so that the last comes near its end."""
    moments = [0.0, *(within * (part + dice.random()) / times for part in range(times))]
    return [later - earlier for earlier, later in itertools.pairwise(moments)]
