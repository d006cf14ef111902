"""A webhook may be late or early; what can never be true is recognised."""

import pytest

from domain.webhook_amounts import LedgerAmounts, WebhookAmounts, differences

HELD = LedgerAmounts(amounts=(5000,), currency="EUR", captured=2000, settled=False)
# One that the ledger does not know yet: the whole, or what is left of it.
UNKNOWN = LedgerAmounts(amounts=(5000, 2000), currency="EUR", captured=0, settled=False)
SETTLED = LedgerAmounts(amounts=(5000,), currency="EUR", captured=3000, settled=True)


@pytest.mark.parametrize(
    ("webhook", "ledger"),
    [
        (WebhookAmounts(5000, "EUR", 0), HELD),
        (WebhookAmounts(5000, "EUR", 2000), HELD),
        (WebhookAmounts(5000, "EUR", 5000, final=True), HELD),
        (WebhookAmounts(5000, "EUR", 3000, final=True), SETTLED),
        (WebhookAmounts(5000, "EUR", 1000), SETTLED),
        (WebhookAmounts(2000, "EUR", 0), UNKNOWN),
    ],
    ids=["late", "in time", "faster than our own answer", "the last word", "late, after the end", "reauthorized"],
)
def test_what_may_be_true(webhook: WebhookAmounts, ledger: LedgerAmounts) -> None:
    assert differences(webhook, ledger) == {}


@pytest.mark.parametrize(
    ("webhook", "ledger", "fields"),
    [
        (WebhookAmounts(4999, "EUR", 0), HELD, {"amount"}),
        (WebhookAmounts(5000, "USD", 0), HELD, {"currency"}),
        (WebhookAmounts(5000, "EUR", 5001), HELD, {"captured"}),
        (WebhookAmounts(5000, "EUR", 1999, final=True), HELD, {"captured"}),
        (WebhookAmounts(5000, "EUR", 3001), SETTLED, {"captured"}),
        (WebhookAmounts(3000, "EUR", 0), UNKNOWN, {"amount"}),
        (WebhookAmounts(50, "USD", 60), SETTLED, {"amount", "currency"}),
    ],
    ids=[
        "amount",
        "currency",
        "more than was authorized",
        "less than was captured",
        "more than was captured",
        "unknown",
        "everything",
    ],
)
def test_what_cannot(webhook: WebhookAmounts, ledger: LedgerAmounts, fields: set[str]) -> None:
    assert differences(webhook, ledger).keys() == fields
