"""Risk review: which orders staff check before they continue."""

from collections.abc import Iterator

_DOUBTED = frozenset({"elevated", "highest"})


def reasons_to_review(total: int, review_from: int, provider_level: str | None) -> Iterator[str]:
    """Why the order should be reviewed; nothing when it need not be.

    `total` and `review_from` are minor units of one currency; a `review_from` of 0 means never for its total;
    `provider_level` is the payment provider's own assessment (Stripe's `outcome.risk_level`).
    """
    if provider_level in _DOUBTED:
        yield f"the payment provider calls its risk {provider_level}"
    if 0 < review_from <= total:
        yield "its total is that of orders we look at"
