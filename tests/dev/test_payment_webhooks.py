"""Webhooks late, twice and in the wrong order, by the control API: already when they are first delivered."""

import time
from collections.abc import Callable

import httpx2
import pytest

from tests.dev.conftest import Eventually, PaymentSimulator, WebhookReceiver

THREE = ["payment_intent.created", "payment_intent.amount_capturable_updated", "payment_intent.canceled"]
SetManners = Callable[..., None]


@pytest.fixture
def manners(simulator: PaymentSimulator) -> SetManners:
    def behave(**manners: float) -> None:
        assert httpx2.put(f"{simulator.url}/_control/webhooks", json=manners).status_code == 200

    return behave


def test_each_comes_as_often_as_asked_for(
    simulator: PaymentSimulator, hooks: WebhookReceiver, manners: SetManners, eventually: Eventually
) -> None:
    manners(copies=3)
    simulator.authorise()
    eventually(lambda: len(hooks.received) == 6, "not every copy came")
    assert {hooks.types().count(kind) for kind in THREE[:2]} == {3}
    assert len({body["id"] for body in hooks.bodies()}) == 2, "copies are the same event"


def test_they_get_lost(
    simulator: PaymentSimulator, hooks: WebhookReceiver, manners: SetManners, eventually: Eventually
) -> None:
    manners(copies=0)
    lost = simulator.authorise()
    manners()
    simulator.intents.cancel(lost.id)
    eventually(lambda: hooks.types() == THREE[2:], "only what is done after it is sent")


def test_they_come_late(
    simulator: PaymentSimulator, hooks: WebhookReceiver, manners: SetManners, eventually: Eventually
) -> None:
    manners(delay_seconds=0.8)
    began = time.monotonic()
    simulator.authorise()
    eventually(lambda: len(hooks.received) == 2, "they never came")
    assert time.monotonic() - began >= 0.8


def test_they_come_in_the_wrong_order(
    simulator: PaymentSimulator, hooks: WebhookReceiver, manners: SetManners, eventually: Eventually
) -> None:
    manners(reverse_seconds=4)  # ample for both calls, and a second between the events
    simulator.intents.cancel(simulator.authorise().id)
    eventually(lambda: len(hooks.received) == 3, "they never came")
    assert hooks.types() == THREE[::-1]


def test_they_come_as_usual_again(
    simulator: PaymentSimulator, hooks: WebhookReceiver, manners: SetManners, eventually: Eventually
) -> None:
    manners(copies=2, delay_seconds=600, reverse_seconds=60)
    assert httpx2.delete(f"{simulator.url}/_control/webhooks").status_code == 204
    simulator.authorise()
    eventually(lambda: len(hooks.received) == 2, "they never came")
    assert httpx2.put(f"{simulator.url}/_control/webhooks", json={"copies": -1}).status_code == 422
