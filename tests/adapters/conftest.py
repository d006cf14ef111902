"""The payment provider as tests of its adapters drive and see it."""

from collections.abc import Callable, Iterator

import httpx2
import pytest

from adapters.payments.provider import PaymentProvider
from adapters.settings import Settings

SetFault = Callable[..., None]
Journal = Callable[[str], list[tuple[str, int]]]


@pytest.fixture
def provider(settings: Settings) -> PaymentProvider:
    return PaymentProvider(settings)


@pytest.fixture
def journal(settings: Settings) -> Journal:
    """What the simulator did with an order's money."""

    def read(order_id: str) -> list[tuple[str, int]]:
        answer = httpx2.get(f"{settings.stripe_api_base}/_ledger", params={"order_id": order_id})
        return [(entry["effect"], entry["amount"]) for entry in answer.json()["data"]]

    return read


@pytest.fixture
def set_fault(settings: Settings) -> Iterator[SetFault]:
    address = f"{settings.stripe_api_base}/_control/faults"

    def set_one(kind: str, operation: str, seconds: float = 0, times: int = 1) -> None:
        fault = {"kind": kind, "match": {"operation": operation}, "times": times, "seconds": seconds}
        httpx2.post(address, json=fault).raise_for_status()

    yield set_one
    httpx2.delete(address)
