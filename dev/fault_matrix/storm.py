"""Many orders on their way at once while workers and the Temporal server are killed and the database goes away: all of
them end right.
"""

import asyncio
import itertools
import json
import random
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from temporalio.api.enums.v1 import EventType, TaskQueueType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client

from bench.shop import open_shop, put_on_sale
from dev.cable import Cable
from dev.fault_matrix.faults import Fault, Kind
from dev.fault_matrix.matrix import (
    WORKERS,
    Result,
    everything_is_told,
    faulty_engine,
    payments_reconciled,
    staged,
    watch,
)
from dev.fault_matrix.play import Outcome, Play
from dev.fault_matrix.scenarios import DELIVERED, Cell, Course
from dev.fault_matrix.worker import KILL
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
TEMPORAL, TEMPORAL_BACK = "Temporal killed", "Temporal back"
_IN_VAIN = (EventType.EVENT_TYPE_WORKFLOW_TASK_TIMED_OUT, EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED)
_UNTOUCHED = Cell(Fault("none", Kind.KILLED), Course.GOES_ON, DELIVERED)


@dataclass(frozen=True)
class Weather:
    """How many orders, how often a worker is killed, for how long MySQL is away, whether Temporal's server is killed
    and started again; all of it within so many seconds.

    The carrier takes its time over each of a parcel's four steps, so that the orders are on their way all the while.
    """

    orders: int
    kills: int
    away_seconds: float
    within_seconds: float
    step_seconds: float
    temporal: bool = False


@dataclass(frozen=True)
class Strike:
    """A fault that has happened, and how many orders were on their way at that moment."""

    what: str
    on_the_way: int


@dataclass
class Aftermath(Result):
    """What came of it.

    All orders were on their way at once, at most so many; connections to MySQL were broken; attempts at activities and
    workflow tasks were made again; `settled_after` is from the last fault to the end of the last order.
    """

    strikes: list[Strike] = field(default_factory=list)
    most_at_once: int = 0
    broken: int = 0
    repeated: int = 0
    settled_after: float = 0.0

    def of(self, what: str) -> list[Strike]:
        """The faults of a kind, in the order they came."""
        return [one for one in self.strikes if one.what == what]

    @property
    def ends(self) -> list[str]:
        """How each order ended."""
        return [one.ended for one in self.outcomes]


@contextmanager
def stormy_engine(weather: Weather) -> Iterator[tuple[Testbed, Cable]]:
    """An engine all of whose processes reach MySQL through a cable."""
    cable = Cable(int(settings()["MYSQL_PORT"]))
    with faulty_engine(cable=cable, carrier_step_seconds=weather.step_seconds) as bed:
        yield bed, cable


class Storm:
    """The orders, and what happens to them."""

    def __init__(self, bed: Testbed, cable: Cable, weather: Weather, seed: int, plays: Sequence[Play]) -> None:
        self._bed, self._cable, self._weather = bed, cable, weather
        self._dice = random.Random(seed)  # noqa: S311 - to be played again, not a secret
        self._plays = plays
        self.result = Aftermath(seed)
        self._ending: list[asyncio.Task[str]] = []

    async def run(self) -> list[str]:
        """Place all orders at once, let the weather have its way while they go, and answer how each has ended."""
        self._ending = [asyncio.create_task(play.to_the_end()) for play in self._plays]
        await asyncio.gather(*(play.placed.wait() for play in self._plays))
        self.result.most_at_once = self._on_the_way()
        await asyncio.gather(self._kill(), self._take_away(), self._kill_temporal())
        last_fault = time.monotonic()
        ends = await asyncio.wait_for(asyncio.gather(*self._ending), 600)
        self.result.settled_after = time.monotonic() - last_fault
        self.result.broken = self._cable.broken
        return ends

    def _on_the_way(self) -> int:
        return sum(not one.done() for one in self._ending)

    def _note(self, what: str) -> None:
        self.result.strikes.append(Strike(what, self._on_the_way()))

    async def _kill(self) -> None:
        """Kill -9 a worker at random moments; its parent starts another."""
        for pause in _pauses(self._weather.kills, self._weather.within_seconds, self._dice):
            await asyncio.sleep(pause)
            self._bed.processes[self._dice.choice(WORKERS)].send_signal(KILL)
            self._note(KILLED)

    async def _take_away(self) -> None:
        away = self._weather.away_seconds
        if away:
            await asyncio.sleep(self._dice.random() * max(0.0, self._weather.within_seconds - away))
            self._cable.cut()
            self._note(CUT)
            await asyncio.sleep(away)
            self._cable.mend()
            self._note(MENDED)

    async def _kill_temporal(self) -> None:
        """The server that every testbed on this machine shares; back within seconds."""
        if self._weather.temporal:
            await asyncio.sleep(self._dice.random() * self._weather.within_seconds)
            self._note(TEMPORAL)
            await asyncio.to_thread(control.kill, "temporal")
            await asyncio.to_thread(control.start, "temporal")
            self._note(TEMPORAL_BACK)


async def storm(bed: Testbed, cable: Cable, weather: Weather, seed: int) -> Aftermath:
    """Play it, and look at each of the orders."""
    async with staged(bed, seed) as (stage, stores, client):
        open_shop(stores)
        skus = [f"STORM-{seed}-{number}" for number in range(weather.orders)]
        put_on_sale(stores, skus, [(sku, "BER", DELIVERED.there) for sku in skus])
        plays = [Play(stage, _UNTOUCHED, sku) for sku in skus]
        await _at_work(client)
        played = Storm(bed, cable, weather, seed, plays)
        result = played.result
        watching = asyncio.create_task(watch(stage.sides, result))
        ends = await played.run()
        watching.cancel()
        for play, ended in zip(plays, ends, strict=True):
            found = await asyncio.to_thread(play.look)
            result.outcomes.append(Outcome(_UNTOUCHED, play.order_id, ended, found))
        result.repeated = await _repeated(client, [play.order_id for play in plays])
        result.on_the_way += await everything_is_told(stores)
        result.on_the_way += await payments_reconciled(client, stores)
    return result


async def _at_work(client: Client) -> None:
    """Wait until every worker asks for work: one that has yet to start cannot be killed over any."""
    kind = TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW
    for queue in (ORDERS_QUEUE, PAYMENTS_QUEUE, FULFILMENT_QUEUE):
        asked = DescribeTaskQueueRequest(
            namespace=client.namespace, task_queue=TaskQueue(name=queue), task_queue_type=kind
        )
        while True:
            told = await client.workflow_service.describe_task_queue(asked)
            if len({poller.identity for poller in told.pollers}) >= len(WORKERS):
                break
            await asyncio.sleep(0.2)


async def _repeated(client: Client, order_ids: Sequence[str]) -> int:
    """How many attempts at activities and workflow tasks the orders' histories tell of that were not the first."""
    of_order = (order_workflow_id, payment_workflow_id, lambda order_id: fulfilment_workflow_id(order_id, 1))
    turns = asyncio.Semaphore(8)

    async def of(workflow_id: str) -> int:
        async with turns:
            history = await client.get_workflow_handle(workflow_id).fetch_history()
        return sum(_is_repeated(event) for event in history.events)

    return sum(await asyncio.gather(*(of(name(order_id)) for order_id in order_ids for name in of_order)))


def _is_repeated(event: HistoryEvent) -> bool:
    local = event.marker_recorded_event_attributes.details.get("data")  # of a local activity, as the SDK notes it
    attempt = json.loads(local.payloads[0].data)["attempt"] if local is not None and local.payloads else 1
    started = event.activity_task_started_event_attributes.attempt
    return event.event_type in _IN_VAIN or max(attempt, started) > 1


def _pauses(times: int, within: float, dice: random.Random) -> Sequence[float]:
    """Between moments at random, one in each of as many parts of the time, so that the last comes near its end."""
    moments = [0.0, *(within * (part + dice.random()) / times for part in range(times))]
    return [later - earlier for earlier, later in itertools.pairwise(moments)]
