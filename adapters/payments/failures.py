"""What it means when the payment provider does not do what it was asked: one table."""

from collections.abc import Container
from enum import StrEnum
from time import monotonic
from typing import Any

import stripe
import structlog
from urllib3.exceptions import ConnectTimeoutError

from domain.outside_errors import KeyRefused, Misuse, NothingDone, OutcomeUnknown, ProviderUnavailable

_log = structlog.get_logger(__name__)


class Meaning(StrEnum):
    """What an answer says about the call.

    After an `outage` nobody knows whether it was done, and the same call may be sent again. `nothing_done` and
    `key_refused` are outages that have certainly done nothing. `unknown` will never be known under this key. A
    `refusal` is the bank's word, a `mistake` our own.
    """

    OUTAGE = "outage"
    NOTHING_DONE = "nothing_done"
    KEY_REFUSED = "key_refused"
    UNKNOWN = "unknown"
    REFUSAL = "refusal"
    MISTAKE = "mistake"


_NO_ANSWER = 0
# The first row that fits decides; None fits all. A type of "" is an answer that is not the provider's own, but of a
# gateway before it, which may say anything.
_ROWS: tuple[tuple[Container[int], str | None, str | None, Meaning], ...] = (
    ((401, 403), None, None, Meaning.KEY_REFUSED),
    ((429,), None, None, Meaning.NOTHING_DONE),
    ((400,), None, "rate_limit", Meaning.NOTHING_DONE),
    ((400,), "idempotency_error", None, Meaning.UNKNOWN),
    # 408, 425: a gateway has given up. 409: an earlier attempt under the same key is still being worked on.
    ((_NO_ANSWER, 408, 409, 424, 425), None, None, Meaning.OUTAGE),
    (range(100, 400), None, None, Meaning.OUTAGE),
    (range(500, 600), None, None, Meaning.OUTAGE),
    (range(400, 500), "", None, Meaning.OUTAGE),
    (range(400, 500), "card_error", None, Meaning.REFUSAL),
    (range(400, 500), "api_error", None, Meaning.OUTAGE),
    (range(400, 500), None, None, Meaning.MISTAKE),
)


def meaning(status: int, kind: str, code: str | None) -> Meaning:
    """What an answer with this status, type and code of the provider's error means."""
    return next(
        found
        for statuses, of_type, of_code, found in _ROWS
        if status in statuses and of_type in (None, kind) and of_code in (None, code)
    )


def failure(error: stripe.StripeError) -> Exception:
    """The error to raise: an outage, an unknown outcome, or a mistake of ours."""
    found, text = _meaning_of(error), error.user_message or str(error)
    if found is Meaning.KEY_REFUSED:
        key_alert.raise_once(error.http_status or _NO_ANSWER)
    if found in _OUTAGES:
        return _OUTAGES[found](text, _retry_after(error))
    if found is Meaning.UNKNOWN:
        return OutcomeUnknown(f"Nothing more will be learned under this key: {text}")
    return Misuse(str(error), error.code or details_of(error).get("type") or "provider_refused")


_OUTAGES = {
    Meaning.OUTAGE: ProviderUnavailable,
    Meaning.NOTHING_DONE: NothingDone,
    Meaning.KEY_REFUSED: KeyRefused,
}


def _meaning_of(error: stripe.StripeError) -> Meaning:
    status = error.http_status or _NO_ANSWER
    if status >= 500 and error.headers and error.headers.get("idempotent-replayed") == "true":
        return Meaning.UNKNOWN
    if _never_got_there(error):
        return Meaning.NOTHING_DONE
    return meaning(status, str(details_of(error).get("type") or ""), error.code)


class KeyAlert:
    """One error in the log for a key that is refused, however many calls meet it; another after an hour of it."""

    def __init__(self) -> None:
        self._raised_at: float | None = None

    def raise_once(self, status: int) -> None:
        """Log that the key is refused, unless that was said within the hour."""
        if self._raised_at is None or monotonic() - self._raised_at >= _AGAIN_SECONDS:
            self._raised_at = monotonic()
            _log.error("the payment provider refuses our API key; payments wait until it is replaced", status=status)


_AGAIN_SECONDS = 3600.0
key_alert = KeyAlert()


def details_of(error: stripe.StripeError) -> dict[str, Any]:
    """The provider's error itself; empty when the answer was not the provider's."""
    body = error.json_body
    details = body.get("error") if isinstance(body, dict) else None
    return details if isinstance(details, dict) else {}


def _never_got_there(error: stripe.StripeError) -> bool:
    """Whether no connection came about, so that nothing was sent; one that broke later may have carried the request."""
    cause = error.__cause__
    reason = getattr(cause.args[0], "reason", None) if cause is not None and cause.args else None
    return isinstance(reason, ConnectTimeoutError)  # refused, and no such host, are kinds of it


def _retry_after(error: stripe.StripeError) -> float | None:
    seconds = str(error.headers.get("retry-after") or "") if error.headers else ""
    return float(seconds) if seconds.isdecimal() else None
