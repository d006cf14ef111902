"""Orders that a person looks at before they go on."""

from enum import StrEnum

from schemas.base import Payload, Request, Text


class Verdict(StrEnum):
    """What becomes of an order that was looked at."""

    APPROVE = "approve"
    DECLINE = "decline"


class ReviewRules(Payload):
    """Which orders are held, for how long, and what becomes of one that nobody decided about.

    Orders of `total_from` minor units and more are held, whatever their currency; 0 holds none for its total.
    """

    total_from: int = 0
    seconds: int = 86_400
    otherwise: Verdict = Verdict.DECLINE


class ReviewRequest(Request):
    """`POST /v1/ops/orders/{id}/risk`: let the order go on, or take it back. The reason is for colleagues."""

    verdict: Verdict
    reason: Text


class Review(Payload):
    """The same, with who says so (`staff:<id>:<role>`)."""

    verdict: Verdict
    reason: str
    actor: str
