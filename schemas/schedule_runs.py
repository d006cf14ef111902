"""What is recorded of scheduled work."""

from datetime import datetime

from schemas.base import Payload


class ScheduleRun(Payload):
    """A run of a schedule that succeeded."""

    schedule: str
    succeeded_at: datetime
    seconds: float


class ScheduleState(Payload):
    """A schedule, how often it runs, and its last run that succeeded; `known_since` is when it was made."""

    schedule: str
    every_seconds: int | None
    known_since: datetime
    succeeded_at: datetime | None
    seconds: float | None
