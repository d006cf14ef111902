"""What the payment simulator does with keys used twice, with faults on command and when it is restarted."""

from concurrent.futures import ThreadPoolExecutor

import httpx2
import pytest
import stripe

from tests.dev.conftest import Eventually, PaymentSimulator


def options(key: str) -> stripe.RequestOptions:
    return {"idempotency_key": key}


def header(error: stripe.StripeError, name: str) -> str | None:
    return (error.headers or {}).get(name)


def test_a_key_replays_its_answer_and_refuses_other_parameters(simulator: PaymentSimulator) -> None:
    first = simulator.authorise(key="same")
    second = simulator.authorise(key="same")
    assert second.id == first.id
    assert second.last_response.headers["Idempotent-Replayed"] == "true"
    assert second.last_response.request_id != first.last_response.request_id
    with pytest.raises(stripe.IdempotencyError):
        simulator.authorise(amount=5001, key="same")
    with pytest.raises(stripe.IdempotencyError):
        simulator.intents.capture(first.id, {}, options("same"))
    assert simulator.ledger() == [("authorization", 5000)]


def test_validation_is_not_stored_but_refusals_in_execution_are(simulator: PaymentSimulator) -> None:
    with pytest.raises(stripe.InvalidRequestError) as refused:
        simulator.authorise(amount=0, key="k")
    assert refused.value.param == "amount"
    authorized = simulator.authorise(key="k")
    with pytest.raises(stripe.InvalidRequestError):
        simulator.intents.capture(authorized.id, {"amount_to_capture": 9999}, options("c"))
    with pytest.raises(stripe.InvalidRequestError) as replayed:
        simulator.intents.capture(authorized.id, {"amount_to_capture": 9999}, options("c"))
    assert header(replayed.value, "Idempotent-Replayed") == "true"


def test_a_key_in_use_conflicts(simulator: PaymentSimulator, eventually: Eventually) -> None:
    simulator.fault("latency", "create", seconds=3)  # ample for the second call to come meanwhile
    with ThreadPoolExecutor(2) as pool:
        slow = pool.submit(simulator.authorise, key="k")
        faults = f"{simulator.url}/_control/faults"
        eventually(lambda: httpx2.get(faults).json()[0]["hits"] == 1, "the first request did not arrive")
        with pytest.raises(stripe.APIError) as conflict:
            simulator.authorise(key="k")
        assert conflict.value.http_status == 409
        httpx2.delete(faults).raise_for_status()
        assert slow.result().status == "requires_capture"
    assert simulator.ledger() == [("authorization", 5000)]


def test_fail_before_and_429_do_and_store_nothing(simulator: PaymentSimulator) -> None:
    simulator.fault("fail_before", "create")
    with pytest.raises(stripe.APIError) as failed:
        simulator.authorise(key="k")
    assert failed.value.http_status == 503
    simulator.fault("429", "create", seconds=2)
    with pytest.raises(stripe.RateLimitError) as limited:
        simulator.authorise(key="k")
    assert header(limited.value, "Retry-After") == "2"
    assert simulator.ledger() == []
    assert simulator.authorise(key="k").status == "requires_capture"


def test_500_is_stored_without_effect_and_error_after_with_it(simulator: PaymentSimulator) -> None:
    simulator.fault("500", "create")
    for _ in range(2):
        with pytest.raises(stripe.APIError):
            simulator.authorise(key="k1")
    assert simulator.ledger() == []
    simulator.fault("error_after", "create")
    for _ in range(2):
        with pytest.raises(stripe.APIError):
            simulator.authorise(key="k2")
    assert simulator.ledger() == [("authorization", 5000)]
    found = simulator.intents.search({"query": "metadata['order_id']:'o1' AND status:'requires_capture'"})
    assert [intent.amount for intent in found.data] == [5000]


def test_timeout_after_loses_the_answer_not_the_effect(simulator: PaymentSimulator) -> None:
    authorized = simulator.authorise()
    simulator.fault("timeout_after", "capture", seconds=0.1)
    with pytest.raises(stripe.APIConnectionError):
        simulator.intents.capture(authorized.id, {}, options("c"))
    retried = simulator.intents.capture(authorized.id, {}, options("c"))
    assert retried.last_response.headers["Idempotent-Replayed"] == "true"
    assert simulator.ledger() == [("authorization", 5000), ("capture", 5000)]


def test_timeout_before_loses_the_request_with_its_answer(simulator: PaymentSimulator) -> None:
    simulator.fault("timeout_before", "create", seconds=0.1)
    with pytest.raises(stripe.APIConnectionError):
        simulator.authorise(key="k")
    assert simulator.ledger() == []
    assert simulator.intents.list().data == []
    sent_again = simulator.authorise(key="k")
    assert "Idempotent-Replayed" not in sent_again.last_response.headers
    assert simulator.ledger() == [("authorization", 5000)]


def test_a_key_can_be_turned_away_for_a_while(simulator: PaymentSimulator) -> None:
    simulator.fault("401", "create", times=2)
    for _ in range(2):
        with pytest.raises(stripe.AuthenticationError):
            simulator.authorise(key="k")
    assert simulator.authorise(key="k").status == "requires_capture"
    assert simulator.ledger() == [("authorization", 5000)]


def test_unconfirmed_stops_between_creating_and_confirming(simulator: PaymentSimulator) -> None:
    simulator.fault("unconfirmed", "create")
    for _ in range(2):
        with pytest.raises(stripe.APIError):
            simulator.authorise(key="k")
    (left,) = simulator.intents.list().data
    assert (left.status, left.metadata["order_id"], simulator.ledger()) == ("requires_confirmation", "o1", [])
    assert simulator.intents.confirm(left.id).status == "requires_capture"
    assert simulator.ledger() == [("authorization", 5000)]


def test_amount_lowered_authorizes_another_amount_than_was_asked_for(simulator: PaymentSimulator) -> None:
    simulator.fault("amount_lowered", "create")
    assert simulator.authorise(key="k").amount == simulator.authorise(key="k").amount == 4999
    assert simulator.ledger() == [("authorization", 4999)]


def test_faults_match_by_order_and_can_be_cleared(simulator: PaymentSimulator) -> None:
    body = {"kind": "fail_before", "match": {"operation": "capture", "metadata_order_id": "o2"}, "times": 9}
    httpx2.post(f"{simulator.url}/_control/faults", json=body).raise_for_status()
    one, two = simulator.authorise(order="o1"), simulator.authorise(order="o2")
    assert simulator.intents.capture(one.id).status == "succeeded"
    with pytest.raises(stripe.APIError):
        simulator.intents.capture(two.id)
    assert httpx2.delete(f"{simulator.url}/_control/faults").status_code == 204
    assert simulator.intents.capture(two.id).status == "succeeded"


def test_a_restart_keeps_everything(simulator: PaymentSimulator) -> None:
    authorized = simulator.authorise(key="k")
    simulator.app.stop()
    simulator.start()
    assert simulator.authorise(key="k").id == authorized.id
    assert simulator.intents.capture(authorized.id).status == "succeeded"
    assert simulator.ledger() == [("authorization", 5000), ("capture", 5000)]
