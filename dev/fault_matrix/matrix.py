"""Plays all cells on a private engine whose workers fail on command, and checks the invariants meanwhile."""

import asyncio
import os
import random
import shutil
import time
import uuid
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta

from temporalio.client import Client

from adapters.connections import Connections, connect
from adapters.mysql.payments.differences import PaymentDifferences
from dev.cable import Cable
from dev.fault_matrix.cells import Cell
from dev.fault_matrix.faults import Faults, Kind
from dev.fault_matrix.oracle import Sides, violations_while_running
from dev.fault_matrix.order import Environment
from dev.fault_matrix.play import Outcome, Play
from dev.fault_matrix.published import all_events_published
from dev.fault_matrix.scenarios import cells
from dev.kafka_cable import KafkaCable
from dev.shop import open_shop, put_on_sale
from dev.testbed import Testbed
from domain.reconciliation import DifferenceStatus
from temporal_clients.connection import connect_temporal
from workers.build_activities import build_activities
from workers.service_accounts import SUPPLIER_SIMULATOR
from workers.service_client import service_client
from workflows.names import FULFILMENT_QUEUE, ORDERS_QUEUE, PAYMENTS_QUEUE
from workflows.payments.reconciliation import PaymentReconciliationWorkflow

_CONCURRENCY, _CONCURRENT_KILLS = 12, 6
_NOT_SETTLED = (DifferenceStatus.OPEN, DifferenceStatus.WATCHED, DifferenceStatus.REPAIRING)
# So short that a backordered order extends its reservation more than once.
_RESERVED_SECONDS = 20
_SHORT = {"SHORT_TIMEOUTS": "yes", "ORDERS_RESERVATION_HOURS": str(_RESERVED_SECONDS / 3600)}
WORKERS = ("faulty-worker", "faulty-worker#2")


@dataclass
class Result:
    """Every cell's outcome, and the violations seen while the orders ran."""

    seed: int
    outcomes: list[Outcome] = field(default_factory=list)
    while_running: list[str] = field(default_factory=list)
    checks: int = 0

    def violations(self) -> list[str]:
        """All of them, each with its cell."""
        found = [f"{outcome.title}: {sentence}" for outcome in self.outcomes for sentence in outcome.violations]
        return found + self.while_running


@dataclass(frozen=True)
class Cables:
    """Those through which all processes of an engine reach the servers that they share with others."""

    mysql: Cable
    kafka: KafkaCable

    def addresses(self, bed: Testbed) -> dict[str, str]:
        """The settings that lead through them."""
        mysql, kafka = bed.environment["MYSQL_PORT"], bed.environment["KAFKA_PORT"]
        return {
            "ORDERS_MYSQL_URL": bed.environment["ORDERS_MYSQL_URL"].replace(f":{mysql}/", f":{self.mysql.port}/"),
            "ORDERS_KAFKA_BOOTSTRAP": bed.environment["ORDERS_KAFKA_BOOTSTRAP"].replace(kafka, str(self.kafka.port)),
        }


@contextmanager
def faulty_engine(cables: Cables | None = None, carrier_step_seconds: float = 0.2) -> Iterator[Testbed]:
    """A private engine whose workers fail on command.

    With cables all of its processes reach MySQL and Kafka through them, and its workers have production's time-outs
    and reservations.
    """
    environment = dict(os.environ)  # which a new testbed makes its own
    bed = Testbed.create()
    try:
        bed.start("mail", "payment-simulator")
        bed.start("carrier-simulator", CARRIER_STEP_SECONDS=str(carrier_step_seconds))
        wired = cables.addresses(bed) if cables is not None else {}
        bed.start("relay", "api", **wired)
        start_workers(bed, **wired)
        yield bed
    finally:
        bed.close()
        os.environ.clear()
        os.environ.update(environment)


def start_workers(bed: Testbed, mutant: str = "none", **environment: str) -> None:
    """Workers that fail on command, with a mistake built in when a mutant is named; those that run end first."""
    bed.stop_all(*(name for name in WORKERS if name in bed.processes))
    faults = bed.place.state / "faults"
    shutil.rmtree(faults, ignore_errors=True)  # of earlier workers at this place
    bed.start(*WORKERS, FAULTS=str(faults), MUTANT=mutant, **(environment or _SHORT))


async def play(
    bed: Testbed,
    select: Callable[[list[Cell]], list[Cell]],
    seed: int,
    report: Callable[[Outcome], None] = lambda _: None,
) -> Result:
    """Play those of all cells that are selected, and report each as it ends."""
    result = Result(seed)
    async with shared_environment(bed, seed) as (shared, stores, client):
        open_shop(stores)
        selected = select(cells(activities(stores, client)))
        random.Random(seed).shuffle(selected)  # noqa: S311 - to be played again, not a secret
        watching = asyncio.create_task(watch(shared.sides, result))
        killing = [cell for cell in selected if cell.fault.kind is Kind.KILLED]
        rest = [cell for cell in selected if cell.fault.kind is not Kind.KILLED]
        for group, concurrency in ((rest, _CONCURRENCY), (killing, _CONCURRENT_KILLS)):
            slots = asyncio.Semaphore(concurrency)
            await asyncio.gather(*(_play_cell(shared, cell, slots, result, report) for cell in group))
        watching.cancel()
        await check(shared.sides, result)  # the last check may have been before the last mistake
        result.while_running += await all_events_published(stores)
        settled = [outcome.order_id for outcome in result.outcomes if outcome.settled]
        result.while_running += await payments_reconciled(client, stores, settled)
    return result


def activities(stores: Connections, client: Client) -> list[str]:
    """The names of all activities that workers run for checkout, payment and fulfilment."""
    crew = build_activities(stores, client)
    return [run.__name__ for queue in (ORDERS_QUEUE, PAYMENTS_QUEUE, FULFILMENT_QUEUE) for run in crew[queue]]


@asynccontextmanager
async def shared_environment(bed: Testbed, seed: int) -> AsyncIterator[tuple[Environment, Connections, Client]]:
    """What all orders share, for the length of the block."""
    client = await connect_temporal(bed.settings)
    with connect(bed.settings, pool_size=32) as stores, service_client(bed.settings, SUPPLIER_SIMULATOR) as staff:
        sides = Sides(stores, bed.url("PAYMENT_SIMULATOR_PORT"), bed.url("CARRIER_SIMULATOR_PORT"))
        key = bed.settings.stripe_api_key.get_secret_value()
        yield Environment(client, sides, Faults(bed.place.state / "faults"), staff, key, seed), stores, client


async def _play_cell(
    shared: Environment, cell: Cell, slots: asyncio.Semaphore, result: Result, report: Callable[[Outcome], None]
) -> None:
    async with slots:
        sku = await asyncio.to_thread(_product, shared, cell)
        outcome = await Play(shared, cell, sku).run()
        result.outcomes.append(outcome)
        report(outcome)


def _product(shared: Environment, cell: Cell) -> str:
    """A product of its own for every order, so that its stock shows what that order did."""
    sku = f"FAULT-{uuid.uuid4().hex[:12].upper()}"
    units = cell.scenario.in_stock
    put_on_sale(shared.sides.stores, [sku], [(sku, cell.scenario.warehouse, units)] if units else [])
    if cell.scenario.receives:
        shared.staff.patch(f"/v1/stock/{sku}", json={"backorderable": True}).raise_for_status()
    return sku


async def watch(sides: Sides, result: Result) -> None:
    """Check twice a second, until cancelled; less often where a check takes long because there are many orders."""
    while True:
        began = time.monotonic()
        await check(sides, result)
        await asyncio.sleep(max(0.5, 9 * (time.monotonic() - began)))


async def check(sides: Sides, result: Result) -> None:
    """Record what is wrong at this moment."""
    result.while_running += await asyncio.to_thread(lambda: list(violations_while_running(sides)))
    result.checks += 1


async def payments_reconciled(client: Client, stores: Connections, settled: Collection[str] = ()) -> Sequence[str]:
    """The differences that the product's own reconciliation of payments finds; there must be none, but those that an
    operator has settled by hand.
    """
    run = PaymentReconciliationWorkflow.run
    done = await client.execute_workflow(run, id=f"reconciliation-{uuid.uuid4()}", task_queue=PAYMENTS_QUEUE)
    if not done.orders:
        return ["reconciliation: it compared nothing"]
    page = PaymentDifferences(stores.engine, timedelta(0)).page(None, 100)  # open ones come first
    unsettled = [item for item in page.items if item.status in _NOT_SETTLED and item.order_id not in settled]
    return [f"reconciliation: {item.kind} {item.effect} of {item.order_id} is {item.status}" for item in unsettled]
