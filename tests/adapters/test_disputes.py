"""What the adapter makes of the simulator's disputes."""

import httpx2
import pytest
import uuid_utils

from adapters.payments.disputes import DisputeProvider
from adapters.payments.provider import PaymentProvider
from adapters.settings import Settings
from domain.disputes import DisputeStatus
from domain.ledger import EntryKind
from domain.outside_errors import Misuse, ProviderUnavailable
from schemas.disputes import AcceptDispute, RetrieveDispute, SubmitEvidence
from schemas.provider_calls import AuthorizePayment, CapturePayment, PaymentOutcome, RefundPayment

SUCCEEDED, DECLINED = PaymentOutcome.SUCCEEDED, PaymentOutcome.DECLINED
ORDER = str(uuid_utils.uuid7())


@pytest.fixture
def disputes(settings: Settings) -> DisputeProvider:
    return DisputeProvider(settings)


@pytest.fixture
def paid(settings: Settings) -> tuple[str, int]:
    """A payment that was captured, and what the provider kept of it."""
    provider, key = PaymentProvider(settings), uuid_utils.uuid7().hex
    authorized = provider.authorize(
        AuthorizePayment(
            order_id=ORDER, amount=5000, currency="EUR", payment_method="pm_card_visa", idempotency_key=f"{key}:a"
        )
    )
    assert authorized.provider_id is not None
    wanted = {"order_id": ORDER, "provider_id": authorized.provider_id, "currency": "EUR"}
    first = CapturePayment.model_validate(wanted | {"amount": 3000, "final": False, "idempotency_key": f"{key}:1"})
    assert provider.capture(first).fee == 70
    last = CapturePayment.model_validate(
        wanted | {"amount": 2000, "final": True, "captured": 3000, "idempotency_key": f"{key}:2"}
    )
    return authorized.provider_id, provider.capture(last).fee


@pytest.fixture
def dispute(settings: Settings, paid: tuple[str, int]) -> str:
    wanted = {"payment_intent": paid[0], "due_seconds": 3600}
    opened = httpx2.post(f"{settings.stripe_api_base}/_control/disputes", json=wanted).raise_for_status()
    return str(opened.json()["id"])


def evidence(name: str, text: str = "signed for", key: str = "e") -> SubmitEvidence:
    return SubmitEvidence(order_id=ORDER, dispute_id=name, text=text, idempotency_key=f"dispute-{name}:{key}")


def acceptance(name: str) -> AcceptDispute:
    return AcceptDispute(order_id=ORDER, dispute_id=name, idempotency_key=f"dispute-{name}:accept")


def test_each_capture_has_its_own_fee(paid: tuple[str, int]) -> None:
    assert paid[1] == 55


def test_a_dispute_names_its_order_its_amount_and_its_deadline(
    disputes: DisputeProvider, dispute: str, paid: tuple[str, int]
) -> None:
    seen = disputes.retrieve(RetrieveDispute(dispute_id=dispute))
    assert (seen.order_id, seen.payment_id, seen.amount, seen.currency) == (ORDER, paid[0], 5000, "EUR")
    assert (seen.status, seen.is_open) == (DisputeStatus.NEEDS_RESPONSE, True)
    assert seen.evidence_due_at is not None
    assert [(one.kind, one.amount) for one in seen.movements] == [
        (EntryKind.DISPUTE, 5000),
        (EntryKind.DISPUTE_FEE, 2000),
    ]


def test_evidence_is_sent_once_per_key(disputes: DisputeProvider, dispute: str) -> None:
    assert disputes.submit(evidence(dispute)).outcome is SUCCEEDED
    assert disputes.submit(evidence(dispute)).outcome is SUCCEEDED
    assert disputes.retrieve(RetrieveDispute(dispute_id=dispute)).status is DisputeStatus.UNDER_REVIEW


def test_giving_in_twice_is_giving_in(disputes: DisputeProvider, dispute: str) -> None:
    assert disputes.accept(acceptance(dispute)).outcome is SUCCEEDED
    again = acceptance(dispute).model_copy(update={"idempotency_key": f"dispute-{dispute}:again"})
    assert disputes.accept(again).outcome is SUCCEEDED
    assert disputes.submit(evidence(dispute)).outcome is DECLINED


def test_a_refund_of_what_is_disputed_is_refused_as_a_result(
    settings: Settings, dispute: str, paid: tuple[str, int]
) -> None:
    assert dispute
    wanted = RefundPayment(order_id=ORDER, provider_id=paid[0], refund_id="r", amount=100, idempotency_key=dispute)
    refused = PaymentProvider(settings).refund(wanted)
    assert (refused.outcome, refused.code) == (DECLINED, "charge_disputed")


def test_a_dispute_nobody_knows_and_a_provider_that_is_away(disputes: DisputeProvider, settings: Settings) -> None:
    with pytest.raises(Misuse):
        disputes.retrieve(RetrieveDispute(dispute_id="dp_nobody"))
    nobody = DisputeProvider(settings.model_copy(update={"stripe_api_base": "http://127.0.0.1:1"}))
    with pytest.raises(ProviderUnavailable):
        nobody.retrieve(RetrieveDispute(dispute_id="dp_1"))
