"""The payment provider's simulator as tests use it: what it has done, and what goes wrong there."""

from collections.abc import Callable
from typing import Protocol, TypeAlias, TypedDict

import httpx2


class JournalEntry(TypedDict):
    """One thing the provider has done: the other side of an entry in our ledger."""

    effect: str
    intent: str
    amount: int
    fee: int
    idempotency_key: str | None


# What the provider has done for the order of this id, oldest first.
Journal: TypeAlias = Callable[[str], list[JournalEntry]]


def effects(journal: Journal, order_id: str) -> list[str]:
    return [entry["effect"] for entry in journal(order_id)]


class Fault:
    """Something that goes wrong at the provider, so many times."""

    def __init__(self, address: str, kind: str, operation: str | None, times: int, seconds: float) -> None:
        self._address, self._times = address, times
        body = {"kind": kind, "match": {"operation": operation}, "times": times, "seconds": seconds}
        self._id = httpx2.post(address, json=body).raise_for_status().json()["id"]

    def hits(self) -> int:
        armed = httpx2.get(self._address).raise_for_status().json()
        return next(int(fault["hits"]) for fault in armed if fault["id"] == self._id)

    def struck(self) -> bool:
        """Whether all of it has happened."""
        return self.hits() == self._times

    def end(self) -> None:
        """Ends every fault there is; a request that is answered late is answered now."""
        httpx2.delete(self._address).raise_for_status()


class MakeFault(Protocol):
    """Makes the provider misbehave for one operation, or for all."""

    def __call__(self, kind: str, operation: str | None, times: int = 1, seconds: float = 0) -> Fault: ...


class Authenticate(Protocol):
    """The customer answers their bank's question about a payment."""

    def __call__(self, intent: str, outcome: str = "succeeded") -> None: ...


class BankActs(Protocol):
    """What the bank would do with a payment, its authorization or a refund after a while, it does now."""

    def __call__(self, name: str, *, fails: bool = False, webhook: bool = True) -> None: ...


class OrphanPayment(Protocol):
    """The bank authorizes a payment that no order waits for any more; its webhook is lost."""

    def __call__(self, intent: str, *, captured: bool = False) -> None: ...


class MakeVoucher(Protocol):
    """A new voucher with these fields; answers its code."""

    def __call__(self, **fields: object) -> str: ...
