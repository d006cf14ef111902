"""What the payment adapter makes of each answer of the simulator."""

from collections.abc import Callable
from datetime import UTC, datetime

import httpx2
import pytest
import uuid_utils

from adapters.payments.provider import PaymentProvider
from adapters.settings import Settings
from domain.outside_errors import Misuse, OutcomeUnknown, ProviderUnavailable
from schemas.provider_calls import (
    AUTHORIZATION_EXPIRED,
    AbandonPayment,
    AuthorizePayment,
    CapturePayment,
    PaymentOutcome,
    ProviderResult,
    RetrievePayment,
    VoidPayment,
)
from tests.adapters.conftest import Journal, SetFault

SUCCEEDED, DECLINED = PaymentOutcome.SUCCEEDED, PaymentOutcome.DECLINED
ACTION_REQUIRED = PaymentOutcome.ACTION_REQUIRED


def authorization(payment_method: str = "pm_card_visa", **fields: object) -> AuthorizePayment:
    order_id = str(uuid_utils.uuid7())
    values = {
        "order_id": order_id,
        "amount": 5000,
        "currency": "EUR",
        "payment_method": payment_method,
        "idempotency_key": f"payment-{order_id}:authorize",
    }
    return AuthorizePayment.model_validate(values | fields)


def capture(
    command: AuthorizePayment, authorized: ProviderResult, amount: int, final: bool, step: int = 1
) -> CapturePayment:
    assert authorized.provider_id is not None
    return CapturePayment(
        order_id=command.order_id,
        provider_id=authorized.provider_id,
        amount=amount,
        currency="EUR",
        final=final,
        idempotency_key=f"payment-{command.order_id}:capture-{step}",
    )


def void(command: AuthorizePayment, authorized: ProviderResult) -> VoidPayment:
    assert authorized.provider_id is not None
    return VoidPayment(
        order_id=command.order_id,
        provider_id=authorized.provider_id,
        idempotency_key=f"payment-{command.order_id}:void",
    )


def test_a_good_card_authorizes_the_amount(provider: PaymentProvider, journal: Journal) -> None:
    command = authorization()
    result = provider.authorize(command)
    assert (result.outcome, result.amount) == (SUCCEEDED, 5000)
    assert result.provider_id
    assert journal(command.order_id) == [("authorization", 5000)]


def test_same_command_again_gives_the_same_answer_and_one_authorization(
    provider: PaymentProvider, journal: Journal
) -> None:
    command = authorization()
    assert provider.authorize(command) == provider.authorize(command)
    assert len(journal(command.order_id)) == 1


@pytest.mark.parametrize(
    ("payment_method", "code"),
    [
        ("pm_card_chargeDeclined", "generic_decline"),
        ("pm_card_chargeDeclinedInsufficientFunds", "insufficient_funds"),
        ("pm_card_chargeDeclinedExpiredCard", "expired_card"),
        ("pm_card_nobodyHasThis", "invalid_payment_method"),
    ],
)
def test_refusal_is_a_result_in_the_banks_words(provider: PaymentProvider, payment_method: str, code: str) -> None:
    result = provider.authorize(authorization(payment_method))
    assert (result.outcome, result.code, result.amount) == (DECLINED, code, 0)
    assert result.message


Authenticate = Callable[[ProviderResult, str], None]


@pytest.fixture
def authenticate(settings: Settings) -> Authenticate:
    """The card's holder answers their bank."""

    def say(authorized: ProviderResult, outcome: str) -> None:
        said = {"payment_intent": authorized.provider_id, "outcome": outcome}
        httpx2.post(f"{settings.stripe_api_base}/_control/authenticate", json=said).raise_for_status()

    return say


def look(command: AuthorizePayment, authorized: ProviderResult) -> RetrievePayment:
    assert authorized.provider_id is not None
    return RetrievePayment(order_id=command.order_id, provider_id=authorized.provider_id)


def abandon(command: AuthorizePayment, authorized: ProviderResult) -> AbandonPayment:
    assert authorized.provider_id is not None
    key = f"{command.idempotency_key}:abandon"
    return AbandonPayment(order_id=command.order_id, provider_id=authorized.provider_id, idempotency_key=key)


@pytest.mark.parametrize("back", [None, "https://shop.example.com/thanks"])
def test_a_bank_that_wants_to_see_its_customer_authorizes_nothing_yet(
    provider: PaymentProvider, journal: Journal, back: str | None
) -> None:
    command = authorization("pm_card_authenticationRequired", return_url=back)
    asked = provider.authorize(command)
    assert (asked.outcome, asked.amount) == (ACTION_REQUIRED, 0)
    assert asked.action is not None
    assert (asked.action.type, asked.action.url is None) == (
        ("redirect_to_url", False) if back else ("use_stripe_sdk", True)
    )
    assert str(asked.action.client_secret).startswith(f"{asked.provider_id}_secret_")
    assert provider.authorize(command) == asked == provider.retrieve(look(command, asked))
    assert journal(command.order_id) == []


def test_what_the_customer_answered_their_bank_is_retrieved(
    provider: PaymentProvider, journal: Journal, authenticate: Authenticate
) -> None:
    command = authorization("pm_card_authenticationRequired")
    asked = provider.authorize(command)
    authenticate(asked, "succeeded")
    seen = provider.retrieve(look(command, asked))
    assert (seen.outcome, seen.amount) == (SUCCEEDED, 5000)
    assert provider.abandon(abandon(command, asked)) == seen, "what is confirmed is not abandoned"
    assert journal(command.order_id) == [("authorization", 5000)]
    other = authorization("pm_card_authenticationRequired")
    refused = provider.authorize(other)
    authenticate(refused, "failed")
    seen = provider.retrieve(look(other, refused))
    assert (seen.outcome, seen.code, seen.amount) == (DECLINED, "authentication_failed", 0)
    assert seen.message


def test_what_nobody_confirms_is_abandoned_once(
    provider: PaymentProvider, journal: Journal, set_fault: SetFault
) -> None:
    command = authorization("pm_card_authenticationRequired")
    asked = provider.authorize(command)
    set_fault("timeout_after", "cancel")
    with pytest.raises(ProviderUnavailable):
        provider.abandon(abandon(command, asked))
    ended = provider.abandon(abandon(command, asked))
    assert (ended.outcome, ended.code, ended.amount) == (DECLINED, "authentication_expired", 0)
    assert provider.abandon(abandon(command, asked)) == ended
    assert journal(command.order_id) == []


def test_what_was_confirmed_while_it_was_abandoned_has_its_amount(
    provider: PaymentProvider, journal: Journal, authenticate: Authenticate
) -> None:
    command = authorization("pm_card_authenticationRequired")
    asked = provider.authorize(command)
    authenticate(asked, "succeeded")
    provider.void(void(command, asked))
    ended = provider.abandon(abandon(command, asked))
    assert (ended.outcome, ended.code, ended.amount) == (DECLINED, "authentication_expired", 5000)
    assert journal(command.order_id) == [("authorization", 5000), ("void", 5000)]


def test_parcels_are_captured_one_by_one(provider: PaymentProvider, journal: Journal) -> None:
    command = authorization()
    authorized = provider.authorize(command)
    assert provider.capture(capture(command, authorized, 2000, final=False)).amount == 2000
    assert provider.capture(capture(command, authorized, 2500, final=True, step=2)).amount == 2500
    assert journal(command.order_id)[1:] == [("capture", 2000), ("capture", 2500), ("void", 500)]


def test_a_card_that_is_captured_once_says_so(provider: PaymentProvider, journal: Journal) -> None:
    assert not provider.authorize(authorization()).captures_once
    command = authorization("pm_card_captureOnce")
    authorized = provider.authorize(command)
    assert authorized.captures_once
    assert authorized.provider_id is not None
    assert provider.retrieve(
        RetrievePayment(order_id=command.order_id, provider_id=authorized.provider_id)
    ).captures_once
    with pytest.raises(Misuse):
        provider.capture(capture(command, authorized, 2000, final=False))
    assert provider.capture(capture(command, authorized, 2000, final=True, step=2)).amount == 2000
    assert journal(command.order_id)[1:] == [("capture", 2000), ("void", 3000)]


def test_void_releases_the_authorization_once(provider: PaymentProvider, journal: Journal) -> None:
    command = authorization()
    authorized = provider.authorize(command)
    assert provider.void(void(command, authorized)).amount == 5000
    again = void(command, authorized).model_copy(update={"idempotency_key": f"{command.order_id}:again"})
    assert provider.void(again).outcome is SUCCEEDED
    assert journal(command.order_id) == [("authorization", 5000), ("void", 5000)]


def test_void_after_a_partial_capture_releases_the_rest(provider: PaymentProvider, journal: Journal) -> None:
    command = authorization()
    authorized = provider.authorize(command)
    provider.capture(capture(command, authorized, 2000, final=False))
    assert provider.void(void(command, authorized)).amount == 3000
    assert journal(command.order_id)[1:] == [("capture", 2000), ("void", 3000)]


@pytest.mark.parametrize("kind", ["fail_before", "500", "timeout_after"])
def test_outage_is_raised_to_be_waited_for(provider: PaymentProvider, set_fault: SetFault, kind: str) -> None:
    set_fault(kind, "create")
    with pytest.raises(ProviderUnavailable):
        provider.authorize(authorization())


def test_rate_limit_says_how_long_to_wait(provider: PaymentProvider, set_fault: SetFault) -> None:
    set_fault("429", "create", seconds=7)
    with pytest.raises(ProviderUnavailable) as outage:
        provider.authorize(authorization())
    assert outage.value.retry_after == 7


def test_retry_after_a_lost_answer_finds_the_one_authorization(
    provider: PaymentProvider, set_fault: SetFault, journal: Journal
) -> None:
    set_fault("timeout_after", "create")
    command = authorization()
    with pytest.raises(ProviderUnavailable):
        provider.authorize(command)
    assert provider.authorize(command).outcome is SUCCEEDED
    assert journal(command.order_id) == [("authorization", 5000)]


def test_provider_that_is_not_there_is_an_outage(settings: Settings) -> None:
    nobody = PaymentProvider(settings.model_copy(update={"stripe_api_base": "http://127.0.0.1:1"}))
    with pytest.raises(ProviderUnavailable):
        nobody.authorize(authorization())


def test_request_that_can_never_work_is_our_mistake(provider: PaymentProvider) -> None:
    command = authorization()
    authorized = provider.authorize(command)
    with pytest.raises(Misuse) as too_much:
        provider.capture(capture(command, authorized, 5001, final=True))
    assert too_much.value.code == "amount_too_large"
    with pytest.raises(Misuse):
        provider.void(VoidPayment(order_id="o", provider_id="pi_nobody", idempotency_key=command.order_id))


def test_key_used_for_another_request_leaves_a_doubt_that_asking_ends(provider: PaymentProvider) -> None:
    """As after a release that words the same request otherwise: what the first has done must be found, not repeated."""
    command = authorization()
    first = provider.authorize(command)
    reworded = command.model_copy(update={"return_url": "https://shop.example.com/back"})
    with pytest.raises(OutcomeUnknown):
        provider.authorize(reworded)
    assert provider.authorize(reworded.asking_first(2, datetime.now(UTC))).provider_id == first.provider_id


def test_a_saved_method_is_reauthorized_without_its_customer(provider: PaymentProvider, journal: Journal) -> None:
    first = authorization(keep_method=True)
    authorized = provider.authorize(first)
    assert (authorized.outcome, authorized.authorization_seconds, authorized.payment_method) == (
        SUCCEEDED,
        7 * 86_400,
        "pm_card_visa",
    )
    assert authorized.customer is not None
    reauthorization = first.model_copy(
        update={
            "keep_method": False,
            "customer": authorized.customer,
            "off_session": True,
            "idempotency_key": f"{first.idempotency_key}-reauthorization",
        }
    )
    again = provider.authorize(reauthorization)
    assert (again.outcome, again.customer) == (SUCCEEDED, authorized.customer)
    assert again.provider_id != authorized.provider_id
    unkept = provider.authorize(authorization(off_session=True))
    assert (unkept.outcome, unkept.amount) == (DECLINED, 0), "a refusal, and no mistake of ours"


def test_capture_after_void_takes_nothing(provider: PaymentProvider, journal: Journal) -> None:
    command = authorization()
    authorized = provider.authorize(command)
    provider.void(void(command, authorized))
    answer = provider.capture(capture(command, authorized, 5000, final=True))
    assert (answer.outcome, answer.code, answer.amount) == (DECLINED, AUTHORIZATION_EXPIRED, 0)
    assert journal(command.order_id) == [("authorization", 5000), ("void", 5000)]


@pytest.mark.parametrize("before", [0, 2000], ids=["nothing taken", "a part taken"])
def test_an_expired_authorization_is_a_result(
    provider: PaymentProvider, settings: Settings, journal: Journal, before: int
) -> None:
    command = authorization()
    authorized = provider.authorize(command)
    if before:
        provider.capture(capture(command, authorized, before, final=False))
    httpx2.post(f"{settings.stripe_api_base}/_control/advance/{authorized.provider_id}").raise_for_status()
    late = capture(command, authorized, 1000, final=True, step=2).model_copy(update={"captured": before})
    answer = provider.capture(late)
    assert (answer.outcome, answer.code) == (DECLINED, AUTHORIZATION_EXPIRED)
    assert journal(command.order_id)[-1] == ("void", 5000 - before)


def test_what_somebody_else_has_captured_is_no_expired_authorization(provider: PaymentProvider) -> None:
    """Authorizing it again would capture it twice."""
    command = authorization()
    authorized = provider.authorize(command)
    provider.capture(capture(command, authorized, 5000, final=True))
    with pytest.raises(Misuse):
        provider.capture(capture(command, authorized, 1000, final=True, step=2))
