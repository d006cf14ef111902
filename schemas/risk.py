"""Risk review: orders that staff check before they continue."""

from enum import StrEnum

from schemas.base import Open, Payload, Request, Text


class Verdict(StrEnum):
    """The verdict of a review."""

    APPROVE = "approve"
    DECLINE = "decline"


class ReviewRules(Payload):
    """Which orders are put on hold for review, for how long, and the verdict when nobody decides in time.

    Orders of `total_from` minor units or more are reviewed, whatever their currency; 0 reviews none for its total.
    """

    total_from: int = 0
    seconds: int = 86_400
    otherwise: Verdict = Verdict.DECLINE


class ReviewRequest(Request):
    """`POST /v1/ops/orders/{id}/risk`: release the order, or cancel it. The reason is internal."""

    verdict: Verdict
    reason: Text


class Review(Payload):
    """The same with the actor (`staff:<id>:<role>`)."""

    verdict: Open[Verdict]
    reason: str
    actor: str
