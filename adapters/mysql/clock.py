"""Moments as DATETIME columns keep them: UTC, without saying so."""

from datetime import UTC, datetime


def now() -> datetime:
    """This moment as DATETIME columns keep it."""
    return naive(datetime.now(UTC))


def naive(moment: datetime) -> datetime:
    """A moment as DATETIME columns keep it."""
    return moment.astimezone(UTC).replace(tzinfo=None)


def aware(moment: datetime) -> datetime:
    """What a DATETIME column keeps, with its zone."""
    return moment.replace(tzinfo=UTC)
