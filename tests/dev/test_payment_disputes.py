"""The simulator's disputes, driven by the official Stripe SDK: money goes with them, and back when they are won."""

import httpx2
import pytest
import stripe

from tests.dev.conftest import PaymentSimulator


def journal(simulator: PaymentSimulator) -> list[tuple[str, int, int]]:
    rows = httpx2.get(f"{simulator.url}/_ledger", params={"order_id": "o1"}).json()["data"]
    return [(row["effect"], row["amount"], row["fee"]) for row in rows]


def events(simulator: PaymentSimulator, dispute: str) -> list[str]:
    sent = simulator.client.v1.events.list({"limit": 100}).data
    return [event.type for event in reversed(sent) if event.data.object["id"] == dispute]


def control(simulator: PaymentSimulator, path: str, **body: object) -> httpx2.Response:
    return httpx2.post(f"{simulator.url}/_control/disputes{path}", json=body)


def disputed(simulator: PaymentSimulator, **how: object) -> str:
    authorized = simulator.authorise()
    simulator.intents.capture(authorized.id)
    return str(control(simulator, "", payment_intent=authorized.id, **how).raise_for_status().json()["id"])


def test_each_capture_costs_a_fee(simulator: PaymentSimulator) -> None:
    authorized = simulator.authorise(payment_method_options={"card": {"request_multicapture": "if_available"}})
    wanted = {"amount_to_capture": 2000, "final_capture": False, "expand": ["latest_charge.balance_transaction"]}
    taken = simulator.intents.capture(authorized.id, wanted)
    paid_in = taken.latest_charge.balance_transaction
    assert (paid_in.amount, paid_in.fee, paid_in.net) == (2000, 55, 1945)
    simulator.intents.capture(authorized.id)
    assert journal(simulator) == [("authorization", 5000, 0), ("capture", 2000, 55), ("capture", 3000, 70)]


@pytest.mark.parametrize("fee_returned", [False, True])
def test_won(simulator: PaymentSimulator, fee_returned: bool) -> None:
    name = disputed(simulator)
    disputes = simulator.client.v1.disputes
    opened = disputes.retrieve(name, {"expand": ["payment_intent"]})
    intent = opened.payment_intent
    assert isinstance(intent, stripe.PaymentIntent)
    assert (opened.status, opened.amount, intent.metadata["order_id"]) == ("needs_response", 5000, "o1")
    assert [(one.amount, one.fee) for one in opened.balance_transactions] == [(-5000, 2000)]
    sent = disputes.update(name, {"evidence": {"uncategorized_text": "signed for"}})
    assert (sent.status, sent.evidence.uncategorized_text) == ("under_review", "signed for")
    control(simulator, f"/{name}/decide", outcome="won", fee_returned=fee_returned).raise_for_status()
    assert disputes.retrieve(name).status == "won"
    fee = -2000 if fee_returned else 0
    assert journal(simulator)[2:] == [("dispute", 5000, 2000), ("dispute_reversal", 5000, fee)]
    kinds = ["created", "funds_withdrawn", "updated", "funds_reinstated", "closed"]
    assert events(simulator, name) == [f"charge.dispute.{kind}" for kind in kinds]


def test_an_accepted_dispute_is_lost_and_cannot_be_answered(simulator: PaymentSimulator) -> None:
    name = disputed(simulator)
    disputes = simulator.client.v1.disputes
    assert disputes.close(name).status == "lost"
    with pytest.raises(stripe.InvalidRequestError, match="already closed"):
        disputes.close(name)
    with pytest.raises(stripe.InvalidRequestError, match="already closed"):
        disputes.update(name, {"evidence": {"uncategorized_text": "signed for"}})
    assert control(simulator, f"/{name}/decide", outcome="won").status_code == 400


def test_a_disputed_charge_is_not_refunded_until_it_is_won(simulator: PaymentSimulator) -> None:
    name = disputed(simulator)
    charge = simulator.client.v1.disputes.retrieve(name).charge
    with pytest.raises(stripe.InvalidRequestError) as refused:
        simulator.refunds.create({"charge": charge})
    assert refused.value.code == "charge_disputed"
    control(simulator, f"/{name}/decide", outcome="won").raise_for_status()
    assert simulator.refunds.create({"charge": charge}).status == "succeeded"


def test_an_inquiry_takes_nothing_until_it_is_escalated(simulator: PaymentSimulator) -> None:
    authorized = simulator.authorise(payment_method="pm_card_createDisputeInquiry")
    (inquiry,) = simulator.client.v1.disputes.list({"payment_intent": authorized.id}).data
    assert (inquiry.status, inquiry.balance_transactions) == ("warning_needs_response", [])
    simulator.intents.capture(authorized.id)
    control(simulator, f"/{inquiry.id}/escalate").raise_for_status()
    assert journal(simulator)[2:] == [("dispute", 5000, 2000)]


def test_a_card_that_disputes_what_it_has_paid(simulator: PaymentSimulator) -> None:
    authorized = simulator.authorise(payment_method="pm_card_createDispute")
    assert simulator.client.v1.disputes.list({"payment_intent": authorized.id}).data == []
    simulator.intents.capture(authorized.id)
    (dispute,) = simulator.client.v1.disputes.list({"payment_intent": authorized.id}).data
    assert (dispute.status, dispute.amount) == ("needs_response", 5000)
