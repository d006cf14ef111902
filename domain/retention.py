"""How long each kind of data is kept: one table for everything that is purged or archived."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

KEPT_FOR_EVER = 0


class DataKind(StrEnum):
    """A kind of data that is purged after some time; order events are moved to their archive instead."""

    IDEMPOTENCY_KEYS = "idempotency_keys"
    WEBHOOK_RECEIPTS = "webhook_receipts"
    EMAIL_TOKENS = "email_tokens"
    AUTHORIZATION_CODES = "authorization_codes"
    REFRESH_TOKENS = "refresh_tokens"
    REVOKED_TOKENS = "revoked_tokens"
    LOGIN_FAILURES = "login_failures"
    NOTIFICATIONS = "notifications"
    PRODUCT_IMPORT_ERRORS = "product_import_errors"
    PRODUCT_EVENTS = "product_events"
    ORDER_EVENTS = "order_events"


@dataclass(frozen=True)
class Retention:
    """So many days are counted `since` a moment of the data; fewer than `least` would take what is still read."""

    days: int
    since: str
    least: int = 1


_K = DataKind
RETENTION: Mapping[DataKind, Retention] = {
    # By then a repeat of the request is a new one, and who owns the order stands in the order.
    _K.IDEMPOTENCY_KEYS: Retention(7, "the key expired"),
    # Provider and carrier repeat a delivery for up to 30 days.
    _K.WEBHOOK_RECEIPTS: Retention(60, "the webhook was received", least=30),
    _K.EMAIL_TOKENS: Retention(7, "the link expired"),
    # A code that is presented again revokes what was issued for it, which lives for up to 30 days.
    _K.AUTHORIZATION_CODES: Retention(30, "the code expired", least=30),
    # Until it expires a refresh token that is used again revokes its family; afterwards it is refused in any case.
    _K.REFRESH_TOKENS: Retention(7, "the token expired"),
    _K.REVOKED_TOKENS: Retention(1, "the last token of the family expired"),
    _K.LOGIN_FAILURES: Retention(30, "the last failure"),
    # By it a repeated event sends no second mail. Kafka keeps events for a week.
    _K.NOTIFICATIONS: Retention(90, "the mail was sent", least=14),
    _K.PRODUCT_IMPORT_ERRORS: Retention(90, "the import was last worked on"),
    # The outbox of the catalog: nothing reads an event once Kafka has it.
    _K.PRODUCT_EVENTS: Retention(30, "the event was published"),
    _K.ORDER_EVENTS: Retention(180, "the order, which has ended, last changed"),
}


def retention_days(overrides: Mapping[DataKind, int]) -> dict[DataKind, int]:
    """For how many days each kind is kept; what is kept for ever has no entry. Raises ValueError for too few."""
    days = {kind: overrides.get(kind, rule.days) for kind, rule in RETENTION.items()}
    kept = {kind: number for kind, number in days.items() if number != KEPT_FOR_EVER}
    short = [
        f"{kind}: {RETENTION[kind].least} at least" for kind, number in kept.items() if number < RETENTION[kind].least
    ]
    if short:
        raise ValueError(f"kept for too few days: {', '.join(short)}, or {KEPT_FOR_EVER} for ever")
    return kept
