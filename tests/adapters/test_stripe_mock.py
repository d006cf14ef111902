"""Stripe's own stripe-mock, which checks each request against Stripe's OpenAPI, accepts all that we make."""

import ast
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest
from stripe import RequestsClient

from adapters.payments.disputes import DisputeProvider
from adapters.payments.listing import PaymentListing
from adapters.payments.provider import PaymentProvider
from adapters.settings import Settings
from dev.testbed import Testbed
from domain.outside_errors import Misuse
from schemas.disputes import AcceptDispute, RetrieveDispute, SubmitEvidence
from schemas.provider_calls import PaymentOutcome, ProviderResult, RefundPayment, RetrieveRefund
from tests.adapters.test_payments import abandon, authorization, capture, look, void
from tests.fixture_types import Json

ADAPTERS = Path(__file__).parents[2] / "adapters"
RESOURCES = ("intents", "refunds", "customers", "disputes")
SUCCEEDED = PaymentOutcome.SUCCEEDED
NOW = datetime.now(UTC)
Answers = list[tuple[str, str, int]]


@pytest.fixture
def mock(settings: Settings, bed: Testbed) -> Settings:
    return settings.model_copy(update={"stripe_api_base": bed.url("STRIPE_MOCK_PORT")})


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> Answers:
    """Each request the SDK sends: method, path and the status it was answered with."""
    seen: Answers = []
    send = RequestsClient.request

    def note(
        client: RequestsClient,
        method: str,
        url: str,
        headers: Mapping[str, str] | None,
        post_data: str | bytes | None = None,
    ) -> tuple[str | bytes, int, Mapping[str, str]]:
        answer = send(client, method, url, headers, post_data)
        seen.append((method.upper(), re.sub(r"^https?://[^/]+|\?.*$", "", url), answer[1]))
        return answer

    monkeypatch.setattr(RequestsClient, "request", note)
    return seen


def calls_in_the_source() -> set[str]:
    """What the adapters call at the provider, such as `intents.capture`."""
    calls = set()
    for module in ADAPTERS.glob("payments/*.py"):
        for node in ast.walk(ast.parse(module.read_text())):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Attribute):
                resource = node.value.attr.removeprefix("_")
                if node.value.attr.startswith("_") and resource in RESOURCES:
                    calls.add(f"{resource}.{node.attr}")
    return calls


def call_of(method: str, path: str) -> str:
    """The SDK's name of a request: Stripe's addresses are `/v1/<resource>[/<id>[/<verb>]]`."""
    resource, *rest = path.removeprefix("/v1/").removeprefix("payment_").split("/")
    if len(rest) > 1:
        return f"{resource}.{rest[1]}"
    by_id, all_of_them = {"GET": "retrieve", "POST": "update"}, {"GET": "list", "POST": "create"}
    return f"{resource}.{(by_id if rest else all_of_them)[method]}"


def authorize_in_every_way(mock: PaymentProvider) -> None:
    # Its payments are fixtures that no bank was ever asked about; that it comes so far means that it took the requests.
    ways: list[Json] = [
        {},
        {"return_url": "https://shop.example.com/thanks"},
        {"keep_method": True},
        {"customer": "cus_1", "off_session": True},
        {"unknown_since": NOW},
        {"unknown_since": NOW, "keep_method": True, "return_url": "https://shop.example.com/thanks"},
    ]
    for way in ways:
        with pytest.raises(Misuse) as fixture:
            mock.authorize(authorization(**way))
        assert fixture.value.code == "unexpected_status"


def capture_and_refund(mock: PaymentProvider) -> None:
    command, authorized = authorization(), ProviderResult(outcome=SUCCEEDED, provider_id="pi_1", amount=5000)
    mock.retrieve(look(command, authorized))
    mock.abandon(abandon(command, authorized))
    for final in (False, True):
        assert mock.capture(capture(command, authorized, 2000, final=final)).outcome is SUCCEEDED
    outcome_unknown = capture(command, authorized, 2000, final=True, step=2).asking_first(2, NOW)
    assert mock.capture(outcome_unknown).outcome is SUCCEEDED
    assert mock.void(void(command, authorized)).outcome is SUCCEEDED
    back = RefundPayment(
        order_id=command.order_id, provider_id="pi_1", refund_id="1", amount=1, idempotency_key=command.idempotency_key
    )
    assert mock.refund(back).provider_id is not None
    assert mock.refund(back.asking_first(2, NOW)).provider_id is not None
    mock.retrieve_refund(RetrieveRefund(order_id=command.order_id, provider_id="re_1"))


def read_the_books(mock: PaymentListing) -> None:
    for after in (None, "pi_1"):
        mock.payments((NOW, NOW), after)
    for after in (None, "re_1"):
        mock.refunds((NOW, NOW), after)
    assert mock.payment("pi_1") is not None


def dispute(mock: DisputeProvider) -> None:
    assert mock.retrieve(RetrieveDispute(dispute_id="dp_1")).amount >= 0
    names = {"order_id": "o", "dispute_id": "dp_1", "idempotency_key": "k"}
    assert mock.submit(SubmitEvidence(text="signed for", **names)).outcome is SUCCEEDED
    assert mock.accept(AcceptDispute(**names)).outcome is SUCCEEDED


def test_every_request_we_make_is_accepted(mock: Settings, answers: Answers) -> None:
    authorize_in_every_way(PaymentProvider(mock))
    capture_and_refund(PaymentProvider(mock))
    read_the_books(PaymentListing(mock))
    dispute(DisputeProvider(mock))
    assert [answer for answer in answers if answer[2] != 200] == []
    assert {call_of(method, path) for method, path, _ in answers} == calls_in_the_source()


def test_what_is_not_in_the_description_is_refused(mock: Settings, answers: Answers) -> None:
    """Otherwise the test above would prove nothing."""
    with pytest.raises(Misuse):
        PaymentProvider(mock).authorize(authorization().model_copy(update={"amount": "much"}))
    assert [status for _, _, status in answers] == [400]
