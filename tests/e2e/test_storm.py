"""Orders on their way while workers and Temporal are killed and MySQL is away: none is lost, stuck or charged twice.

`make soak` plays it with 200 orders, five killed workers and MySQL away for 30 s.
"""

import asyncio
import os
import random

import pytest

from dev.fault_matrix.storm import Weather, storm, stormy_engine

ORDERS = int(os.environ.get("ORDERS_TEST_ORDERS", "30"))
ALONE = "PYTEST_XDIST_WORKER" not in os.environ  # Temporal's server is everybody's
WEATHER = Weather(ORDERS, 5, 30, 180, ALONE) if ORDERS >= 200 else Weather(ORDERS, 2, 5, 10, ALONE)
SETTLED_WITHIN = 60.0


@pytest.mark.timeout(900)
@pytest.mark.usefixtures("bed")  # which has brought the servers up
def test_no_order_is_lost_stuck_or_charged_twice() -> None:
    seed = random.randrange(10**9)
    print(f"seed {seed}")  # noqa: T201 - shown when it fails
    with stormy_engine() as (bed, cable):
        result = asyncio.run(storm(bed, cable, WEATHER, seed))
    print(f"{result.kills} workers killed, settled {result.settled_after:.0f} s after the last fault")  # noqa: T201
    assert result.violations() == []
    assert result.ends == ["delivered"] * ORDERS
    assert result.kills == WEATHER.kills
    assert result.settled_after < SETTLED_WITHIN
