"""Payments and refunds as the provider lists them, page by page, or one payment whole."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import stripe
from stripe import PaymentIntent, Refund

from adapters.payments.answers import charge_of, failure, failure_of, metadata_of
from adapters.payments.client import one_attempt, stripe_client
from adapters.settings import Settings
from domain.payment_facts import PaymentMade, RefundFailed, RefundMade

PAGE = 100  # the most the provider gives at once
_UNDONE = ("failed", "canceled", "pending", "requires_action")  # a refund that moved no money, or not yet
_FAILED = ("failed", "canceled")
_MISSING = "resource_missing"


Window = tuple[datetime, datetime]
"""From a moment until another."""


@dataclass(frozen=True)
class ListedRefund:
    """A refund with its payment, and its order where we requested it."""

    refund: RefundMade
    payment_id: str
    order_id: str


@dataclass(frozen=True)
class PaymentPage:
    """Payments of ours among one page of all; `after` is where the next begins, None when there is none."""

    payments: list[PaymentMade]
    after: str | None


@dataclass(frozen=True)
class RefundPage:
    """The same of refunds."""

    refunds: list[ListedRefund]
    after: str | None


class PaymentListing:
    """Reads only. An outage raises ProviderUnavailable; a cursor may be used again after it."""

    def __init__(self, settings: Settings) -> None:
        client = stripe_client(settings)
        self._intents = client.v1.payment_intents
        self._refunds = client.v1.refunds

    @one_attempt()
    def payments(self, window: Window, after: str | None) -> PaymentPage:
        """Payments begun in the window, newest first; those that name no order are not ours."""
        parameters = _page(window, after) | {"expand": ["data.latest_charge"]}
        with _outages():
            page = self._intents.list(parameters)  # type: ignore[arg-type]
        payments = [_payment(intent) for intent in page.data if _order_id(intent)]
        return PaymentPage(payments, page.data[-1].id if page.has_more else None)

    @one_attempt()
    def refunds(self, window: Window, after: str | None) -> RefundPage:
        """Refunds made in the window, newest first."""
        with _outages():
            page = self._refunds.list(_page(window, after))  # type: ignore[arg-type]
        listed = [
            ListedRefund(_refund(refund), str(refund.payment_intent), _order_id(refund))
            for refund in page.data
            if refund.payment_intent and refund.status not in _UNDONE
        ]
        return RefundPage(listed, page.data[-1].id if page.has_more else None)

    @one_attempt()
    def payment(self, payment_id: str) -> PaymentMade | None:
        """One payment with its refunds; None when the provider has none of this id."""
        try:
            with _outages():
                intent = self._intents.retrieve(payment_id, {"expand": ["latest_charge"]})
                found = _payment(intent)
                if not found.captured:
                    return found
                listed = list(self._refunds.list({"payment_intent": payment_id, "limit": PAGE}).auto_paging_iter())
        except stripe.InvalidRequestError as error:
            if error.code != _MISSING:
                raise failure(error) from error
            return None
        refunds = tuple(_refund(refund) for refund in listed if refund.status not in _UNDONE)
        failed = tuple(RefundFailed(refund.id, failure_of(refund)) for refund in listed if refund.status in _FAILED)
        changed = {"refunds": refunds, "failed_refunds": failed, "refunded": sum(refund.amount for refund in refunds)}
        return PaymentMade(**{**vars(found), **changed})


def _page(window: Window, after: str | None) -> dict[str, Any]:
    since, until = (int(moment.timestamp()) for moment in window)
    created = {"gte": since, "lte": until}
    return {"created": created, "limit": PAGE, **({"starting_after": after} if after else {})}


@contextmanager
def _outages() -> Iterator[None]:
    try:
        yield
    except stripe.InvalidRequestError:
        raise
    except stripe.StripeError as error:
        raise failure(error) from error


def _payment(intent: PaymentIntent) -> PaymentMade:
    charge = charge_of(intent)
    captured = intent.amount_received or 0
    held = (intent.amount_capturable or 0) if intent.status == "requires_capture" else 0
    was_authorized = intent.status in ("requires_capture", "succeeded") or (
        intent.status == "canceled" and charge.get("status") == "succeeded"
    )
    return PaymentMade(
        provider_id=intent.id,
        order_id=_order_id(intent),
        currency=intent.currency.upper(),
        authorized=intent.amount if was_authorized else 0,
        captured=captured,
        held=held,
        # A voided authorization counts as refunded there, too.
        refunded=min(captured, int(charge.get("amount_refunded") or 0)),
    )


def _refund(refund: Refund) -> RefundMade:
    return RefundMade(refund.id, refund.amount, metadata_of(refund).get("refund_id"))


def _order_id(resource: PaymentIntent | Refund) -> str:
    """The order it names, which may be anything: as much of it as our tables can hold."""
    named = str(metadata_of(resource).get("order_id") or "")
    return "".join(char if char.isascii() and char.isprintable() else "?" for char in named)[:100]
