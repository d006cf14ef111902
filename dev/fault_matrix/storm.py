"""Many orders on their way at once while workers and the Temporal server are killed and the database goes away: all of
them end right.
"""

import asyncio
import itertools
import random
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

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
from dev.fault_matrix.oracle import violations_on_the_way
from dev.fault_matrix.play import Outcome, Play
from dev.fault_matrix.scenarios import DELIVERED, PAID_WITH_CREDIT, Cell, Course
from dev.fault_matrix.worker import KILL
from dev.stack import control
from dev.stack.environment import settings
from dev.testbed import Testbed

_UNTOUCHED = Cell(Fault("none", Kind.KILLED), Course.GOES_ON, DELIVERED)


@dataclass(frozen=True)
class Weather:
    """How many orders, how often a worker is killed, for how long MySQL is away, whether Temporal's server is killed
    and started again; all of it within so many seconds.
    """

    orders: int
    kills: int
    away_seconds: float
    within_seconds: float
    temporal: bool = False


@dataclass
class Aftermath(Result):
    """What came of it; `settled_after` is from the last fault to the end of the last order."""

    kills: int = 0
    settled_after: float = 0.0

    @property
    def ends(self) -> list[str]:
        """How each order ended."""
        return [one.ended for one in self.outcomes]


@contextmanager
def stormy_engine() -> Iterator[tuple[Testbed, Cable]]:
    """An engine all of whose processes reach MySQL through a cable."""
    cable = Cable(int(settings()["MYSQL_PORT"]))
    with faulty_engine(cable=cable) as bed:
        yield bed, cable


async def storm(bed: Testbed, cable: Cable, weather: Weather, seed: int) -> Aftermath:
    """Place all orders at once, let the weather have its way, and look at each of them."""
    result, dice = Aftermath(seed), random.Random(seed)  # noqa: S311 - to be played again, not a secret
    async with staged(bed, seed) as (stage, stores, client):
        open_shop(stores)
        skus = [f"STORM-{seed}-{number}" for number in range(weather.orders)]
        put_on_sale(stores, skus, [(sku, "BER", DELIVERED.there) for sku in skus])
        watching = asyncio.create_task(watch(stores, result))
        plays = [Play(stage, _UNTOUCHED, sku) for sku in skus]
        ending = [asyncio.create_task(play.to_the_end()) for play in plays]
        await asyncio.gather(
            _kill(bed, weather, dice, result), _take_away(cable, weather, dice), _kill_temporal(weather, dice)
        )
        last_fault = time.monotonic()
        ends = await asyncio.wait_for(asyncio.gather(*ending), 600)
        result.settled_after = time.monotonic() - last_fault
        watching.cancel()
        for play, ended in zip(plays, ends, strict=True):
            found = await asyncio.to_thread(play.look)
            result.outcomes.append(Outcome(_UNTOUCHED, play.order_id, ended, found))
        result.on_the_way += await everything_is_told(stores)
        result.on_the_way += await payments_reconciled(client, stores)
    return result


async def share_credit(bed: Testbed, orders: int) -> Result:
    """Orders of one customer, whose store credit is enough for a part of one, are placed at the same moment."""
    result, cell = Result(0), Cell(_UNTOUCHED.fault, Course.GOES_ON, PAID_WITH_CREDIT)
    async with staged(bed, 0) as (stage, stores, _):
        open_shop(stores)
        customer = str(uuid.uuid4())
        skus = [f"SHARED-{number}" for number in range(orders)]
        put_on_sale(stores, skus, [(sku, "BER", PAID_WITH_CREDIT.there) for sku in skus])
        await asyncio.gather(*(Play(stage, cell, sku, customer).to_the_end() for sku in skus))
        result.on_the_way += await asyncio.to_thread(lambda: list(violations_on_the_way(stores)))
    return result


async def _kill(bed: Testbed, weather: Weather, dice: random.Random, result: Aftermath) -> None:
    """Kill -9 a worker at random moments; its parent starts another."""
    for pause in _pauses(weather.kills, weather.within_seconds, dice):
        await asyncio.sleep(pause)
        bed.processes[dice.choice(WORKERS)].send_signal(KILL)
        result.kills += 1


async def _take_away(cable: Cable, weather: Weather, dice: random.Random) -> None:
    if weather.away_seconds:
        await asyncio.sleep(dice.random() * max(0.0, weather.within_seconds - weather.away_seconds))
        cable.cut()
        await asyncio.sleep(weather.away_seconds)
        cable.mend()


async def _kill_temporal(weather: Weather, dice: random.Random) -> None:
    """The server that every testbed on this machine shares; back within seconds."""
    if weather.temporal:
        await asyncio.sleep(dice.random() * weather.within_seconds)
        await asyncio.to_thread(control.kill, "temporal")
        await asyncio.to_thread(control.start, "temporal")


def _pauses(times: int, within: float, dice: random.Random) -> Sequence[float]:
    moments = [0.0, *sorted(dice.random() * within for _ in range(times))]
    return [later - earlier for earlier, later in itertools.pairwise(moments)]
