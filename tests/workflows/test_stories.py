"""Orders to which anything happens in any sequence: at their end both sides agree, to the cent and to the unit.

`make stories` plays 300; a failure prints the shortest story that Hypothesis finds, which `@example` plays again.
"""

import os
from collections import Counter
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, Phase, example, given, note, settings
from hypothesis import strategies as st
from temporalio.client import Client

from adapters.connections import Connections
from adapters.mysql.orders.stock import Stock
from adapters.mysql.payments.ledger import Ledger
from domain.fulfilment import ParcelStatus
from domain.ledger import Account, EntryKind
from domain.orders import FINAL_STATUSES, OrderStatus
from schemas.stock import ChangeWarehouse
from temporal_clients.checkouts import CheckoutClient
from tests.fixture_types import MakeProduct
from tests.workflows.carrier import CarrierControl
from tests.workflows.deaths import Deaths, Moment
from tests.workflows.lost_orders import Adopt
from tests.workflows.orders import Order, Place
from tests.workflows.provider import Authenticate, Journal, MakeFault
from tests.workflows.stories import PICKED_AT, Step, Story, missing, shipped
from tests.workflows.time_skipping import time_skipping

P = ParcelStatus
STORIES = int(os.environ.get("STORIES", "20"))
IN_STOCK = 9
WAREHOUSES = ("BER", "AMS", PICKED_AT)

lines = st.lists(
    st.tuples(st.sampled_from(WAREHOUSES), st.integers(100, 9999), st.integers(1, 3)), min_size=1, max_size=4
)
methods = st.sampled_from(["pm_card_visa"] * 4 + ["pm_card_threeDSecure2Required", "pm_card_chargeDeclined"])
parcels = st.integers(1, 3)
MOVES = [P.DISPATCHED, P.DISPATCHED, P.IN_TRANSIT, P.DELIVERED, P.DELIVERED, P.EXCEPTION, P.LOST, P.RETURNED]
steps = st.one_of(
    st.just(Step("cancel")),
    st.builds(Step, st.just("cancel_line"), line=st.integers(0, 3), units=st.integers(1, 3)),
    st.builds(Step, st.just("pay"), detail=st.sampled_from(["succeeded", "failed"])),
    st.builds(Step, st.just("pick"), parcel=parcels, line=st.integers(0, 3), units=st.integers(0, 3)),
    st.builds(Step, st.just("report"), parcel=parcels, detail=st.sampled_from(MOVES)),
    st.builds(Step, st.just("report"), parcel=parcels, detail=st.sampled_from(MOVES)),
    st.builds(Step, st.just("move_unseen"), parcel=parcels, detail=st.sampled_from(MOVES)),
    st.builds(Step, st.just("repeat"), parcel=parcels, detail=st.sampled_from(sorted(set(MOVES)))),
    st.builds(
        Step,
        st.just("carrier_fails"),
        units=st.integers(1, 2),
        detail=st.sampled_from(
            [f"{kind} {on}" for kind in ("fail_before", "error_after", "401", "400") for on in ("book", "cancel")]
        ),
    ),
    st.builds(
        Step,
        st.just("provider_fails"),
        units=st.integers(1, 2),
        detail=st.sampled_from(
            [f"{kind} {on}" for kind in ("500", "error_after", "401") for on in ("create", "capture", "cancel")]
        ),
    ),
    st.builds(Step, st.just("pass"), detail=st.sampled_from(["1", "30", "200"])),
    st.builds(Step, st.just("die"), units=st.integers(0, 6), detail=st.sampled_from(sorted(Moment))),
    st.just(Step("settle")),
    st.just(Step("cancel_in_the_web_ui")),
    st.builds(Step, st.just("lose"), units=st.sampled_from([1, 2])),
    st.just(Step("adopt")),
)


@pytest.fixture(scope="module")
def deaths() -> Deaths:
    return Deaths()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def skipping(connections: Connections, deaths: Deaths) -> AsyncIterator[Client]:
    """Its workers keep no workflow in memory, and die when a story says so."""
    async with time_skipping(connections, deaths) as client:
        yield client


@pytest.fixture
def checkouts(skipping: Client) -> CheckoutClient:
    return CheckoutClient(skipping, 30)


@pytest.fixture(autouse=True)
def picks_are_confirmed(connections: Connections) -> Iterator[None]:
    stock = Stock(connections.engine)
    stock.change_warehouse(PICKED_AT, ChangeWarehouse(pick_required=True))
    yield
    stock.change_warehouse(PICKED_AT, ChangeWarehouse(pick_required=False))


@pytest.mark.timeout(60 * max(STORIES, 20))
@settings(
    max_examples=STORIES,
    deadline=None,
    phases=[Phase.explicit, Phase.generate, Phase.shrink] if STORIES > 20 else [Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@example(
    lines=[("BER", 1999, 3), ("AMS", 333, 2)],
    method="pm_card_visa",
    booked=True,
    steps=[Step("cancel_line", line=0), Step("report", parcel=1, detail=P.DISPATCHED), Step("cancel_line", line=1)],
)
@example(
    lines=[(PICKED_AT, 1999, 3), (PICKED_AT, 333, 1), ("AMS", 250, 1)],
    method="pm_card_visa",
    booked=True,
    steps=[
        Step("cancel_line", line=0),
        Step("pick", line=0, units=1),
        Step("report", parcel=2, detail=P.DISPATCHED),
    ],
)
@example(
    lines=[("BER", 1999, 3), ("AMS", 250, 1)],
    method="pm_card_visa",
    booked=True,
    steps=[
        Step("report", parcel=1, detail=P.DISPATCHED),
        Step("die", detail=Moment.BEFORE_IT_ANSWERS),
        Step("lose", units=2),
        Step("move_unseen", parcel=1, detail=P.DELIVERED),
        Step("adopt"),
    ],
)
@given(
    lines=lines,
    method=methods,
    booked=st.sampled_from([True, True, False]),
    steps=st.lists(steps, min_size=2, max_size=9),
)
async def test_any_story_ends_right(
    *,
    lines: list[tuple[str, int, int]],
    method: str,
    booked: bool,
    steps: list[Step],
    place: Place,
    make_product: MakeProduct,
    carrier: CarrierControl,
    provider_fault: MakeFault,
    authenticate: Authenticate,
    provider_journal: Journal,
    deaths: Deaths,
    adopt: Adopt,
    connections: Connections,
) -> None:
    units = {make_product(stock={at: IN_STOCK}, price=price): units for at, price, units in lines}
    order = await place(units, payment_method=method)
    note("\n".join(["", order.id, f"lines={lines!r}, method={method!r}, booked={booked}", *map(repr, steps)]))
    story = Story(order, carrier, provider_fault, authenticate, deaths, adopt)
    await story.begin(booked=booked)
    for step in steps:
        await story.play(step)
    await story.finish()
    check_money(order, provider_journal, connections)
    check_goods(order, carrier, connections)
    check_record(order)


def check_money(order: Order, journal: Journal, connections: Connections) -> None:
    """Captured is the share of what was dispatched, nothing is held, and the provider has done what our ledger says."""
    at_provider = journal(order.id)
    done = Counter((entry["effect"], entry["amount"]) for entry in at_provider if entry["amount"])
    done.update(("fee", entry["fee"]) for entry in at_provider if entry["fee"])
    assert order.ledger() == done
    balances = Ledger(connections.engine).balances(order.id)
    assert sum(balances.values()) == 0
    assert balances[Account.HELD] == 0
    captured = order.money()[EntryKind.CAPTURE]
    assert captured == order.dispatched_amount()
    assert captured == order.view().payment.captured.amount


def check_goods(order: Order, carrier: CarrierControl, connections: Connections) -> None:
    """What was dispatched or missing is out of stock, all the rest on sale again; the carrier has no other booking."""
    units, stock = shipped(order) + missing(order), Stock(connections.engine)
    for line in order.input.lines:
        (level,) = stock.levels(line.sku)
        assert (level.on_hand, level.reserved) == (IN_STOCK - units[line.sku], 0)
    for parcel in order.view().parcels:
        live = [status for status in carrier.statuses(order.id, parcel.number) if not P(status).is_stopped]
        assert len(live) == P(parcel.status).was_dispatched


def check_record(order: Order) -> None:
    """The order says what became of it, and of each line; `events` checks that its history has no gap."""
    view, units = order.view(), shipped(order)
    assert view.status in FINAL_STATUSES
    delivered = any(parcel.status is P.DELIVERED for parcel in view.parcels)
    assert (view.status is OrderStatus.DELIVERED) is delivered
    if units:
        assert {line.sku: line.quantity - line.cancelled for line in view.lines} == {
            line.sku: units[line.sku] for line in view.lines
        }
    assert order.events()
