"""Whether what a webhook says of a payment's money can be true, as far as our own books know."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Told:
    """A payment as a webhook tells of it, in minor units; `final` when it says that nothing more can be captured."""

    amount: int
    currency: str
    captured: int
    final: bool = False


@dataclass(frozen=True)
class Booked:
    """The same payment in our books; `settled` when nothing of it is held any more, so that they cannot lag behind.

    `amounts` is what was held, or, of a payment they do not know yet, what it may be for.
    """

    amounts: tuple[int, ...]
    currency: str
    captured: int
    settled: bool


def differences(told: Told, booked: Booked) -> dict[str, dict[str, object]]:
    """What disagrees, by field; nothing when it fits, or may fit once our books have caught up.

    A webhook may be late, or faster than the answer to our own call: of what was captured it may know less than the
    books, unless it is the last word, and more, unless the books are closed. More than was held it never can.
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
