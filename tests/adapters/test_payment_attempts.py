"""Every attempt at the payment provider ends in its time, and a long search goes on where the last attempt ended."""

import inspect
import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from time import monotonic, sleep

import httpx2
import pytest

from adapters.payments import client, provider
from adapters.payments.disputes import DisputeProvider
from adapters.payments.listing import PaymentListing
from adapters.payments.provider import PaymentProvider
from adapters.settings import Settings
from domain.outside_errors import ProviderUnavailable
from schemas.provider_calls import AuthorizePayment, PaymentOutcome, ProviderResult
from tests.adapters.conftest import Journal, SetFault
from tests.adapters.test_payment_outcomes import CALLS, Call
from tests.adapters.test_payments import authorization
from workflows.options import PROVIDER

NOW = datetime.now(UTC)
CONNECT = timedelta(seconds=3)


@pytest.fixture
def silent(settings: Settings) -> Iterator[Settings]:
    """A provider that takes every connection and answers none."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        yield settings.model_copy(update={"stripe_api_base": f"http://127.0.0.1:{server.getsockname()[1]}"})


def test_an_attempt_has_less_time_than_its_activity() -> None:
    assert timedelta(seconds=client.ATTEMPT_SECONDS) + CONNECT < PROVIDER["start_to_close_timeout"]
    assert client.SEARCH_SECONDS < client.ATTEMPT_SECONDS / 2, "what is sent after a search has its time as well"


@pytest.mark.parametrize("asked", [PaymentProvider, DisputeProvider, PaymentListing])
def test_every_call_of_the_provider_is_one_attempt(asked: type) -> None:
    calls = [one for name, one in vars(asked).items() if inspect.isfunction(one) and not name.startswith("_")]
    assert calls
    for call in calls:
        assert hasattr(call, "__wrapped__"), f"{call.__qualname__} is to be decorated with one_attempt()"


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_no_answer_ends_with_the_attempt(silent: Settings, call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "ATTEMPT_SECONDS", 0.5)
    began = monotonic()
    with pytest.raises(ProviderUnavailable):
        call(silent)
    assert monotonic() - began < client._ANSWER_SECONDS - 5, "it has not waited for an answer of its own"


def test_the_second_call_has_what_the_first_has_left(
    settings: Settings, set_fault: SetFault, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    payments, command = PaymentProvider(settings), authorization(keep_method=True)
    monkeypatch.setattr(client, "ATTEMPT_SECONDS", 4.0)
    set_fault("latency", "create", seconds=20)
    began = monotonic()
    with pytest.raises(ProviderUnavailable):
        payments.authorize(command)
    assert monotonic() - began < 20
    monkeypatch.undo()
    httpx2.delete(f"{settings.stripe_api_base}/_control/faults").raise_for_status()  # it is answered now, to nobody
    assert until_answered(payments, command).outcome is PaymentOutcome.SUCCEEDED
    assert journal(command.order_id) == [("authorization", 5000)]


def until_answered(payments: PaymentProvider, command: AuthorizePayment) -> ProviderResult:
    """As an activity does: under the same key, which is in use for as long as the first request is."""
    deadline = monotonic() + 30
    while True:
        try:
            return payments.authorize(command)
        except ProviderUnavailable:
            assert monotonic() < deadline
            sleep(0.05)


def search(payments: PaymentProvider, command: AuthorizePayment) -> tuple[ProviderResult, list[str]]:
    """As the workflow does: until it has an answer; the places at which it went on."""
    places: list[str] = []
    while (result := payments.authorize(command)).search_after is not None:
        assert result.outcome is PaymentOutcome.PENDING
        places.append(result.search_after)
        command = command.searching_on(result.search_after)
    return result, places


@pytest.mark.parametrize("done", [True, False], ids=["authorized", "never sent"])
def test_a_search_goes_on_where_the_last_attempt_ended(
    done: bool, settings: Settings, set_fault: SetFault, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    payments, command = PaymentProvider(settings), authorization()
    known = payments.authorize(command).provider_id if done else None
    for _ in range(6):
        payments.authorize(authorization())
    monkeypatch.setattr(provider, "PAGE", 2)
    monkeypatch.setattr(client, "SEARCH_SECONDS", 0.0)  # a page an attempt
    again = command.asking_first(2, NOW)

    first = payments.authorize(again)
    assert first.search_after is not None
    set_fault("fail_before", "list")
    with pytest.raises(ProviderUnavailable):
        payments.authorize(again.searching_on(first.search_after))

    result, places = search(payments, again.searching_on(first.search_after))
    assert result.outcome is PaymentOutcome.SUCCEEDED
    assert result.provider_id == (known or result.provider_id)
    assert len({first.search_after, *places}) == len(places) + 1 >= 3
    assert journal(command.order_id) == [("authorization", 5000)]
