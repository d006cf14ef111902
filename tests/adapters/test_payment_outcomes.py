"""What the payment adapter makes of outages, half-done payments and authorizations that are not as asked."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import cast

import httpx2
import pytest
import stripe
from hypothesis import given
from hypothesis import strategies as st
from stripe.params import PaymentIntentCreateParams
from structlog.testing import capture_logs

from adapters.payments import failures
from adapters.payments.client import stripe_client
from adapters.payments.disputes import DisputeProvider
from adapters.payments.failures import Meaning, meaning
from adapters.payments.listing import PaymentListing
from adapters.payments.provider import PaymentProvider
from adapters.settings import Settings
from domain.outside_errors import KeyRefused, Misuse, NothingDone, OutcomeUnknown, ProviderUnavailable
from schemas.disputes import AcceptDispute, RetrieveDispute, SubmitEvidence
from schemas.provider_calls import (
    AbandonPayment,
    AuthorizePayment,
    PaymentOutcome,
    ProviderResult,
    RefundPayment,
    RetrievePayment,
    RetrieveRefund,
)
from tests.adapters.conftest import Journal, SetFault
from tests.adapters.test_payments import abandon, authorization, capture, look, void
from tests.fixture_types import Json

SUCCEEDED, DECLINED = PaymentOutcome.SUCCEEDED, PaymentOutcome.DECLINED
ACTION_REQUIRED = PaymentOutcome.ACTION_REQUIRED
SLOW_CARD, SLOW_POOR_CARD = "pm_card_slowBank", "pm_card_slowBankDeclines"
NOW = datetime.now(UTC)
Call = Callable[[Settings], object]
_AUTHORIZED = ProviderResult(outcome=SUCCEEDED, provider_id="pi_1")
_REFUND = RefundPayment(order_id="o", provider_id="pi_1", refund_id="1", amount=1, idempotency_key="k")


@pytest.fixture
def bank_decides(settings: Settings) -> Callable[[ProviderResult], None]:
    def decide(asked: ProviderResult) -> None:
        httpx2.post(f"{settings.stripe_api_base}/_control/advance/{asked.provider_id}").raise_for_status()

    return decide


def authorize_elsewhere(settings: Settings, command: AuthorizePayment, **otherwise: object) -> str:
    """An attempt at the same step that authorizes something, as a release with a mistake could have left it."""
    params = {
        "amount": command.amount,
        "currency": command.currency.lower(),
        "capture_method": "manual",
        "confirm": True,
        "payment_method": command.payment_method,
        "metadata": {"order_id": command.order_id, "step": command.step},
    }
    params |= otherwise
    return stripe_client(settings).v1.payment_intents.create(cast("PaymentIntentCreateParams", params)).id


# --- outages: what certainly did nothing, and what nobody knows


CALLS: dict[str, Call] = {
    "authorize": lambda to: PaymentProvider(to).authorize(authorization()),
    "authorize in doubt": lambda to: PaymentProvider(to).authorize(authorization(unknown_since=NOW)),
    "keep the method": lambda to: PaymentProvider(to).authorize(authorization(keep_method=True)),
    "without the customer": lambda to: PaymentProvider(to).authorize(authorization(off_session=True)),
    "look": lambda to: PaymentProvider(to).retrieve(look(authorization(), _AUTHORIZED)),
    "abandon": lambda to: PaymentProvider(to).abandon(abandon(authorization(), _AUTHORIZED)),
    "capture": lambda to: PaymentProvider(to).capture(capture(authorization(), _AUTHORIZED, 1, final=True)),
    "void": lambda to: PaymentProvider(to).void(void(authorization(), _AUTHORIZED)),
    "refund": lambda to: PaymentProvider(to).refund(_REFUND),
    "refund in doubt": lambda to: PaymentProvider(to).refund(_REFUND.asking_first(2, NOW)),
    "look at a refund": lambda to: PaymentProvider(to).retrieve_refund(
        RetrieveRefund(order_id="o", provider_id="re_1")
    ),
    "look at a dispute": lambda to: DisputeProvider(to).retrieve(RetrieveDispute(dispute_id="dp_1")),
    "send evidence": lambda to: DisputeProvider(to).submit(
        SubmitEvidence(order_id="o", dispute_id="dp_1", text="t", idempotency_key="k")
    ),
    "give in": lambda to: DisputeProvider(to).accept(
        AcceptDispute(order_id="o", dispute_id="dp_1", idempotency_key="k")
    ),
    "list payments": lambda to: PaymentListing(to).payments((NOW, NOW), None),
    "list refunds": lambda to: PaymentListing(to).refunds((NOW, NOW), None),
    "read one payment": lambda to: PaymentListing(to).payment("pi_1"),
}


@pytest.fixture(autouse=True)
def no_alert_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failures, "key_alert", failures.KeyAlert())


def test_a_wrong_key_is_one_alert_for_all_calls(provider: PaymentProvider, set_fault: SetFault) -> None:
    set_fault("401", "create", times=2)
    set_fault("403", "create", times=2)
    with capture_logs() as log:
        for _ in range(4):
            with pytest.raises(KeyRefused):
                provider.authorize(authorization())
    assert [(line["log_level"], line["status"]) for line in log] == [("error", 401)]


@pytest.mark.parametrize(
    ("status", "kind", "code", "means"),
    [
        (0, "", None, Meaning.OUTAGE),
        (200, "", None, Meaning.OUTAGE),  # not to be read
        (302, "", None, Meaning.OUTAGE),
        (400, "", None, Meaning.OUTAGE),  # a gateway's
        (400, "invalid_request_error", "parameter_missing", Meaning.MISTAKE),
        (400, "invalid_request_error", "rate_limit", Meaning.NOTHING_DONE),
        (400, "idempotency_error", None, Meaning.UNKNOWN),
        (401, "invalid_request_error", None, Meaning.KEY_REFUSED),
        (401, "", None, Meaning.KEY_REFUSED),
        (402, "card_error", "card_declined", Meaning.REFUSAL),
        (403, "invalid_request_error", "platform_api_key_expired", Meaning.KEY_REFUSED),
        (403, "", None, Meaning.KEY_REFUSED),
        (404, "", None, Meaning.OUTAGE),  # a gateway's
        (404, "invalid_request_error", "resource_missing", Meaning.MISTAKE),
        (408, "", None, Meaning.OUTAGE),
        (409, "idempotency_error", "idempotency_key_in_use", Meaning.OUTAGE),
        (409, "invalid_request_error", "lock_timeout", Meaning.OUTAGE),
        (422, "invalid_request_error", None, Meaning.MISTAKE),
        (424, "api_error", None, Meaning.OUTAGE),
        (429, "invalid_request_error", "rate_limit", Meaning.NOTHING_DONE),
        (500, "api_error", None, Meaning.OUTAGE),
        (503, "", None, Meaning.OUTAGE),
    ],
)
def test_every_answer_has_one_meaning(status: int, kind: str, code: str | None, means: Meaning) -> None:
    assert meaning(status, kind, code) is means


@given(st.one_of(st.just(0), st.integers(100, 599)), st.text(max_size=30), st.none() | st.text(max_size=30))
def test_no_answer_is_without_meaning(status: int, kind: str, code: str | None) -> None:
    assert meaning(status, kind, code) in set(Meaning)


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_a_wrong_key_is_an_outage_that_an_operator_sees(settings: Settings, call: Call) -> None:
    wrong = settings.model_copy(update={"stripe_api_key": type(settings.stripe_api_key)("sk_test_rotated")})
    with capture_logs() as log, pytest.raises(KeyRefused) as outage:
        call(wrong)
    assert isinstance(outage.value, ProviderUnavailable)
    assert [(line["log_level"], line["status"]) for line in log] == [("error", 401)]


def test_what_a_wrong_key_has_delayed_is_done_once_when_it_is_mended(
    provider: PaymentProvider, set_fault: SetFault, journal: Journal
) -> None:
    command = authorization()
    set_fault("401", "create", times=2)
    for _ in range(2):
        with pytest.raises(KeyRefused):
            provider.authorize(command)
    assert provider.authorize(command).outcome is SUCCEEDED
    assert journal(command.order_id) == [("authorization", 5000)]


@pytest.mark.parametrize("kind", ["429", "401"])
def test_what_is_turned_away_at_the_door_has_certainly_done_nothing(
    provider: PaymentProvider, set_fault: SetFault, kind: str
) -> None:
    set_fault(kind, "create")
    with pytest.raises(NothingDone):
        provider.authorize(authorization())


@pytest.mark.parametrize("address", ["http://127.0.0.1:1", "http://nobody.invalid"], ids=["refused", "no such host"])
def test_what_never_got_there_has_certainly_done_nothing(settings: Settings, address: str) -> None:
    with pytest.raises(NothingDone):
        PaymentProvider(settings.model_copy(update={"stripe_api_base": address})).authorize(authorization())


@pytest.mark.parametrize("kind", ["timeout_before", "timeout_after", "fail_before", "500"])
def test_no_answer_and_an_answer_that_says_nothing_leave_it_unknown(
    provider: PaymentProvider, set_fault: SetFault, journal: Journal, kind: str
) -> None:
    command = authorization()
    set_fault(kind, "create", seconds=0.1)
    with pytest.raises(ProviderUnavailable) as outage:
        provider.authorize(command)
    assert not isinstance(outage.value, NothingDone)
    assert journal(command.order_id) == ([("authorization", 5000)] if kind == "timeout_after" else [])


def test_the_version_that_is_set_is_the_one_that_is_spoken(settings: Settings) -> None:
    def spoken(settings: Settings) -> str | None:
        authorized = PaymentProvider(settings).authorize(authorization())
        events = stripe_client(settings).v1.events.list({"limit": 20}).data
        return next(one.api_version for one in events if one.data.object["id"] == authorized.provider_id)

    assert spoken(settings) == stripe.api_version
    assert spoken(settings.model_copy(update={"stripe_api_version": "2025-09-30.clover"})) == "2025-09-30.clover"


# --- opened, and no bank was asked


@pytest.mark.parametrize(
    ("card", "outcome", "code"),
    [
        ("pm_card_visa", SUCCEEDED, None),
        ("pm_card_chargeDeclinedInsufficientFunds", DECLINED, "insufficient_funds"),
        ("pm_card_authenticationRequired", ACTION_REQUIRED, None),
    ],
)
def test_a_payment_that_was_opened_and_no_more_is_confirmed_by_its_id(
    provider: PaymentProvider,
    settings: Settings,
    set_fault: SetFault,
    card: str,
    outcome: PaymentOutcome,
    code: str | None,
) -> None:
    command = authorization(card, return_url="https://shop.example.com/thanks")
    set_fault("unconfirmed", "create")
    with pytest.raises(ProviderUnavailable):
        provider.authorize(command)
    with pytest.raises(OutcomeUnknown):
        provider.authorize(command)
    asking = command.asking_first(2, NOW)
    result = provider.authorize(asking)
    assert (result.outcome, result.code) == (outcome, code)
    assert (result.action is not None and result.action.type == "redirect_to_url") == (outcome is ACTION_REQUIRED)
    listed = [one.to_dict() for one in stripe_client(settings).v1.payment_intents.list({"limit": 20}).data]
    made = [one["id"] for one in listed if one["metadata"].get("order_id") == command.order_id]
    assert made == [result.provider_id]
    assert provider.authorize(asking).provider_id == result.provider_id


def test_what_has_lost_its_method_unasked_is_confirmed_and_no_decline(
    provider: PaymentProvider, settings: Settings, journal: Journal
) -> None:
    """No bank has said no to it: reported as `card_declined`, an outage would read as a decline."""
    command = authorization()
    left = authorize_elsewhere(settings, command, confirm=False, payment_method="")
    seen = provider.retrieve(RetrievePayment(order_id=command.order_id, provider_id=left))
    assert (seen.outcome, seen.code) == (DECLINED, "payment_not_confirmed")
    assert provider.authorize(command.asking_first(2, NOW)).provider_id == left
    assert journal(command.order_id) == [("authorization", 5000)]


@pytest.mark.parametrize("method", ["", "pm_card_visa"])
def test_what_was_opened_and_no_more_can_be_abandoned(
    provider: PaymentProvider, settings: Settings, method: str
) -> None:
    command = authorization()
    left = authorize_elsewhere(settings, command, confirm=False, payment_method=method)
    ended = provider.abandon(abandon(command, ProviderResult(outcome=ACTION_REQUIRED, provider_id=left)))
    assert (ended.outcome, ended.amount) == (DECLINED, 0)
    assert stripe_client(settings).v1.payment_intents.retrieve(left).status == "canceled"


# --- a bank that takes its time


@pytest.mark.parametrize(("card", "outcome"), [(SLOW_CARD, SUCCEEDED), (SLOW_POOR_CARD, DECLINED)])
def test_what_the_bank_has_not_decided_is_waited_for(
    provider: PaymentProvider,
    bank_decides: Callable[[ProviderResult], None],
    journal: Journal,
    card: str,
    outcome: PaymentOutcome,
) -> None:
    command = authorization(card)
    asked = provider.authorize(command)
    assert asked.action is not None
    assert (asked.outcome, asked.action.type, asked.action.url) == (ACTION_REQUIRED, "processing", None)
    assert provider.retrieve(look(command, asked)) == asked
    assert provider.abandon(abandon(command, asked)) == asked, "nobody can stop it"
    bank_decides(asked)
    assert provider.retrieve(look(command, asked)).outcome is outcome
    assert provider.abandon(abandon(command, asked)).outcome is outcome
    assert journal(command.order_id) == ([("authorization", 5000)] if outcome is SUCCEEDED else [])


# --- authorizations that are not as asked


@pytest.mark.parametrize("otherwise", [{"amount": 4999}, {"amount": 5001}, {"currency": "gbp"}])
def test_another_authorization_than_asked_is_voided_and_never_a_success(
    provider: PaymentProvider, settings: Settings, journal: Journal, otherwise: Json
) -> None:
    command = authorization()
    authorize_elsewhere(settings, command, **otherwise)
    with pytest.raises(Misuse) as mistake:
        provider.authorize(command.asking_first(2, NOW))
    assert mistake.value.code == "amount_not_as_requested"
    amount = otherwise.get("amount", 5000)
    assert journal(command.order_id) == [("authorization", amount), ("void", amount)]


@pytest.mark.parametrize("ask", ["retrieve", "abandon"])
def test_nor_is_it_one_when_the_customer_comes_back_from_their_bank(
    provider: PaymentProvider, journal: Journal, ask: str
) -> None:
    command = authorization()
    authorized = provider.authorize(command)
    commands: dict[str, RetrievePayment | AbandonPayment] = {
        "retrieve": look(command, authorized),
        "abandon": abandon(command, authorized),
    }
    asked = {"amount": 5100, "currency": "EUR"}
    with pytest.raises(Misuse) as mistake:
        getattr(provider, ask)(commands[ask].model_copy(update=asked))
    assert mistake.value.code == "amount_not_as_requested"
    assert journal(command.order_id) == [("authorization", 5000), ("void", 5000)]


@pytest.mark.parametrize(("taken", "left"), [(5000, 0), (2000, 3000)])
def test_void_answers_how_much_it_released_when_some_was_captured_meanwhile(
    provider: PaymentProvider, journal: Journal, taken: int, left: int
) -> None:
    command = authorization()
    authorized = provider.authorize(command)
    provider.capture(capture(command, authorized, taken, final=True))
    result = provider.void(void(command, authorized))
    assert (result.outcome, result.amount) == (SUCCEEDED, left)
    assert sum(amount for effect, amount in journal(command.order_id) if effect == "void") == left


def test_void_of_what_is_void_says_what_went_back_before(provider: PaymentProvider) -> None:
    command = authorization()
    authorized = provider.authorize(command)
    provider.void(void(command, authorized))
    again = void(command, authorized).model_copy(update={"idempotency_key": f"{command.order_id}:again"})
    assert provider.void(again).amount == 5000
