"""Test cards whose bank takes its time: the payment is `processing` until it decides."""

from pathlib import Path

import httpx2
import pytest
import stripe

from dev.payment_simulator.settings import Settings
from tests.dev.conftest import KEY, Eventually, PaymentSimulator, RunApp, WebhookReceiver


@pytest.mark.parametrize(
    ("card", "status", "event", "effects"),
    [
        (
            "pm_card_slowBank",
            "requires_capture",
            "payment_intent.amount_capturable_updated",
            [("authorization", 5000)],
        ),
        ("pm_card_slowBankDeclines", "requires_payment_method", "payment_intent.payment_failed", []),
    ],
)
def test_it_decides_on_command(
    simulator: PaymentSimulator,
    hooks: WebhookReceiver,
    eventually: Eventually,
    card: str,
    status: str,
    event: str,
    effects: list[tuple[str, int]],
) -> None:
    asked = simulator.authorise(payment_method=card)
    assert (asked.status, simulator.ledger()) == ("processing", [])
    with pytest.raises(stripe.InvalidRequestError):
        simulator.intents.cancel(asked.id)
    httpx2.post(f"{simulator.url}/_control/advance/{asked.id}").raise_for_status()
    assert simulator.intents.retrieve(asked.id).status == status
    assert simulator.ledger() == effects
    eventually(lambda: {"payment_intent.processing", event} <= set(hooks.types()), "no event was sent")


def test_it_decides_by_itself_after_a_while(
    run_app: RunApp, hooks: WebhookReceiver, tmp_path: Path, eventually: Eventually
) -> None:
    settings = Settings(KEY, "whsec_x", hooks.url, str(tmp_path / "payments.sqlite3"), processing_seconds=0.1)
    simulator = PaymentSimulator(settings, run_app)
    asked = simulator.authorise(payment_method="pm_card_slowBank")
    eventually(lambda: simulator.intents.retrieve(asked.id).status == "requires_capture", "it did not decide")


def test_it_may_want_its_customer_first(simulator: PaymentSimulator) -> None:
    asked = simulator.authorise(payment_method="pm_card_slowBankAuthenticationRequired")
    assert asked.status == "requires_action"
    said = {"payment_intent": asked.id}
    httpx2.post(f"{simulator.url}/_control/authenticate", json=said).raise_for_status()
    assert (simulator.intents.retrieve(asked.id).status, simulator.ledger()) == ("processing", [])
