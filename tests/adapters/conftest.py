"""The payment provider as tests of its adapters drive and see it, and settings that lead to servers of a test's own."""

from collections.abc import Callable, Iterator

import httpx2
import pytest
from dotenv import dotenv_values

from adapters.payments.provider import PaymentProvider
from adapters.settings import Settings
from dev.stack.paths import ROOT
from tests.adapters.secure_servers import Authority

SetFault = Callable[..., None]
Configure = Callable[..., Settings]
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


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.create(tmp_path_factory.mktemp("trusted") / "files")


@pytest.fixture(scope="session")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """An authority that issued none of the servers' certificates."""
    return Authority.create(tmp_path_factory.mktemp("stranger") / "files")


@pytest.fixture(scope="session")
def configure() -> Configure:
    """Settings as a process reads them: from environment variables, the others as in the example."""

    def make(**variables: object) -> Settings:
        with pytest.MonkeyPatch.context() as patch:
            for name, value in (dotenv_values(ROOT / ".env.example") | variables).items():
                patch.setenv(name, str(value or ""))
            return Settings(_env_file=None)

    return make
