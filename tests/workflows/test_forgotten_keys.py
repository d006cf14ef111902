"""An outage outlasts the provider's memory of our keys: what was done before it is still done once."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx2
import pytest

from dev.testbed import Testbed
from domain.orders import PaymentStatus
from tests.workflows.conftest import skip

Journal = Callable[[str], list[dict[str, Any]]]


async def test_the_provider_is_asked_before_a_forgotten_key_is_sent_again(
    place: Any,
    make_product: Any,
    skipping: Any,
    provider_fault: Any,
    provider_journal: Journal,
    bed: Testbed,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # As after a day, without the thousands of attempts that are made in one.
    monkeypatch.setattr("workflows.provider_calls._KEY_LASTS", timedelta(minutes=10))
    simulator = bed.url("PAYMENT_SIMULATOR_PORT")
    lost = provider_fault("timeout_after", "create", seconds=0.1)
    order = await place({make_product(stock=5): 1})
    while not lost():
        await asyncio.sleep(0.02)
    provider_fault("fail_before", "create", times=1_000_000)
    await skip(skipping, timedelta(minutes=16), timedelta(seconds=120))
    assert [one["effect"] for one in provider_journal(order.input.order_id)] == ["authorization"]

    assert httpx2.delete(f"{simulator}/_control/idempotency_keys").json()["forgotten"] > 0
    httpx2.delete(f"{simulator}/_control/faults").raise_for_status()
    await skip(skipping, timedelta(minutes=5), timedelta(seconds=60))
    await order.first_answer()
    assert (await order.delivered()).payment_status is PaymentStatus.CAPTURED
    assert [one["effect"] for one in provider_journal(order.input.order_id)] == ["authorization", "capture"]
