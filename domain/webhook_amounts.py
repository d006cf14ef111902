"""Whether the amounts of a webhook can be true by our own ledger."""

from dataclasses import dataclass


@dataclass(frozen=True)
class WebhookAmounts:
    """A payment according to a webhook, in minor units; `final` when nothing more can be captured."""

    amount: int
    currency: str
    captured: int
    final: bool = False


@dataclass(frozen=True)
class LedgerAmounts:
    """The same payment in our ledger; `settled` when nothing is authorized any more: the ledger cannot lag behind.

    `amounts` is what was authorized or, for a payment the ledger does not have yet, what it may be for.
    """

    amounts: tuple[int, ...]
    currency: str
    captured: int
    settled: bool


def differences(webhook: WebhookAmounts, ledger: LedgerAmounts) -> dict[str, dict[str, object]]:
    """The contradictions by field; nothing when the webhook fits, or may fit once the ledger has caught up.

    A webhook may be late, or earlier than the answer to our own call: its captured amount may be below the ledger's
    unless it is final, and above it unless the ledger is settled, but never above what was authorized.
    """
    found: dict[str, dict[str, object]] = {}
    if webhook.currency != ledger.currency:
        found["currency"] = {"webhook": webhook.currency, "ledger": ledger.currency}
    if webhook.amount not in ledger.amounts:
        found["amount"] = {"webhook": webhook.amount, "ledger": ledger.amounts[0]}
    too_much = webhook.captured > (ledger.captured if ledger.settled else max(ledger.amounts))
    if too_much or (webhook.final and webhook.captured < ledger.captured):
        found["captured"] = {"webhook": webhook.captured, "ledger": ledger.captured}
    return found
