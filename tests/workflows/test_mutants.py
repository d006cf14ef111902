"""Mistakes that were mended are put back on purpose: each is found every time, and nothing is found without it."""

import asyncio
from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any, TypeAlias

import pytest
from temporalio.client import Client, WorkflowUpdateStage

import adapters.carrier
import workflows.orders.delivery
import workflows.waiting
from adapters.carrier_answers import Meaning, Operation, meaning_of
from domain.fulfilment import ParcelStatus
from domain.ledger import EntryKind
from domain.orders import FINAL_STATUSES, OrderStatus
from schemas.order_requests import CancelOrder
from tests.fixture_types import MakeProduct
from tests.workflows.carrier import CarrierControl
from tests.workflows.orders import Order, Place
from tests.workflows.parcels import Arm
from tests.workflows.provider import MakeFault
from tests.workflows.time_skipping import skip
from tests.workflows.waiting import current_details, until
from workflows.orders.checkout import CheckoutWorkflow
from workflows.orders.delivery import Delivery
from workflows.parcels.shipments import Shipments

Mutant: TypeAlias = Callable[[pytest.MonkeyPatch], None]
CANCEL = CancelOrder(actor="customer:test", reason="changed my mind")


def no_mutant(_: pytest.MonkeyPatch) -> None:
    """The code as it is."""


def compensation_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """The money is voided and all stock released, although a parcel could not be stopped."""

    async def release_all(self: Delivery) -> None:
        await self._reservation.release()

    monkeypatch.setattr(Delivery, "_check_known", lambda *_: None)
    monkeypatch.setattr(Delivery, "release_stock", release_all)


def carrier_kills_the_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the carrier answers to a wrong key, or a gateway for it, fails the parcel's workflow."""

    def meaning(operation: Operation, status: int, code: str | None) -> Meaning:
        return Meaning.MISTAKE if status in (401, 403, 404) else meaning_of(operation, status, code)

    async def answer(_self: Shipments, calling: Coroutine[Any, Any, Any], _text: str) -> Any:
        return await calling

    monkeypatch.setattr(adapters.carrier, "meaning_of", meaning)
    monkeypatch.setattr(Shipments, "_answer", answer)


def branches_are_left_running(monkeypatch: pytest.MonkeyPatch) -> None:
    """When one branch of an order fails, its compensation begins beside the others."""

    async def bare_gather(*branches: Coroutine[Any, Any, None]) -> None:
        await asyncio.gather(*branches)

    for module in (workflows.waiting, workflows.orders.delivery):
        monkeypatch.setattr(module, "run_all", bare_gather)


async def place_two(place: Place, make_product: MakeProduct) -> Order:
    """Two parcels, both booked."""
    order = await place({make_product(stock={"BER": 5}, price=1000): 1, make_product(stock={"AMS": 5}, price=3000): 1})
    await order.first_answer()
    await until(lambda: order.event_types().count("parcel.booked") == 2)
    return order


@pytest.mark.parametrize(("mutant", "is_found"), [(no_mutant, False), (compensation_goes_on, True)])
async def test_compensation_that_goes_on_without_a_parcel(
    *,
    mutant: Mutant,
    is_found: bool,
    place: Place,
    make_product: MakeProduct,
    carrier: CarrierControl,
    skipping: Client,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    mutant(monkeypatch)
    order = await place_two(place, make_product)
    carrier.unclear(order.id, 1)
    await order.handle.start_update(CheckoutWorkflow.cancel, CANCEL, wait_for_stage=WorkflowUpdateStage.ACCEPTED)
    await until(lambda: "parcel.cancelled" in order.event_types())
    await skip(skipping, timedelta(seconds=20))
    await order.until(OrderStatus.COMPENSATION_BLOCKED)

    assert [carrier.statuses(order.id, parcel) for parcel in (1, 2)] == [["booked"], ["cancelled"]]
    assert (order.money()[EntryKind.VOID] > 0) is is_found
    assert (order.reserved() == 0) is is_found


@pytest.mark.parametrize(("mutant", "is_found"), [(no_mutant, False), (carrier_kills_the_order, True)])
@pytest.mark.parametrize("kind", ["401", "403", "404"])
async def test_an_order_that_the_carriers_outage_kills(
    *,
    mutant: Mutant,
    is_found: bool,
    kind: str,
    place: Place,
    make_product: MakeProduct,
    carrier: CarrierControl,
    arm: Arm,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    mutant(monkeypatch)
    arm(kind, "book")
    order = await place({make_product(stock=5): 1})
    await order.first_answer()
    await carrier.struck()
    carrier.end_faults()
    await until(lambda: "parcel.booked" in order.event_types() or order.view().status in FINAL_STATUSES)
    assert (order.view().status is OrderStatus.FAILED) is is_found


@pytest.mark.parametrize(("mutant", "is_found"), [(no_mutant, False), (branches_are_left_running, True)])
async def test_a_branch_that_acts_beside_the_compensation(
    *,
    mutant: Mutant,
    is_found: bool,
    place_in_real_time: Place,
    make_product: MakeProduct,
    provider_fault: MakeFault,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """On the real server, because the time-skipping one does not show an order that its parcel was terminated."""
    mutant(monkeypatch)
    order = await place_two(place_in_real_time, make_product)
    capturing = provider_fault("latency", "capture", seconds=60)
    await order.carrier_event(ParcelStatus.DISPATCHED, 2)
    await until(capturing.struck)
    await order.parcel(1).terminate("stopped by hand")
    await until(lambda: "parcel.cancelled" in order.event_types())  # by the compensation
    capturing.end()
    await order.until(OrderStatus.SHIPPED)
    await order.carrier_event(ParcelStatus.DELIVERED, 2)
    assert (await order.handle.result()).status is OrderStatus.DELIVERED

    _, _, compensated = (await current_details(order.handle)).partition("stopped: `terminated`")
    assert compensated
    assert ("parcel 2 captured" in compensated) is is_found
    assert (compensated.count("parcel 2 delivered") > 1) is is_found
