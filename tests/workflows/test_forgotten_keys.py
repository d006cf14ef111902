"""An outage outlasts the provider's memory of our keys: what was done before it is still done once."""

from datetime import timedelta

import httpx2
import pytest
from temporalio.client import Client

from domain.orders import PaymentStatus
from tests.fixture_types import MakeProduct
from tests.workflows.orders import Place
from tests.workflows.provider import Journal, MakeFault, effects
from tests.workflows.time_skipping import skip
from tests.workflows.waiting import until


async def test_the_provider_is_asked_before_a_forgotten_key_is_sent_again(
    place: Place,
    make_product: MakeProduct,
    skipping: Client,
    provider_fault: MakeFault,
    provider_journal: Journal,
    provider: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # As after a day, without the thousands of attempts that are made in one.
    monkeypatch.setattr("workflows.payments.provider_calls._KEY_LASTS", timedelta(minutes=10))
    # So long in coming that the provider is away before it can be asked again.
    lost = provider_fault("timeout_after", "create", seconds=10)
    order = await place({make_product(stock=5): 1})
    await until(lost.struck)
    away = provider_fault("fail_before", "create", times=1_000_000)
    await until(away.hits)
    await skip(skipping, timedelta(minutes=16))
    assert effects(provider_journal, order.id) == ["authorization"]

    assert httpx2.delete(f"{provider}/_control/idempotency_keys").json()["forgotten"] > 0
    away.end()
    await skip(skipping, timedelta(minutes=5))
    await order.first_answer()
    assert (await order.delivered()).payment_status is PaymentStatus.CAPTURED
    assert effects(provider_journal, order.id) == ["authorization", "capture"]
