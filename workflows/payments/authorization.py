"""An authorization: money on hold at the customer's bank, until it is captured, voided or expired."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Self

from temporalio import workflow

from schemas.provider_calls import ProviderResult

# Reauthorized so long before the authorization expires: a day of seven, so that an outage of hours costs nothing.
_LONGEST_MARGIN, _MARGIN = timedelta(days=1), 0.25


@dataclass
class Authorization:
    """The provider's id, what was captured of it so far, and how to authorize it again."""

    provider_id: str
    reauthorize_at: datetime | None
    payment_method: str
    customer: str | None
    captures_once: bool
    captured: int = 0
    expired: bool = False

    @classmethod
    def of(cls, result: ProviderResult, provider_id: str, authorization_seconds: int) -> Self:
        """Made by this answer. Lasts `authorization_seconds` unless the answer says otherwise; 0 reauthorizes none."""
        # By the provider's own clock from now on, so that it does not matter whether ours agrees with it.
        lasts = timedelta(seconds=result.authorization_seconds or authorization_seconds)
        ends = workflow.now() + lasts - min(_LONGEST_MARGIN, lasts * _MARGIN)
        return cls(
            provider_id=provider_id,
            reauthorize_at=ends if authorization_seconds else None,
            payment_method=result.payment_method or "",
            customer=result.customer,
            captures_once=result.captures_once,
        )
