"""A webhook may be late or early; what can never be true is recognised."""

import pytest

from domain.webhook_amounts import Booked, Told, differences

HELD = Booked(amounts=(5000,), currency="EUR", captured=2000, settled=False)
# One that the ledger does not know yet: the whole, or what is left of it.
UNKNOWN = Booked(amounts=(5000, 2000), currency="EUR", captured=0, settled=False)
SETTLED = Booked(amounts=(5000,), currency="EUR", captured=3000, settled=True)


@pytest.mark.parametrize(
    ("told", "booked"),
    [
        (Told(5000, "EUR", 0), HELD),
        (Told(5000, "EUR", 2000), HELD),
        (Told(5000, "EUR", 5000, final=True), HELD),
        (Told(5000, "EUR", 3000, final=True), SETTLED),
        (Told(5000, "EUR", 1000), SETTLED),
        (Told(2000, "EUR", 0), UNKNOWN),
    ],
    ids=["late", "in time", "faster than our own answer", "the last word", "late, after the end", "reauthorized"],
)
def test_what_may_be_true(told: Told, booked: Booked) -> None:
    assert differences(told, booked) == {}


@pytest.mark.parametrize(
    ("told", "booked", "fields"),
    [
        (Told(4999, "EUR", 0), HELD, {"amount"}),
        (Told(5000, "USD", 0), HELD, {"currency"}),
        (Told(5000, "EUR", 5001), HELD, {"captured"}),
        (Told(5000, "EUR", 1999, final=True), HELD, {"captured"}),
        (Told(5000, "EUR", 3001), SETTLED, {"captured"}),
        (Told(3000, "EUR", 0), UNKNOWN, {"amount"}),
        (Told(50, "USD", 60), SETTLED, {"amount", "currency"}),
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
def test_what_cannot(told: Told, booked: Booked, fields: set[str]) -> None:
    assert differences(told, booked).keys() == fields
