"""Risk review: which orders staff check before they continue."""

from collections.abc import Iterator

RISK_DECLINED = "risk_declined"
"""Why an order, or a payment of it, is not accepted."""

_DOUBTED = frozenset({"elevated", "highest"})


def is_doubted(provider_level: str | None) -> bool:
    """Whether the payment provider's assessment gives reason to doubt the payment."""
    return provider_level in _DOUBTED


def reasons_to_review(total: int, review_from: int, provider_level: str | None) -> Iterator[str]:
    """Why the order should be reviewed; nothing when it need not be.

    `total` and `review_from` are minor units of one currency; a `review_from` of 0 means never for its total;
    `provider_level` is the payment provider's own assessment (Stripe's `outcome.risk_level`).
    """
    if is_doubted(provider_level):
        yield f"the payment provider calls its risk {provider_level}"
    if 0 < review_from <= total:
        yield "its total is that of orders we look at"


def needs_first_review(total: int, new_total: int, review_from: int) -> bool:
    """Whether an order becomes one that is reviewed for its total, and was none before."""
    return total < review_from <= new_total
