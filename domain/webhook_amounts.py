"""Whether the amounts of a webhook can be true by our own ledger."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Told:
    """A payment according to a webhook, in minor units; `final` when nothing more can be captured."""

    amount: int
    currency: str
    captured: int
    final: bool = False


@dataclass(frozen=True)
class Booked:
    """The same payment in our ledger; `settled` when nothing is authorized any more: the ledger cannot lag behind.

    `amounts` is what was authorized or, for a payment the ledger does not have yet, what it may be for.
    """

    amounts: tuple[int, ...]
    currency: str
    captured: int
    settled: bool


def differences(told: Told, booked: Booked) -> dict[str, dict[str, object]]:
    """The contradictions by field; nothing when the webhook fits, or may fit once the ledger has caught up.

    A webhook may be late, or earlier than the answer to our own call: its captured amount may be below the ledger's
    unless it is final, and above it unless the ledger is settled, but never above what was authorized.
    """
    found: dict[str, dict[str, object]] = {}
    if told.currency != booked.currency:
        found["currency"] = {"told": told.currency, "booked": booked.currency}
    if told.amount not in booked.amounts:
        found["amount"] = {"told": told.amount, "booked": booked.amounts[0]}
    too_much = told.captured > (booked.captured if booked.settled else max(booked.amounts))
    if too_much or (told.final and told.captured < booked.captured):
        found["captured"] = {"told": told.captured, "booked": booked.captured}
    return found
