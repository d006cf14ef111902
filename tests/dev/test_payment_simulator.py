"""The payment simulator, driven by the official Stripe SDK as the product drives Stripe."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httpx2
import pytest
import stripe

from tests.dev.conftest import Eventually, PaymentSimulator, WebhookReceiver

SECRET = "whsec_development_stripe"

MULTICAPTURE = {"card": {"request_multicapture": "if_available"}}


def header(error: stripe.StripeError, name: str) -> str | None:
    return (error.headers or {}).get(name)


def intent_of(error: stripe.StripeError) -> stripe.PaymentIntent:
    assert error.error is not None
    assert error.error.payment_intent is not None
    return error.error.payment_intent


def test_authorise_and_capture_part_releases_the_rest(simulator: PaymentSimulator) -> None:
    authorized = simulator.authorise()
    assert (authorized.status, authorized.amount_capturable) == ("requires_capture", 5000)
    taken = simulator.intents.capture(authorized.id, {"amount_to_capture": 3000})
    assert (taken.status, taken.amount_received, taken.amount_capturable) == ("succeeded", 3000, 0)
    assert simulator.ledger() == [("authorization", 5000), ("capture", 3000), ("void", 2000)]
    with pytest.raises(stripe.InvalidRequestError) as refused:
        simulator.intents.capture(authorized.id)
    assert refused.value.code == "payment_intent_unexpected_state"


def test_multicapture_takes_parcels_until_the_authorization_is_used_up(simulator: PaymentSimulator) -> None:
    authorized = simulator.authorise(payment_method_options=MULTICAPTURE)
    first = simulator.intents.capture(authorized.id, {"amount_to_capture": 2000, "final_capture": False})
    assert (first.status, first.amount_capturable) == ("requires_capture", 3000)
    with pytest.raises(stripe.InvalidRequestError) as refused:
        simulator.intents.capture(authorized.id, {"amount_to_capture": 3001, "final_capture": False})
    assert refused.value.code == "amount_too_large"
    last = simulator.intents.capture(authorized.id, {"amount_to_capture": 3000, "final_capture": False})
    assert (last.status, last.amount_received) == ("succeeded", 5000)
    assert simulator.ledger() == [("authorization", 5000), ("capture", 2000), ("capture", 3000)]


def test_multicapture_must_have_been_asked_for(simulator: PaymentSimulator) -> None:
    authorized = simulator.authorise()
    with pytest.raises(stripe.InvalidRequestError, match="multicapture"):
        simulator.intents.capture(authorized.id, {"amount_to_capture": 2000, "final_capture": False})


def test_some_cards_are_captured_once(simulator: PaymentSimulator) -> None:
    authorized = simulator.authorise(
        payment_method="pm_card_captureOnce", expand=["latest_charge"], payment_method_options=MULTICAPTURE
    )
    assert authorized.latest_charge.payment_method_details.card.multicapture.status == "unavailable"
    with pytest.raises(stripe.InvalidRequestError, match="multicapture"):
        simulator.intents.capture(authorized.id, {"amount_to_capture": 2000, "final_capture": False})
    simulator.intents.capture(authorized.id, {"amount_to_capture": 2000})
    with pytest.raises(stripe.InvalidRequestError, match="status"):
        simulator.intents.capture(authorized.id, {"amount_to_capture": 1000})
    assert simulator.ledger() == [("authorization", 5000), ("capture", 2000), ("void", 3000)]
    able = simulator.authorise(expand=["latest_charge"], payment_method_options=MULTICAPTURE)
    assert able.latest_charge.payment_method_details.card.multicapture.status == "available"


def test_void(simulator: PaymentSimulator) -> None:
    authorized = simulator.authorise()
    gone = simulator.intents.cancel(authorized.id, {"cancellation_reason": "requested_by_customer"})
    assert (gone.status, gone.amount_capturable, gone.cancellation_reason) == ("canceled", 0, "requested_by_customer")
    assert simulator.ledger() == [("authorization", 5000), ("void", 5000)]
    with pytest.raises(stripe.InvalidRequestError) as refused:
        simulator.intents.cancel(authorized.id)
    assert refused.value.code == "payment_intent_unexpected_state"


def test_automatic_capture_and_refunds_up_to_what_was_taken(simulator: PaymentSimulator) -> None:
    paid = simulator.authorise(capture_method="automatic", expand=["latest_charge"])
    assert paid.status == "succeeded"
    assert paid.latest_charge.payment_method_details.card.last4 == "4242"
    simulator.refunds.create({"payment_intent": paid.id, "amount": 1500})
    with pytest.raises(stripe.InvalidRequestError, match="greater than unrefunded"):
        simulator.refunds.create({"payment_intent": paid.id, "amount": 3501})
    assert simulator.refunds.create({"payment_intent": paid.id}).amount == 3500
    with pytest.raises(stripe.InvalidRequestError) as refused:
        simulator.refunds.create({"payment_intent": paid.id})
    assert refused.value.code == "charge_already_refunded"
    charge = simulator.client.v1.charges.list({"payment_intent": paid.id}).data[0]
    assert (charge.amount_refunded, charge.refunded) == (5000, True)
    assert len(simulator.refunds.list({"payment_intent": paid.id}).data) == 2


def test_an_authorization_cannot_be_refunded(simulator: PaymentSimulator) -> None:
    authorized = simulator.authorise()
    with pytest.raises(stripe.InvalidRequestError, match="successful charge"):
        simulator.refunds.create({"payment_intent": authorized.id})


@pytest.mark.parametrize(
    ("card", "code", "decline"),
    [
        ("pm_card_chargeDeclined", "card_declined", "generic_decline"),
        ("pm_card_visa_chargeDeclined", "card_declined", "generic_decline"),
        ("pm_card_chargeDeclinedInsufficientFunds", "card_declined", "insufficient_funds"),
        ("pm_card_chargeDeclinedExpiredCard", "expired_card", None),
        ("pm_card_chargeDeclinedIncorrectCvc", "incorrect_cvc", "incorrect_cvc"),
        ("pm_card_chargeDeclinedFraudulent", "card_declined", "fraudulent"),
        ("pm_card_chargeDeclinedProcessingError", "processing_error", "processing_error"),
    ],
)
def test_declines_keep_the_intent_for_another_card(
    simulator: PaymentSimulator, card: str, code: str, decline: str | None
) -> None:
    with pytest.raises(stripe.CardError) as declined:
        simulator.authorise(payment_method=card, key="k1")
    error = declined.value.error
    assert error is not None
    assert (declined.value.http_status, error.code, error.decline_code) == (402, code, decline)
    intent = intent_of(declined.value)
    assert intent.status == "requires_payment_method"
    with pytest.raises(stripe.CardError) as replayed:
        simulator.authorise(payment_method=card, key="k1")
    assert header(replayed.value, "Idempotent-Replayed") == "true"
    assert intent_of(replayed.value).id == intent.id
    assert simulator.ledger() == []
    again = simulator.intents.confirm(intent.id, {"payment_method": "pm_card_visa"})
    assert again.status == "requires_capture"


def test_three_d_secure(simulator: PaymentSimulator, hooks: WebhookReceiver, eventually: Eventually) -> None:
    asked = simulator.authorise(payment_method="pm_card_threeDSecure2Required", return_url="https://shop.example/back")
    assert asked.status == "requires_action"
    assert httpx2.get(f"{simulator.url}/_control/authenticate/{asked.id}").status_code == 200
    assert simulator.ledger() == []
    say = f"{simulator.url}/_control/authenticate"
    httpx2.post(say, json={"payment_intent": asked.id}).raise_for_status()
    assert simulator.intents.retrieve(asked.id).status == "requires_capture"
    eventually(lambda: "payment_intent.requires_action" in hooks.types(), "no requires_action event")
    other = simulator.authorise(payment_method="pm_card_authenticationRequired", order="o2")
    httpx2.post(say, json={"payment_intent": other.id, "outcome": "failed"}).raise_for_status()
    refused = simulator.intents.retrieve(other.id)
    assert refused.status == "requires_payment_method"
    assert refused.last_payment_error.code == "payment_intent_authentication_failure"
    customer = simulator.client.v1.customers.create({}).id
    with pytest.raises(stripe.CardError) as declined:
        simulator.authorise(payment_method="pm_card_authenticationRequired", off_session=True, customer=customer)
    assert declined.value.code == "authentication_required"


def test_without_its_customer_a_method_is_used_only_for_whom_it_was_kept(simulator: PaymentSimulator) -> None:
    with pytest.raises(stripe.InvalidRequestError, match="not attached to a Customer"):
        simulator.authorise(off_session=True)
    with pytest.raises(stripe.InvalidRequestError, match="No such customer"):
        simulator.authorise(customer="cus_nobody")


def test_an_authorization_expires_at_the_bank(
    simulator: PaymentSimulator, hooks: WebhookReceiver, eventually: Eventually
) -> None:
    authorized = simulator.authorise(5000, expand=["latest_charge"], payment_method_options=MULTICAPTURE)
    until = authorized.latest_charge.payment_method_details.card.capture_before
    assert until - authorized.latest_charge.created == 7 * 86_400
    simulator.intents.capture(authorized.id, {"amount_to_capture": 2000, "final_capture": False})
    httpx2.post(f"{simulator.url}/_control/advance/{authorized.id}").raise_for_status()
    after = simulator.intents.retrieve(authorized.id)
    assert (after.status, after.amount_received, after.amount_capturable) == ("succeeded", 2000, 0)
    untouched = simulator.authorise(700, order="o2")
    httpx2.post(f"{simulator.url}/_control/advance/{untouched.id}").raise_for_status()
    with pytest.raises(stripe.InvalidRequestError) as refused:
        simulator.intents.capture(untouched.id)
    assert intent_of(refused.value).status == "canceled"
    assert [effect for effect, _ in simulator.ledger("o2")] == ["authorization", "void"]
    eventually(lambda: "payment_intent.canceled" in hooks.types(), "no event was sent")


@pytest.mark.parametrize(("fails", "ends", "moved"), [(False, "succeeded", 1), (True, "failed", 0)])
def test_a_bank_that_takes_its_time_over_a_refund(
    simulator: PaymentSimulator, fails: bool, ends: str, moved: int
) -> None:
    paid = simulator.authorise(payment_method="pm_card_pendingRefund")
    simulator.intents.capture(paid.id)
    refund = simulator.refunds.create({"payment_intent": paid.id, "amount": 300})
    assert refund.status == "pending"
    assert [effect for effect, _ in simulator.ledger() if effect == "refund"] == []
    later = f"{simulator.url}/_control/advance/{refund.id}"
    httpx2.post(later, params={"fails": fails}).raise_for_status()
    assert simulator.refunds.retrieve(refund.id).status == ends
    assert len([effect for effect, _ in simulator.ledger() if effect == "refund"]) == moved
    charge = simulator.client.v1.charges.retrieve(refund.charge)
    assert charge.amount_refunded == 300 * moved


def test_a_refund_that_is_done_and_fails_later(
    simulator: PaymentSimulator, hooks: WebhookReceiver, eventually: Eventually
) -> None:
    paid = simulator.authorise(payment_method="pm_card_refundFail")
    simulator.intents.capture(paid.id)
    refund = simulator.refunds.create({"payment_intent": paid.id, "amount": 300})
    assert refund.status == "succeeded"
    for _ in range(2):
        httpx2.post(f"{simulator.url}/_control/advance/{refund.id}").raise_for_status()
    after = simulator.refunds.retrieve(refund.id)
    assert (after.status, after.failure_reason) == ("failed", "expired_or_canceled_card")
    assert simulator.ledger()[2:] == [("refund", 300), ("refund_reversal", 300)]
    assert simulator.client.v1.charges.retrieve(refund.charge).amount_refunded == 0
    eventually(lambda: "refund.failed" in hooks.types(), "no event was sent")


def test_concurrent_captures_and_refunds_stay_within_the_money(simulator: PaymentSimulator) -> None:
    authorized = simulator.authorise(payment_method_options=MULTICAPTURE)

    def attempt(call: Callable[[], object]) -> bool:
        try:
            call()
        except stripe.InvalidRequestError:
            return False
        return True

    with ThreadPoolExecutor(12) as pool:
        capture = lambda: simulator.intents.capture(authorized.id, {"amount_to_capture": 700, "final_capture": False})  # noqa: E731
        assert sum(pool.map(attempt, [capture] * 20)) == 7
        refund = lambda: simulator.refunds.create({"payment_intent": authorized.id, "amount": 900})  # noqa: E731
        assert sum(pool.map(attempt, [refund] * 20)) == 5
    effects = simulator.ledger()
    assert sum(amount for effect, amount in effects if effect == "capture") == 4900
    assert sum(amount for effect, amount in effects if effect == "refund") == 4500


def test_webhooks_are_signed_retried_and_repeatable(
    simulator: PaymentSimulator, hooks: WebhookReceiver, eventually: Eventually
) -> None:
    hooks.failures = 2
    authorized = simulator.authorise(key="k9")
    simulator.intents.capture(authorized.id)
    simulator.refunds.create({"payment_intent": authorized.id, "amount": 100})
    wanted = {
        "payment_intent.created",
        "payment_intent.amount_capturable_updated",
        "payment_intent.succeeded",
        "charge.captured",
        "charge.refunded",
    }
    eventually(lambda: wanted <= set(hooks.types()), "not all events arrived")
    for headers, body in list(hooks.received):
        event = stripe.Webhook.construct_event(body, headers["stripe-signature"], SECRET)
        assert event.data.object is not None
    event = next(body for body in hooks.bodies() if body["type"] == "payment_intent.created")
    assert event["request"]["idempotency_key"] == "k9"
    httpx2.post(f"{simulator.url}/_control/events/{event['id']}/resend", json={"times": 2}).raise_for_status()
    eventually(lambda: [b["id"] for b in hooks.bodies()].count(event["id"]) == 3, "no duplicates")


def test_lists_page_by_starting_after(simulator: PaymentSimulator) -> None:
    made = [simulator.authorise(order=f"o{number}").id for number in range(5)]
    page = simulator.intents.list({"limit": 2})
    assert [intent.id for intent in page.data] == [made[4], made[3]]
    assert [intent.id for intent in page.auto_paging_iter()] == made[::-1]


def test_keys_and_addresses_are_checked(simulator: PaymentSimulator) -> None:
    stranger = stripe.StripeClient("sk_test_other", base_addresses={"api": simulator.url}, max_network_retries=0)
    with pytest.raises(stripe.AuthenticationError):
        stranger.v1.payment_intents.list()
    with pytest.raises(stripe.InvalidRequestError, match="No such payment_intent"):
        simulator.intents.retrieve("pi_none")
    with pytest.raises(stripe.InvalidRequestError, match="No such PaymentMethod"):
        simulator.authorise(payment_method="pm_none")
    assert simulator.raw("/v1/nonsense", {}).json()["error"]["type"] == "invalid_request_error"
    assert simulator.raw("/v1/payment_intents", {"amount": "1e3", "currency": "eur"}).status_code == 400
