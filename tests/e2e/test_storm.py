"""Orders on their way while workers and Temporal are killed and MySQL and Kafka are away: none is lost, stuck or
charged twice, and all of their events are on Kafka.

`make soak` plays it with 200 orders, five killed workers, MySQL away for 30 s and Kafka for 45 s.
"""

import asyncio
import os
import random

import pytest

from dev.fault_matrix.storm import (
    CUT,
    KAFKA_CUT,
    KAFKA_MENDED,
    KILLED,
    MENDED,
    TEMPORAL,
    TEMPORAL_BACK,
    StormPlan,
    storm,
    stormy_engine,
)

ORDERS = int(os.environ.get("ORDERS_TEST_ORDERS", "30"))
ALONE = "PYTEST_XDIST_WORKER" not in os.environ  # Temporal's server is everybody's
# All of it within the time in which so many orders are on their way: the outages are a part of that.
PLAN = StormPlan(ORDERS, 5, 30, 45, 60, 3, ALONE) if ORDERS >= 200 else StormPlan(ORDERS, 2, 5, 20, 22, 6, ALONE)


@pytest.mark.alone
@pytest.mark.timeout(900)
@pytest.mark.usefixtures("bed")  # which has brought the servers up
def test_no_order_is_lost_stuck_or_charged_twice_and_no_event_is_lost() -> None:
    seed = random.randrange(10**9)
    print(f"seed {seed}")  # noqa: T201 - shown when it fails
    with stormy_engine(PLAN) as (bed, cables):
        result = asyncio.run(storm(bed, cables, PLAN, seed))
    for strike in result.strikes:
        print(f"{strike.what}: {strike.running} orders running")  # noqa: T201
    print(f"settled {result.settled_after:.0f} s after the last; {result.repeated} attempts repeated")  # noqa: T201
    assert result.violations() == []
    assert result.ends == ["delivered"] * ORDERS
    # That it was a storm: all of it met orders, and what it broke was done again.
    assert result.most_at_once == ORDERS
    assert len(result.of(KILLED)) == PLAN.kills
    assert len(result.of(CUT)) == len(result.of(MENDED)) == 1
    assert len(result.of(KAFKA_CUT)) == len(result.of(KAFKA_MENDED)) == 1
    assert len(result.of(TEMPORAL)) == len(result.of(TEMPORAL_BACK)) == PLAN.temporal
    assert all(strike.running > 0 for strike in result.strikes), result.strikes
    assert result.broken > 0
    assert result.repeated > 0
    assert result.waited_for_kafka > 0
