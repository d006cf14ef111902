"""Plays all cells on a private engine whose workers go wrong as told, and watches it on the way."""

import asyncio
import os
import random
import shutil
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta

from temporalio.client import Client

from adapters.connections import Connections, connect
from adapters.mysql.payments.differences import PaymentDifferences
from bench.shop import open_shop, put_on_sale
from dev.cable import Cable
from dev.fault_matrix.faults import Faults, Kind
from dev.fault_matrix.oracle import Sides, unpublished, violations_on_the_way
from dev.fault_matrix.play import Outcome, Play, Stage
from dev.fault_matrix.scenarios import Cell, cells
from dev.testbed import Testbed
from domain.reconciliation import DifferenceStatus
from temporal_clients.connection import connect_temporal
from workers.build_activities import build_activities
from workers.service_accounts import SUPPLIER_SIMULATOR
from workers.service_client import service_client
from workflows.names import FULFILMENT_QUEUE, ORDERS_QUEUE, PAYMENTS_QUEUE
from workflows.payments.reconciliation import PaymentReconciliationWorkflow

_SIDE_BY_SIDE, _KILLS_SIDE_BY_SIDE = 12, 6
_NOT_SETTLED = (DifferenceStatus.OPEN, DifferenceStatus.WATCHED, DifferenceStatus.REPAIRING)
# So that an order that waits for its goods holds on to its place more than once, and none is waited for a day.
_RESERVED_SECONDS = 20
WORKERS = ("faulty-worker", "faulty-worker#2")


@dataclass
class Result:
    """Every cell's outcome, and what was wrong on the way."""

    seed: int
    outcomes: list[Outcome] = field(default_factory=list)
    on_the_way: list[str] = field(default_factory=list)
    looks: int = 0

    def violations(self) -> list[str]:
        """All of them, each with its cell."""
        found = [
            f"{one.cell.fault.activity} {one.cell.fault.kind}, {one.cell.scenario.name}, {one.cell.course}"
            f" ({one.order_id}): {sentence}"
            for one in self.outcomes
            for sentence in one.violations
        ]
        return found + self.on_the_way


@contextmanager
def faulty_engine(
    mutant: str = "none", cable: Cable | None = None, carrier_step_seconds: float = 0.2
) -> Iterator[Testbed]:
    """A private engine whose workers go wrong as told, with a mistake built in when one is named.

    With a cable all of its processes reach MySQL through that, and its workers have production's time-outs and holds.
    """
    environment = dict(os.environ)  # which a new testbed makes its own
    bed = Testbed.create()
    told = {"FAULTS": str(bed.place.state / "faults"), "MUTANT": mutant}
    shutil.rmtree(told["FAULTS"], ignore_errors=True)  # of an earlier engine at this place
    try:
        bed.start("mail", "payment-simulator")
        bed.start("carrier-simulator", CARRIER_STEP_SECONDS=str(carrier_step_seconds))
        wired = bed.environment["ORDERS_MYSQL_URL"]
        if cable is not None:
            wired = wired.replace(f":{bed.environment['MYSQL_PORT']}/", f":{cable.port}/")
        else:
            told |= {"IMPATIENT": "yes", "ORDERS_RESERVATION_HOURS": str(_RESERVED_SECONDS / 3600)}
        bed.start("relay", "api", ORDERS_MYSQL_URL=wired)
        bed.start(*WORKERS, ORDERS_MYSQL_URL=wired, **told)
        yield bed
    finally:
        bed.close()
        os.environ.clear()
        os.environ.update(environment)


async def play(
    bed: Testbed, wanted: Callable[[Cell], bool], seed: int, told: Callable[[Outcome], None] = lambda _: None
) -> Result:
    """Play the wanted cells and tell of each as it ends."""
    result = Result(seed)
    async with staged(bed, seed) as (stage, stores, client):
        open_shop(stores)
        mine = [cell for cell in cells(activities(stores, client)) if wanted(cell)]
        random.Random(seed).shuffle(mine)  # noqa: S311 - to be played again, not a secret
        watching = asyncio.create_task(watch(stage.sides, result))
        killing = [cell for cell in mine if cell.fault.kind is Kind.KILLED]
        rest = [cell for cell in mine if cell.fault.kind is not Kind.KILLED]
        for some, at_once in ((rest, _SIDE_BY_SIDE), (killing, _KILLS_SIDE_BY_SIDE)):
            turns = asyncio.Semaphore(at_once)
            await asyncio.gather(*(_one(stage, cell, turns, result, told) for cell in some))
        watching.cancel()
        await look(stage.sides, result)  # the last one may have been before the last mistake
        result.on_the_way += await everything_is_told(stores)
        result.on_the_way += await payments_reconciled(client, stores)
    return result


def activities(stores: Connections, client: Client) -> list[str]:
    """The names of all activities of checkout, payment and fulfilment, as the workers have them."""
    crew = build_activities(stores, client)
    return [one.__name__ for queue in (ORDERS_QUEUE, PAYMENTS_QUEUE, FULFILMENT_QUEUE) for one in crew[queue]]


@asynccontextmanager
async def staged(bed: Testbed, seed: int) -> AsyncIterator[tuple[Stage, Connections, Client]]:
    """What plays need, for the length of the block."""
    client = await connect_temporal(bed.settings.temporal_address, bed.settings.temporal_namespace)
    with connect(bed.settings, pool_size=32) as stores, service_client(bed.settings, SUPPLIER_SIMULATOR) as staff:
        sides = Sides(stores, bed.url("PAYMENT_SIMULATOR_PORT"), bed.url("CARRIER_SIMULATOR_PORT"))
        key = bed.settings.stripe_api_key.get_secret_value()
        yield Stage(client, sides, Faults(bed.place.state / "faults"), staff, key, seed), stores, client


async def _one(
    stage: Stage, cell: Cell, turns: asyncio.Semaphore, result: Result, told: Callable[[Outcome], None]
) -> None:
    async with turns:
        sku = await asyncio.to_thread(_product, stage, cell)
        outcome = await Play(stage, cell, sku).run()
        result.outcomes.append(outcome)
        told(outcome)


def _product(stage: Stage, cell: Cell) -> str:
    """One of its own for every order, so that its stock tells of that order alone."""
    sku = f"FAULT-{uuid.uuid4().hex[:12].upper()}"
    units = cell.scenario.there
    put_on_sale(stage.sides.stores, [sku], [(sku, "BER", units)] if units else [])
    if cell.scenario.arrives:
        stage.staff.patch(f"/v1/stock/{sku}", json={"backorderable": True}).raise_for_status()
    return sku


async def watch(sides: Sides, result: Result) -> None:
    """Look at everything twice a second, until cancelled; more seldom where a look takes long, as of many orders."""
    while True:
        began = time.monotonic()
        await look(sides, result)
        await asyncio.sleep(max(0.5, 9 * (time.monotonic() - began)))


async def look(sides: Sides, result: Result) -> None:
    """Note what is wrong at this moment."""
    result.on_the_way += await asyncio.to_thread(lambda: list(violations_on_the_way(sides)))
    result.looks += 1


async def payments_reconciled(client: Client, stores: Connections) -> Sequence[str]:
    """What the product's own reconciliation of payments says of all orders; it must find no more than the oracle."""
    run = PaymentReconciliationWorkflow.run
    done = await client.execute_workflow(run, id=f"reconciliation-{uuid.uuid4()}", task_queue=PAYMENTS_QUEUE)
    if not done.orders:
        return ["reconciliation: it has compared nothing"]
    page = PaymentDifferences(stores.engine, timedelta(0)).page(None, 100)  # what is not at its end comes first
    left = [one for one in page.items if one.status in _NOT_SETTLED]
    return [f"reconciliation: {one.kind} {one.effect} of {one.order_id} is {one.status}" for one in left]


async def everything_is_told(stores: Connections) -> Sequence[str]:
    """Waits until every event is published; a violation when one is not within half a minute."""
    for _ in range(300):
        if not (left := await asyncio.to_thread(unpublished, stores)):
            return []
        await asyncio.sleep(0.1)
    return [f"events: {left} were never published"]
